"""How well found tracks agree with given ones: recall, precision and switches of identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sdcl_neuro.errors import number_of

from ..mot import Track
from .detections import Floats, overlaps

LEAST_OVERLAP = 0.5


@dataclass(frozen=True)
class TrackScore:
    """Agreement of found tracks with given ones, at an overlap (IoU) of a half.

    Attributes:
        recall: part of the given boxes that were found.
        precision: part of the found boxes that were given.
        switches: times a given person went on under another number (CLEAR MOT's identity switches).
        fragments: found tracks over given ones that were found at all.
        given, found: boxes.
    """

    recall: float
    precision: float
    switches: int
    fragments: float
    given: int
    found: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        switches = number_of(self.switches, "identity switch")
        return (
            f"against the given tracks, at IoU 0.5: recall {self.recall:.2f}, precision "
            f"{self.precision:.2f}, {switches}"
        )


def score_tracks(
    given: Sequence[Track], found: Sequence[Track], *, frames: Sequence[int] | None = None
) -> TrackScore:
    """Match boxes frame by frame as CLEAR MOT does: a match holds as long as it still overlaps.

    Args:
        given: the truth.
        found: to be judged.
        frames: look at these frames (from 0) only, where the truth is of some frames alone.
    """
    from scipy.optimize import linear_sum_assignment

    truth, guess = _by_frame(given), _by_frame(found)
    looked = sorted(set(truth) | set(guess)) if frames is None else sorted(frames)
    last: dict[int, int] = {}
    seen: dict[int, set[int]] = {}
    matched = switches = boxes = guesses = 0
    for frame in looked:
        ids, own = truth.get(frame, ([], np.empty((0, 4))))
        others, theirs = guess.get(frame, ([], np.empty((0, 4))))
        boxes, guesses = boxes + len(ids), guesses + len(others)
        shared = overlaps(own, theirs)
        likeness = np.where(shared >= LEAST_OVERLAP, shared, 0.0)
        for row, person in enumerate(ids):  # a match that still holds goes before a better one
            if last.get(person) in others:
                column = others.index(last[person])
                likeness[row, column] += 10.0 * (likeness[row, column] > 0)
        for row, column in zip(*linear_sum_assignment(-likeness), strict=True):
            if likeness[row, column] <= 0:
                continue
            matched += 1
            person, number = ids[row], others[column]
            switches += last.get(person, number) != number
            last[person] = number
            seen.setdefault(person, set()).add(number)
    return TrackScore(
        matched / max(1, boxes),
        matched / max(1, guesses),
        int(switches),
        sum(map(len, seen.values())) / max(1, len(seen)),
        boxes,
        guesses,
    )


def _by_frame(tracks: Sequence[Track]) -> dict[int, tuple[list[int], Floats]]:
    """Return numbers and boxes (corners) by frame."""
    rows: dict[int, list[tuple[int, Floats]]] = {}
    for track in tracks:
        for index, box in zip(track.indices.tolist(), track.boxes, strict=True):
            corners = np.concatenate([box[:2], box[:2] + box[2:]])
            rows.setdefault(index, []).append((track.identity, corners))
    return {
        frame: ([number for number, _ in some], np.stack([box for _, box in some]))
        for frame, some in rows.items()
    }
