"""What a live session saw: each tracklet as it is done, and the sum of it all at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdcl_neuro.errors import number_of
from sdcl_neuro.profiling.ledger import Ledger

SCHEMA = {"name": "sdcl_neuro.live", "version": 1}
PERCENTILES = (50, 90, 99, 100)


@dataclass(frozen=True)
class Seen:
    """One tracklet that was embedded.

    Attributes:
        name: of the tracklet.
        track: the tracker's id.
        first_frame, last_frame: counted from 1.
        latency_s: from the arrival of its last frame to its embedding; measured.
        waited_s: the part of it spent in the queue.
        nearest: the most like track among the others seen before, by the cosine of mean embeddings;
            None for the first track.
        similarity: that cosine.
    """

    name: str
    track: int
    first_frame: int
    last_frame: int
    latency_s: float
    waited_s: float
    nearest: int | None = None
    similarity: float | None = None

    def __str__(self) -> str:
        text = (
            f"track {self.track}, frames {self.first_frame} to {self.last_frame}: "
            f"{1e3 * self.latency_s:.1f} ms"
        )
        if self.nearest is None:
            return text
        return f"{text}, most like track {self.nearest} ({self.similarity:.3f})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(vars(self))


@dataclass(frozen=True, eq=False)
class LiveReport:
    """A session's sum; every figure but the counts is measured.

    Attributes:
        mode, policy, batch, queue: as set.
        seconds: from the first frame's arrival to the last embedding.
        frames: taken in.
        cut: tracklets that were complete.
        embedded: tracklets that got an embedding.
        dropped: tracklets dropped by the queue's policy.
        unfinished: tracklets that waited when the session was ended from outside.
        interrupted: windows given up because their track was missing from a frame.
        mended: boxes cut to the picture or dropped outside it.
        late_events, late_boxes: what came after its interval was closed, and was left out.
        deepest: most tracklets that ever waited.
        latencies_s: the last embedded tracklets' latencies, `LATENCIES_KEPT` at most.
        ledger: latency by stage.
        assumed: what neither sources nor options state, and was taken for granted.
        notes: what a user should know of how events and frames lie to each other.
    """

    mode: str
    policy: str
    batch: int
    queue: int
    seconds: float
    frames: int
    cut: int
    embedded: int
    dropped: int
    unfinished: int
    interrupted: int
    mended: int
    late_events: int
    late_boxes: int
    deepest: int
    latencies_s: Sequence[float]
    ledger: Ledger
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def latency_ms(self, percent: float) -> float | None:
        """Return a percentile of the latency in milliseconds; None if nothing was embedded."""
        if not self.latencies_s:
            return None
        return 1e3 * float(np.percentile(np.asarray(self.latencies_s), percent))

    def __str__(self) -> str:
        rate = self.embedded / self.seconds if self.seconds else 0.0
        frames, cut = number_of(self.frames, "frame"), number_of(self.cut, "tracklet")
        lines = [
            f"{frames} in {self.seconds:.2f} s, {cut}: "
            f"{self.embedded} embedded ({rate:.1f}/s), {self.dropped} dropped ({self.policy}), "
            f"{self.unfinished} unfinished [measured]"
        ]
        if self.latencies_s:
            parts = [
                f"{'longest' if p == 100 else f'{p} %'} {self.latency_ms(p):.1f} ms"
                for p in PERCENTILES
            ]
            lines.append("latency, frame to embedding: " + ", ".join(parts) + " [measured]")
        lines += [*(f"assumed: {line}" for line in self.assumed), *self.notes]
        lines.append(
            f"queue: at most {self.deepest} of {self.queue} waiting; "
            f"{number_of(self.interrupted, 'window')} interrupted, "
            f"{number_of(self.mended, 'box')} repaired, "
            f"{number_of(self.late_events, 'late event')}, "
            f"{number_of(self.late_boxes, 'late box')}"
        )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, schema ``sdcl_neuro.hybrid.live``."""
        plain = {k: v for k, v in vars(self).items() if k not in ("latencies_s", "ledger")}
        return {
            "schema": SCHEMA,
            **plain,
            "latency_ms": {f"p{p}": self.latency_ms(p) for p in PERCENTILES},
            "tracklets_per_s": self.embedded / self.seconds if self.seconds else None,
            "ledger": self.ledger.to_dict(),
        }
