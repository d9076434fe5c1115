"""What a ledger holds: passages through stages, stages, figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .interval import figure

Tag = Literal["measured", "emulated", "modelled"]


@dataclass(frozen=True)
class Passage:
    """One passage through a stage, in seconds since the ledger was made.

    Attributes:
        name: of the stage.
        start_s, end_s: by the ledger's clock.
        parent: the stage around it on the same thread; empty at the top.
        thread: which thread, counted from 0 in order of appearance.
    """

    name: str
    start_s: float
    end_s: float
    parent: str
    thread: int

    @property
    def seconds(self) -> float:
        """Return how long it took."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class LedgerStage:
    """All passages through one stage under one parent."""

    name: str
    parent: str
    calls: int
    total_s: float
    least_s: float
    most_s: float

    @property
    def mean_s(self) -> float:
        """Mean over the passages."""
        return self.total_s / self.calls


@dataclass(frozen=True)
class LedgerFigure:
    """One figure: `low` equals `high` for a single value; None is an end that no one knows."""

    group: str
    name: str
    tag: Tag
    low: float | None
    high: float | None
    unit: str
    source: str = ""
    reason: str = ""

    def __str__(self) -> str:
        if self.low is None:
            missing = "not measured" if self.tag == "measured" else "unknown"
            return f"{missing} ({self.reason})"
        if self.high is None:
            return f"at least {figure(self.low)} {self.unit}"
        # A count is whole and shown whole; anything else to three digits.
        ends = [f"{e:,}" if isinstance(e, int) else figure(e) for e in (self.low, self.high)]
        return f"{' to '.join(dict.fromkeys(ends))} {self.unit}"
