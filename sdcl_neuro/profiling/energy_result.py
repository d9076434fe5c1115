"""Energies as they come out of the model: parts that add up, with their constants and reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .cost import Constant
from .interval import Interval, finite, total


@dataclass(frozen=True)
class Part:
    """One part of an energy, in microjoules, with the constants behind it."""

    uj: Interval
    constants: tuple[Constant, ...]
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; an open end is null with a reason."""
        return {**uj_dict(self.uj), "source": self.source, "tag": "modelled"}


@dataclass(frozen=True)
class VariantEnergy:
    """What one set of constants says; `not_modelled` gives the reason for each missing part."""

    title: str
    parts: Mapping[str, Part] = field(default_factory=dict)
    not_modelled: Mapping[str, str] = field(default_factory=dict)

    @property
    def uj(self) -> Interval:
        """Sum of the parts."""
        return total(part.uj for part in self.parts.values())


@dataclass(frozen=True)
class Energy:
    """Energy of one sample on one target.

    Attributes:
        parts: by name; they add up to `uj`.
        dynamic_uj: the parts without static power.
        variants: each set of constants alone, narrower than their common interval.
        not_modelled: part to reason.
        bound_uj: an all-in upper bound from outside the model, with its constant; or None.
        reason: why there is no energy at all; empty if there is one.
    """

    parts: Mapping[str, Part]
    variants: Mapping[str, VariantEnergy]
    not_modelled: Mapping[str, str]
    bound: Part | None = None
    reason: str = ""

    @property
    def uj(self) -> Interval | None:
        """Sum of the parts; None if nothing is known."""
        return total(part.uj for part in self.parts.values()) if self.known else None

    @property
    def dynamic_uj(self) -> Interval | None:
        """Sum of the parts without static power; None if nothing is known."""
        parts = [part.uj for name, part in self.parts.items() if name != "static"]
        return total(parts) if self.known else None

    @property
    def known(self) -> bool:
        """Whether there is any modelled energy."""
        return not self.reason

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            **uj_dict(self.uj, reason=self.reason),
            "tag": "modelled",
            "parts": {name: part.to_dict() for name, part in self.parts.items()},
            "dynamic": uj_dict(self.dynamic_uj, reason=self.reason),
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
    def constants(self) -> tuple[Constant, ...]:
        """Every constant that went in, each once."""
        found = [constant for part in self.parts.values() for constant in part.constants]
        return tuple(dict.fromkeys(found))


def uj_dict(interval: Interval | None, *, reason: str = "") -> dict[str, Any]:
    """The two ends in microjoules; null with a reason where one is unknown."""
    if interval is None:
        return {"low_uj": None, "high_uj": None, "reason": reason}
    ends: dict[str, Any] = {"low_uj": interval.low, "high_uj": finite(interval.high)}
    if ends["high_uj"] is None:
        ends["reason"] = "the source gives a lower bound only"
    return ends
