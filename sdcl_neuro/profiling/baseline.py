"""Compare a profile with an earlier one: which figures moved by more than a tolerance, for CI."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import CheckFailed, InputError, number_of
from sdcl_neuro.files.reading import read_json

from .interval import figure
from .result import SCHEMA, Profile

TOLERANCE = 0.05
"""Relative change that passes unless another is asked for."""
_COUNTS = ("spikes_in", "spikes_out", "synops", "synops_nonzero", "updates")
_LARGEST_FILE = 1 << 28
Value = float | bool | None


@dataclass(frozen=True)
class FigureChange:
    """One figure then and now; None is unknown.

    Attributes:
        name: where it stands in the profile, such as ``energy of loihi1, high (uJ)``.
    """

    name: str
    before: Value
    now: Value

    @property
    def relative(self) -> float:
        """Change as a part of the earlier figure; infinite where one is unknown or was zero."""
        if self.before == self.now:
            return 0.0
        if self.before is None or self.now is None or isinstance(self.now, bool):
            return math.inf
        return math.inf if not self.before else float(self.now) / float(self.before) - 1

    def beyond(self, tolerance: float) -> bool:
        """Return whether it moved by more than a tolerance, up or down."""
        # What differs by rounding alone has not moved.
        return abs(self.relative) > tolerance + 1e-12

    def __str__(self) -> str:
        moved = self.relative
        how = "" if math.isinf(moved) else f" ({100 * moved:+.3g} %)"
        return f"{self.name}: {_shown(self.before)} to {_shown(self.now)}{how}"


@dataclass(frozen=True)
class ProfileComparison:
    """Every figure that both profiles have.

    Attributes:
        path: of the earlier profile.
        tolerance: relative.
        changes: all figures compared, moved or not.
        skipped: what only one of the two has.
    """

    path: str
    tolerance: float
    changes: tuple[FigureChange, ...]
    skipped: tuple[str, ...]

    @property
    def moved(self) -> tuple[FigureChange, ...]:
        """Those beyond the tolerance."""
        return tuple(change for change in self.changes if change.beyond(self.tolerance))

    def require(self) -> ProfileComparison:
        """Return itself, unless a figure moved beyond the tolerance.

        Raises:
            CheckFailed: with every figure that did.
        """
        if self.moved:
            raise CheckFailed(
                f"{number_of(len(self.moved), 'figure')} moved by more than "
                f"{100 * self.tolerance:g} %: " + " | ".join(map(str, self.moved)),
                where=self.path,
            )
        return self

    def __str__(self) -> str:
        lines = [
            f"Against {self.path}: {len(self.changes)} figures compared, {len(self.moved)} moved "
            f"by more than {100 * self.tolerance:g} %"
        ]
        lines += [f"  moved: {change}" for change in self.moved]
        lines += [f"  not compared: {name}" for name in self.skipped]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "file": self.path,
            "tolerance": self.tolerance,
            "compared": len(self.changes),
            "moved": [
                {
                    "name": change.name,
                    "before": change.before,
                    "now": change.now,
                    "relative": None if math.isinf(change.relative) else change.relative,
                }
                for change in self.moved
            ],
            "not_compared": list(self.skipped),
        }


def read_baseline(path: Path | str) -> dict[str, Any]:
    """Read an earlier profile's JSON.

    Raises:
        InputError: no such file, not JSON, or not a profile.
    """
    hint = "give the JSON that an earlier `sdcl-neuro profile --json FILE` wrote"
    found = read_json(path, what="a profile's JSON", largest=_LARGEST_FILE)
    schema = found.get("schema") if isinstance(found, dict) else None
    name = schema.get("name") if isinstance(schema, dict) else None
    if name != SCHEMA["name"]:
        raise InputError(
            f"expected a profile, got {name or 'no schema'}", where=str(path), hint=hint
        )
    return dict(found)


def compare(
    profile: Profile, baseline: Mapping[str, Any], *, path: str, tolerance: float = TOLERANCE
) -> ProfileComparison:
    """Hold a profile against an earlier one's JSON.

    Args:
        profile: of now.
        baseline: as `read_baseline` gives it.
        path: how to call it.
        tolerance: relative change that passes.

    Raises:
        InputError: a tolerance that is negative or not finite, nothing to compare.
    """
    if not 0 <= tolerance < math.inf:
        raise InputError(
            f"expected a tolerance of at least 0, got {100 * tolerance:g} %",
            where="--tolerance",
            hint="give a percentage",
        )
    now, before = dict(_figures(profile.to_dict())), dict(_figures(baseline))
    both = [name for name in now if name in before]
    if not both:
        raise InputError("the baseline has no figure of this profile", where=path)
    skipped = [f"{name} (not in the baseline)" for name in now if name not in before]
    skipped += [f"{name} (not now)" for name in before if name not in now]
    return ProfileComparison(
        path,
        tolerance,
        tuple(FigureChange(name, before[name], now[name]) for name in both),
        tuple(skipped),
    )


def _figures(data: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """Yield name and value of everything that is compared."""
    yield from _pick("a sample's", data.get("per_sample"), _COUNTS)
    for layer in _list(data.get("layers")):
        yield from _pick(f"{layer.get('name')}'s", layer, ("neurons", "synapses", "spikes_out"))
    for hw, entry in _mapping(data.get("energy")).items():
        whole = _mapping(entry)
        bounded = _mapping(whole.get("bounded")) or whole
        yield from _pick(f"energy on {hw},", bounded, ("low_uj", "high_uj"))
    for hw, entry in _mapping(data.get("latency")).items():
        yield from _pick(f"latency on {hw},", _mapping(entry), ("low_us", "high_us"))
    for hw, entry in _mapping(data.get("fit")).items():
        yield from _pick(f"fit on {hw},", _mapping(entry), ("fits", "cores", "chips"))


def _pick(where: str, table: Any, names: tuple[str, ...]) -> Iterator[tuple[str, Value]]:
    found = _mapping(table)
    for name in names:
        if name in found and isinstance(found[name], int | float | None):
            yield f"{where} {name}", found[name]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [_mapping(entry) for entry in value] if isinstance(value, list) else []


def _shown(value: Value) -> str:
    if value is None:
        return "unknown"
    return str(value) if isinstance(value, bool) else figure(value)
