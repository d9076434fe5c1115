"""A simulator's figures and the model's, as a section of the page."""

from __future__ import annotations

from ..interval import Interval
from ..simulated import SideBySide
from ..simulated_text import head, rows, title, verdicts
from .charts import IntervalRow, interval_chart
from .page import Section, join
from .tables import bullets, table


def simulated_section(side: SideBySide) -> Section:
    """Return latency and energy of a sample on both sides, then every step."""
    name, whole = side.simulated.simulator, side.whole()
    charts = [
        interval_chart(
            [
                IntervalRow("model", modelled, "model"),
                IntervalRow(name, Interval(value, value), name),
            ],
            unit=unit,
            caption=caption,
            tag="modelled",
        )
        for value, modelled, unit, caption in (
            (whole.time_us, whole.modelled_us, "µs", "Time of a sample by itself"),
            (whole.energy_uj, whole.modelled_uj, "µJ", "Energy of a sample by itself"),
        )
    ]
    *steps, last = rows(side)
    listed = table(list(head(side)), [list(row) for row in steps], total=list(last))
    lead = f"{title(side)}. It maps neurons, messages and mesh one by one."
    return Section(f"Simulated by {name}", join(*charts, listed, bullets(verdicts(side))), lead)
