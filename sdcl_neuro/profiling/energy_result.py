"""Energies as they come out of the model: parts that add up, with their constants and reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .cost import Constant
from .interval import Interval, finite, hull, total

_LOWER_BOUND = "the source gives a lower bound only"


@dataclass(frozen=True)
class EnergyPart:
    """One part of an energy in microjoules, its constants, and why an end is open (if it is)."""

    uj: Interval
    constants: tuple[Constant, ...]
    source: str
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; an open end is null with a reason."""
        return {**uj_dict(self.uj, reason=self.reason), "source": self.source, "tag": "modelled"}

    @property
    def open(self) -> bool:
        """Return whether nothing at all is known of it, only that it is there."""
        return math.isinf(self.uj.high) and self.uj.low == 0


@dataclass(frozen=True)
class VariantEnergy:
    """What one set of constants says; `not_modelled` gives the reason for each missing part."""

    title: str
    parts: Mapping[str, EnergyPart] = field(default_factory=dict)
    not_modelled: Mapping[str, str] = field(default_factory=dict)

    @property
    def uj(self) -> Interval:
        """Sum of the parts."""
        return total(part.uj for part in self.parts.values())

    @property
    def bounded_uj(self) -> Interval:
        """Sum of the parts but those whose upper end is open."""
        return total(part.uj for part in self.parts.values() if not part.open)


@dataclass(frozen=True)
class Energy:
    """Energy of one sample on one target.

    Attributes:
        parts: by name, each the interval over all sets of constants.
        uj: the interval over each set's own sum, and what all sets share.
        dynamic_uj: the same without static power.
        bounded_uj: `uj` without the parts whose upper end is open.
        variants: each set of constants alone, narrower than their common interval.
        not_modelled: part to reason.
        bound: an all-in upper bound from outside the model, with its constant; or None.
        steps: of the chip that they cover.
        reason: why there is no energy at all; empty if there is one.
    """

    parts: Mapping[str, EnergyPart]
    variants: Mapping[str, VariantEnergy]
    not_modelled: Mapping[str, str]
    bound: EnergyPart | None = None
    reason: str = ""
    steps: int = 0

    @property
    def uj(self) -> Interval | None:
        """All parts together; None if nothing is known."""
        return self._sum(static=True, open_ends=True) if self.known else None

    @property
    def dynamic_uj(self) -> Interval | None:
        """All parts but static power; None if nothing is known."""
        return self._sum(static=False, open_ends=True) if self.known else None

    @property
    def bounded_uj(self) -> Interval | None:
        """All parts but those whose upper end is open; None if nothing is known."""
        return self._sum(static=True, open_ends=False) if self.known else None

    @property
    def bounded_dynamic_uj(self) -> Interval | None:
        """Return `bounded_uj` without static power."""
        return self._sum(static=False, open_ends=False) if self.known else None

    @property
    def open_parts(self) -> tuple[str, ...]:
        """Parts whose upper end is open."""
        return tuple(name for name, part in self.parts.items() if part.open)

    def _sum(self, *, static: bool, open_ends: bool) -> Interval:
        def kept(parts: Mapping[str, EnergyPart]) -> Interval:
            return total(part.uj for part in parts.values() if open_ends or not part.open)

        own = {name for variant in self.variants.values() for name in variant.parts}
        shared = {
            name: part
            for name, part in self.parts.items()
            if name not in own and (static or name != "static")
        }
        sets = [kept(variant.parts) for variant in self.variants.values()]
        return kept(shared) + hull(sets) if sets else kept(shared)

    @property
    def known(self) -> bool:
        """Return whether there is any modelled energy."""
        return not self.reason

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            **uj_dict(self.uj, reason=self.reason or self.open_reason),
            "tag": "modelled",
            "steps": self.steps,
            "parts": {name: part.to_dict() for name, part in self.parts.items()},
            "dynamic": uj_dict(self.dynamic_uj, reason=self.reason or self.open_reason),
            "bounded": {
                **uj_dict(self.bounded_uj, reason=self.reason),
                "dynamic": uj_dict(self.bounded_dynamic_uj, reason=self.reason),
                "without": list(self.open_parts),
            },
            "variants": {
                name: {
                    "title": variant.title,
                    **uj_dict(variant.uj),
                    "parts": {key: part.to_dict() for key, part in variant.parts.items()},
                }
                for name, variant in self.variants.items()
            },
            "not_modelled": {
                name: {"low_uj": None, "high_uj": None, "reason": reason}
                for name, reason in self.not_modelled.items()
            },
            "bound": None if self.bound is None else self.bound.to_dict(),
            "constants": [constant.to_dict() for constant in self.constants],
        }

    @property
    def left_out(self) -> str:
        """Return what `bounded_uj` leaves out, to be put after a name; empty if nothing."""
        names = ", ".join(name.replace("_", " ") for name in self.open_parts)
        return f" without {names}" if names else ""

    @property
    def open_reason(self) -> str:
        """Say why the upper end is open; empty if it is not."""
        return "; ".join(
            f"{name.replace('_', ' ')}: {part.reason or _LOWER_BOUND}"
            for name, part in self.parts.items()
            if math.isinf(part.uj.high)
        )

    @property
    def constants(self) -> tuple[Constant, ...]:
        """Every constant that went in, each once."""
        found = [constant for part in self.parts.values() for constant in part.constants]
        return tuple(dict.fromkeys(found))


def uj_dict(interval: Interval | None, *, reason: str = "") -> dict[str, Any]:
    """Return the two ends in microjoules; null with a reason where one is unknown."""
    if interval is None:
        return {"low_uj": None, "high_uj": None, "reason": reason}
    ends: dict[str, Any] = {"low_uj": interval.low, "high_uj": finite(interval.high)}
    if ends["high_uj"] is None:
        ends["reason"] = reason or _LOWER_BOUND
    return ends
