"""Boxes with scores, and what every detector gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..frame_files import Frame

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Detections:
    """Persons found in one frame.

    Attributes:
        boxes: float64 ``[N, 4]``, left, top, right, bottom in pixels.
        scores: float64 ``[N]``, 0 to 1.
    """

    boxes: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def pick(self, which: NDArray[Any]) -> Detections:
        """Return some of them, by index or mask."""
        return Detections(self.boxes[which], self.scores[which])


class Detector(Protocol):
    """Finds persons in a frame."""

    def detect(self, frame: Frame) -> Detections:
        """Return persons in an RGB frame ``[H, W, 3]``, those it is hardly sure of included."""

    def describe(self) -> dict[str, Any]:
        """Return where it comes from, as plain JSON values; ``name`` among them."""


def overlaps(one: Floats, other: Floats) -> Floats:
    """Return intersection over union of boxes ``[N, 4]`` and ``[M, 4]``, ``[N, M]``."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None] - shared
    result: Floats = shared / np.maximum(union, 1e-9)
    return result


def without_doubles(
    found: Detections, *, most_overlap: float, most_inside: float = 1.01
) -> Detections:
    """Return non-maximum suppression: of boxes that overlap, the one with the highest score.

    Args:
        found: of one frame.
        most_overlap: intersection over union that two persons may have.
        most_inside: part of the smaller box that may lie inside a better one; tiles cut persons.
    """
    order = np.argsort(-found.scores, kind="stable")
    boxes = found.boxes[order]
    areas = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-9)
    kept: list[int] = []
    for k in range(len(boxes)):
        if kept:
            low = np.maximum(boxes[kept, :2], boxes[k, :2])
            high = np.minimum(boxes[kept, 2:], boxes[k, 2:])
            shared = np.clip(high - low, 0, None).prod(1)
            union = areas[kept] + areas[k] - shared
            inside = shared / np.minimum(areas[kept], areas[k])
            if (shared / union > most_overlap).any() or (inside > most_inside).any():
                continue
        kept.append(k)
    return found.pick(order[kept])


def inside_frame(found: Detections, width: int, height: int) -> Detections:
    """Return boxes cut to the picture; what is left with less than two pixels a side goes."""
    boxes = found.boxes.copy()
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
    large = ((boxes[:, 2:] - boxes[:, :2]) >= 2).all(1) & np.isfinite(boxes).all(1)
    return Detections(boxes[large], found.scores[large])
