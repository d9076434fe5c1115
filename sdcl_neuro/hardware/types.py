"""Frozen descriptions of a chip: its figures, each with unit, kind and source."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sdcl_neuro.network.content import Result


@dataclass(frozen=True)
class Quantity:
    """One figure of a profile, known or declared unknown.

    Attributes:
        unit: as the schema fixes it for the figure's name; empty for a text.
        low, high: the interval; equal for a single value. A missing end is None: a figure with
            only `high` is an upper bound, one with only `low` a lower bound.
        kind: ``code``, ``published``, ``derived``, ``recalled`` or ``own measurement``; empty if
            unknown.
        source: the citation in full; empty if unknown.
        values: allowed values, where the figure is a set.
        text: where the figure is words.
        unknown: why no one knows it; empty if it is known.
        note: what else to say.
    """

    unit: str
    low: float | None = None
    high: float | None = None
    kind: str = ""
    source: str = ""
    values: tuple[float, ...] = ()
    text: str = ""
    unknown: str = ""
    note: str = ""

    @property
    def bounds(self) -> tuple[float, float]:
        """Interval for arithmetic: no cost is negative, and an open end is infinite."""
        return self.low or 0.0, math.inf if self.high is None else self.high

    def __str__(self) -> str:
        if self.unknown:
            return "unknown"
        if self.text:
            return self.text
        if self.values:
            return f"{', '.join(f'{value:g}' for value in self.values)} {self.unit}".strip()
        if self.low == self.high:
            body = f"{self.low:,.12g}"
        elif self.low is None:
            body = f"at most {self.high:,.12g}"
        elif self.high is None:
            body = f"at least {self.low:,.12g}"
        else:
            body = f"{self.low:,.12g} to {self.high:,.12g}"
        return body if self.unit in ("", "1") else f"{body} {self.unit}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; an unknown figure is null with its reason."""
        if self.unknown:
            return {"value": None, "unit": self.unit, "reason": self.unknown}
        result: dict[str, Any] = {"unit": self.unit, "kind": self.kind, "source": self.source}
        if self.text:
            result["text"] = self.text
        elif self.values:
            result["values"] = list(self.values)
        else:
            result |= {"low": self.low, "high": self.high}
        return result | ({"note": self.note} if self.note else {})


Quantities = Mapping[str, Quantity]


@dataclass(frozen=True, eq=False)
class Variant(Result):
    """One consistent set of constants: `energy` in pJ, `time` in ns."""

    name: str
    title: str
    energy: Quantities = field(default_factory=dict)
    time: Quantities = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class CoreGroup(Result):
    """Cores of one kind, where a chip has several kinds."""

    cores: tuple[int, ...]
    quantities: Quantities


@dataclass(frozen=True, eq=False)
class HardwareProfile(Result):
    """One chip or system.

    Attributes:
        name, title, summary: what it is called and what it is.
        family: ``neuromorphic``, or ``dense`` for a reference that multiplies and accumulates.
        chip, limits, power: figures that every set of constants shares.
        variants: sets of constants, by name; where several exist they disagree, and a cost is
            the interval over all of them.
        bounds: energies that hold for the whole chip and check a modelled figure from outside.
        core_groups: for chips whose cores differ.
        notes: what a reader must know before believing a figure.
    """

    name: str
    title: str
    family: str
    summary: str
    chip: Quantities
    limits: Quantities
    power: Quantities
    variants: Mapping[str, Variant]
    bounds: Quantities
    core_groups: tuple[CoreGroup, ...] = ()
    notes: tuple[str, ...] = ()

    def tables(self) -> Iterator[tuple[str, Quantities]]:
        """Yield every table of figures with its heading, in reading order."""
        yield "chip", self.chip
        yield "limits", self.limits
        for group in self.core_groups:
            yield f"cores {', '.join(map(str, group.cores))}", group.quantities
        yield "power", self.power
        for variant in self.variants.values():
            yield f"energy, {variant.title}", variant.energy
            yield f"time, {variant.title}", variant.time
        yield "bounds from outside", self.bounds

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.title}", self.summary]
        lines += [f"  note: {note}" for note in self.notes]
        for heading, table in self.tables():
            if table:
                lines += ["", heading, *_rows(table)]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON with every figure, its kind and its source."""
        return {
            "schema": {"name": "sdcl_neuro.hw_profile", "version": 1},
            "name": self.name,
            "title": self.title,
            "family": self.family,
            "summary": self.summary,
            "notes": list(self.notes),
            **{key: _plain(getattr(self, key)) for key in ("chip", "limits", "power", "bounds")},
            "core_groups": [
                {"cores": list(group.cores), **_plain(group.quantities)}
                for group in self.core_groups
            ],
            "variants": {
                key: {
                    "title": variant.title,
                    "energy": _plain(variant.energy),
                    "time": _plain(variant.time),
                }
                for key, variant in self.variants.items()
            },
        }


def _plain(table: Quantities) -> dict[str, Any]:
    return {key: quantity.to_dict() for key, quantity in table.items()}


def _rows(table: Quantities) -> list[str]:
    width = max(len(key) for key in table)
    value_width = min(44, max(len(str(quantity)) for quantity in table.values()))
    rows = []
    for key, quantity in table.items():
        why = quantity.unknown or f"[{quantity.kind}] {quantity.source}"
        note = f" ({quantity.note})" if quantity.note else ""
        rows.append(f"  {key:<{width}}  {quantity!s:<{value_width}}  {why}{note}")
    return rows
