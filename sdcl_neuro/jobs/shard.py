"""`Shard`: one of N parts of some work, so that N processes divide it between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sdcl_neuro.errors import InputError

_T = TypeVar("_T")


@dataclass(frozen=True)
class Shard:
    """One of `count` parts, number `index`, which counts from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``I/N``.

        Raises:
            InputError: other text, or an I that is not 1 to N.
        """
        first, slash, second = text.partition("/")
        if slash and first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second):
            return cls(int(first), int(second))
        raise InputError(f"part {text!r}", where="--part", hint="give I/N, I from 1 to N")

    def of(self, pieces: Sequence[_T]) -> Sequence[_T]:
        """Return every `count`-th piece, from number `index` on."""
        return pieces[self.index - 1 :: self.count]

    def run_of(self, pieces: Sequence[_T]) -> Sequence[_T]:
        """Return the pieces of this part where neighbours share what they need: one run of them."""
        ends = [len(pieces) * index // self.count for index in (self.index - 1, self.index)]
        return pieces[slice(*ends)]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
