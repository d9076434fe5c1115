"""What can go wrong for a user, in four classes; each carries the exit code of the command line.

Every message is one line that names what is wrong, where, and what to do.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

_ON_COMMAND_LINE: ContextVar[bool] = ContextVar("on_command_line", default=False)


@contextmanager
def command_line() -> Iterator[None]:
    """Have hints name the command line's options while the body runs."""
    token = _ON_COMMAND_LINE.set(True)
    try:
        yield
    finally:
        _ON_COMMAND_LINE.reset(token)


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun, of regular plural: ``1 entry``, ``1,200 entries``."""
    if count != 1:
        ies = noun.endswith("y") and noun[-2] not in "aeiou"
        noun = f"{noun[:-1]}ies" if ies else f"{noun}{'es' if noun.endswith(_HISSING) else 's'}"
    return f"{count:,} {noun}"


def spelled(*, python: str, command: str) -> str:
    """Return a remedy as the interface that reports it spells it."""
    return command if _ON_COMMAND_LINE.get() else python


_HISSING = ("s", "x", "z", "ch", "sh")
_RENAMED = "'mend' of an error is now called 'hint'; the old name goes with the next release"


def hint_json(hint: str) -> dict[str, str]:
    """Return a hint as JSON files have it: as ``hint`` and, for one release, also as ``mend``."""
    return {"hint": hint, "mend": hint}


class SdclNeuroError(Exception):
    """Base of every error a user may see.

    Args:
        what: what is wrong, with the offending value and its limit.
        where: the file, layer or argument; empty if there is only one candidate.
        hint: what to do about it, an imperative.
        mend: the old name of `hint`, for one release.
    """

    exit_code = 2

    def __init__(
        self, what: str, *, where: str = "", hint: str = "", mend: str | None = None
    ) -> None:
        if mend is not None:
            warnings.warn(_RENAMED, DeprecationWarning, stacklevel=2)
            hint = mend
        self.what, self.where, self.hint = what, where, hint
        message = f"{where}: {what}" if where else what
        super().__init__(f"{message}; {hint}" if hint else message)

    @property
    def mend(self) -> str:
        """The old name of `hint`, for one release."""
        warnings.warn(_RENAMED, DeprecationWarning, stacklevel=2)
        return self.hint


class InputError(SdclNeuroError):
    """A file, argument or network that cannot be used as given (exit code 2)."""


class CheckFailed(SdclNeuroError):
    """A check that ran to its end and said no: parity broken, a limit exceeded (exit code 1)."""

    exit_code = 1


class EnvironmentFault(SdclNeuroError):
    """A backend that is not installed, a worker that crashed or timed out (exit code 3)."""

    exit_code = 3


class SuspiciousInput(UserWarning):
    """Input that can be used as it is, but looks like a mistake."""


@dataclass(frozen=True)
class Refusal:
    """One reason why a network cannot go to a target.

    Attributes:
        where: the layer, by name and index, for example ``layer 2 (conv)``.
        what: what the target cannot do, with value and limit.
        hint: what to change in the network.
        of_chains: whether only a chain of layers is refused for it; a graph may hold it.
    """

    where: str
    what: str
    hint: str
    of_chains: bool = field(default=False, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.hint}"

    @property
    def mend(self) -> str:
        """The old name of `hint`, for one release."""
        warnings.warn(_RENAMED, DeprecationWarning, stacklevel=2)
        return self.hint


class NetworkRefused(InputError):
    """A network that cannot be lowered, with every reason at once in `refusals`.

    Args:
        refusals: the reasons.
        where: the network.
        layers: descriptions of those layers that could be lowered all the same, in which a target
            may find more reasons.
    """

    def __init__(
        self, refusals: Sequence[Refusal], *, where: str = "", layers: Sequence[object] = ()
    ) -> None:
        self.refusals, self.layers = tuple(refusals), tuple(layers)
        super().__init__(" | ".join(str(refusal) for refusal in refusals), where=where)
