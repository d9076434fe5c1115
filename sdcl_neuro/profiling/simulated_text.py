"""A simulator's figures and the model's as rows of text, for terminal and report alike."""

from __future__ import annotations

from collections.abc import Sequence

from sdcl_neuro.errors import number_of

from .interval import figure
from .simulated import FIGURES, PARTS_NOTE, SideBySide, SimulatedFigure

MOST_ROWS = 64
"""Steps that are listed one by one; beyond them the file in JSON has the rest."""
DRAINING = (
    "while the last spikes pass through the layers, biased and recurrent neurons go on spiking in "
    "the simulator; the model counts the spikes of the run alone"
)


def head(side: SideBySide) -> tuple[str, ...]:
    """Return titles of the columns."""
    name = side.simulated.simulator
    return (
        "step", f"{name} µs", "model µs", f"{name} µJ", "model µJ", f"{name} messages",
        "model messages", "hops",
    )  # fmt: skip


def rows(side: SideBySide) -> list[tuple[str, ...]]:
    """Return every chip step of the mean sample up to `MOST_ROWS`, then the whole sample."""
    listed = list(side.rows())
    kept = [_cells(row) for row in listed[:MOST_ROWS]]
    if len(listed) > MOST_ROWS:
        kept.append((f"{len(listed) - MOST_ROWS} more in the JSON", *[""] * 7))
    return [*kept, _cells(side.whole())]


def verdicts(side: SideBySide) -> Sequence[str]:
    """Count the samples and steps in which the model's interval holds the simulator's figure."""
    lines = []
    for name in FIGURES:
        held, of = side.contained(name)
        steps, of_steps = side.steps_contained(name)
        said = "contained" if held == of else "NOT contained"
        lines.append(
            f"{name}: {said} in the model's interval in {held} of {number_of(of, 'sample')}, "
            f"{steps} of {number_of(of_steps, 'step')}"
        )
    return [*lines, PARTS_NOTE, DRAINING]


def title(side: SideBySide) -> str:
    """Return which simulator ran what."""
    one = side.simulated
    return (
        f"{one.simulator} {one.version} and the model, step by step on {one.target}, mean of "
        f"{number_of(len(one.samples), 'sample')}"
    )


def _cells(row: SimulatedFigure) -> tuple[str, ...]:
    return (
        row.name, figure(row.time_us), str(row.modelled_us), figure(row.energy_uj),
        str(row.modelled_uj), figure(row.messages), str(row.modelled_messages), figure(row.hops),
    )  # fmt: skip
