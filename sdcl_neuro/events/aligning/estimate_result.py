"""What an estimate of an alignment found, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..alignment import Alignment


@dataclass(frozen=True, eq=False)
class Estimate:
    """What was found, and how far it can be trusted.

    Attributes:
        alignment: `offset_us`, and `mapping` where the views differ.
        score: signed correlation of event pictures with the change of log intensity, -1 to 1.
        elsewhere: the largest at other offsets.
        offset_spread_us: by how much the two halves of the intervals disagree.
        view_spread_px: the same of where the frame's corners lie, in frame pixels; 0 where the
            views are the same.
        freedom: coordinates of the view that were free: 0 same view, 2 shift, 4 similarity, 6
            affine, 8 homography.
        turn: of `TURNS`.
        intervals: frame intervals that were compared.
        interval_us: their median length.
    """

    alignment: Alignment
    score: float
    elsewhere: float
    offset_spread_us: float
    view_spread_px: float
    freedom: int
    turn: str
    intervals: int
    interval_us: float

    @property
    def sureness(self) -> float:
        """0 (as good as any other offset) to 1: how far the found offset stands out."""
        return float(np.clip((self.score - self.elsewhere) / max(self.score, 1e-9), 0.0, 1.0))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "sureness": round(self.sureness, 4),
            "score": round(self.score, 4),
            "score_elsewhere": round(self.elsewhere, 4),
            "offset_spread_us": round(self.offset_spread_us, 1),
            "view_spread_px": round(self.view_spread_px, 3),
            "view_freedom": self.freedom,
            "sensor": self.turn,
            "intervals": self.intervals,
            "interval_us": round(self.interval_us, 1),
        }

    def __str__(self) -> str:
        views = {0: "the same view", 2: "a shifted view", 4: "a shifted, turned and scaled view"}
        view = views.get(self.freedom, "a view by homography")
        return (
            f"offset {self.alignment.offset_us} us (halves differ by "
            f"{self.offset_spread_us / 1e3:.2f} ms), {view} (by {self.view_spread_px:.2f} px), "
            f"sensor {self.turn}\nsureness {self.sureness:.2f}: signed correlation "
            f"{self.score:.3f}, at other offsets at most {self.elsewhere:.3f}, over "
            f"{self.intervals} frame intervals"
        )
