"""What a fit has to say about one limit: broken, unknown, or in words only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sdcl_neuro.errors import Refusal, hint_json


@dataclass(frozen=True)
class Broken:
    """A limit that the network exceeds.

    Attributes:
        limit: its name in the profile.
        where: the layer, or ``network``.
        value: what the network needs.
        allowed: what there is, as a number or as words.
        unit: of both.
        mend: remedy.
    """

    limit: str
    where: str
    value: float
    allowed: float | str
    unit: str
    hint: str

    @property
    def excess(self) -> float | None:
        """Excess over the limit; None where the limit is not a largest value."""
        if isinstance(self.allowed, str) or self.value <= self.allowed:
            return None
        return self.value - self.allowed

    def __str__(self) -> str:
        allowed = self.allowed if isinstance(self.allowed, str) else f"{self.allowed:,.10g}"
        over = "" if self.excess is None else f", {self.excess:,.10g} too many"
        unit = f" {self.unit}" if self.unit else ""
        return (
            f"{self.where}: {self.limit} {self.value:,.10g} of {allowed}{unit}{over}; {self.hint}"
        )

    @property
    def refusal(self) -> Refusal:
        """The same as a reason why a network cannot go to a target."""
        what, _, hint = str(self).removeprefix(f"{self.where}: ").rpartition("; ")
        return Refusal(self.where, what, hint)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "limit": self.limit,
            "where": self.where,
            "value": self.value,
            "allowed": self.allowed,
            "excess": self.excess,
            "unit": self.unit,
            **hint_json(self.hint),
        }


@dataclass(frozen=True)
class Unchecked:
    """A limit that could not be checked; `decides` says whether the verdict hangs on it."""

    limit: str
    reason: str
    decides: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"limit": self.limit, "reason": self.reason, "decides": self.decides}
