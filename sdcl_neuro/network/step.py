"""The length of a network's step in seconds, where its source stated it or a user gave it.

It changes no arithmetic: descriptions count steps. It lies in ``meta`` as ``dt_s`` and
``dt_source``, and so goes along into files, accounts and certificates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LENGTH, SOURCE = "dt_s", "dt_source"


@dataclass(frozen=True)
class Step:
    """A step.

    Attributes:
        seconds: its length; None where the source has none and needs none.
        source: where it comes from, in words.
    """

    seconds: float | None
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def __str__(self) -> str:
        length = "none" if self.seconds is None else f"{self.seconds:g} s"
        return f"{length} ({self.source})"


def step_of(meta: Mapping[str, Any]) -> Step | None:
    """Read the step in a ``meta``; None where it holds none."""
    seconds, source = meta.get(LENGTH), meta.get(SOURCE)
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not isinstance(source, str) or not (known or seconds is None):
        return None
    return Step(float(seconds) if known and seconds is not None else None, source)
