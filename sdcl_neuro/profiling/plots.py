"""The charts of a profile and of a run's stages as matplotlib axes (extra ``plot``)."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf
from typing import TYPE_CHECKING

from sdcl_neuro.network.pictures import axes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .interval import Interval
    from .ledger import Ledger
    from .result import Profile

Row = tuple[str, "Interval | None", str]
"""Label, interval, and the reason where it is unknown."""


def energy(profile: Profile, ax: Axes | None) -> Axes:
    """Draw each target's energy per sample, and the dense twin's, from lowest to highest."""
    rows: list[Row] = [
        (f"{name}{target.energy.left_out}", target.energy.bounded_uj, target.energy.reason)
        for name, target in profile.targets.items()
    ]
    rows.append(("int8 twin, arithmetic", profile.ann.arithmetic.uj, ""))
    rows.append(("int8 twin, with memory", profile.ann.with_memory, ""))
    return _intervals(rows, ax, "Energy per sample [modelled]", "µJ")


def energy_parts(profile: Profile, ax: Axes | None) -> Axes:
    """Draw the parts of each target's energy per sample."""
    rows: list[Row] = [
        (f"{name}: {part.replace('_', ' ')}", value.uj, "not published")
        for name, target in profile.targets.items()
        for part, value in target.energy.parts.items()
    ]
    return _intervals(rows, ax, "Where the energy goes [modelled]", "µJ")


def latency(profile: Profile, ax: Axes | None) -> Axes:
    """Draw the time from the first input to the last output on each target."""
    rows: list[Row] = [
        (name, target.latency.us, target.latency.reason) for name, target in profile.targets.items()
    ]
    return _intervals(rows, ax, "Latency of a sample [modelled]", "µs")


def activity(profile: Profile, ax: Axes | None) -> Axes:
    """Draw the share of neuron steps with a spike, layer by layer."""
    names = [layer.name for layer in profile.layers]
    shares = [100 * (1 - layer.activation_sparsity) for layer in profile.layers]
    ax = axes_of(ax, "Neuron steps with a spike [emulated]", height=1.2 + 0.35 * len(names))
    bars = ax.barh(range(len(names)), shares)
    ax.bar_label(bars, [f"{share:.2g} %" for share in shares], padding=3)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel("% of neuron steps")
    return ax


def timeline(ledger: Ledger, ax: Axes | None) -> Axes:
    """Draw the stages of a run as bars over time, a row for each stage."""
    spans = ledger.spans
    names = list(dict.fromkeys(span.name for span in spans))
    ax = axes_of(ax, "Stages of the run [measured]", height=1.2 + 0.35 * len(names))
    for row, name in enumerate(names):
        own = [span for span in spans if span.name == name]
        ax.broken_barh(
            [(1e3 * s.start_s, 1e3 * (s.end_s - s.start_s)) for s in own], (row - 0.4, 0.8)
        )
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel("ms")
    return ax


def _intervals(rows: Sequence[Row], ax: Axes | None, title: str, unit: str) -> Axes:
    """Draw bars from low to high on a logarithmic axis; an open end is an arrow."""
    ax = axes_of(ax, title, height=1.2 + 0.35 * len(rows))
    ends = [
        end
        for _, found, _ in rows
        if found is not None
        for end in (found.low, found.high)
        if end > 0 and not isinf(end)
    ]
    left, right = (min(ends) / 3, max(ends) * 3) if ends else (1.0, 10.0)
    ax.set_xscale("log")
    ax.set_xlim(left, right)
    for place, (_, found, reason) in enumerate(rows):
        if found is None:
            ax.text(left * 1.2, place, f"unknown: {reason}", va="center", fontsize="small")
            continue
        low, high = max(found.low, left), min(found.high, right)
        ax.barh(place, max(high - low, low * 0.02), left=low, height=0.6, color=f"C{place % 10}")
        if isinf(found.high):
            ax.annotate("", (right, place), (low, place), arrowprops={"arrowstyle": "->"})
    ax.set_yticks(range(len(rows)), [label for label, _, _ in rows])
    ax.invert_yaxis()
    ax.set_xlabel(unit)
    return ax
