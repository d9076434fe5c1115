"""Persons as what differs from the empty scene: for a camera that stands still, without a network.

The empty scene is each pixel's most frequent value over frames spread over the whole video: persons
who stand at one place after another differ, the scene behind them does not. It finds whatever moves
and is upright; persons that touch are one, and whoever never moves belongs to the scene.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.extras import need

from ..frame_files import Frame
from .detections import Detections

FRAMES = 45
WIDTH = 256  # columns of the pictures that are compared
ALIKE = 14.0  # grey levels between two values of the same thing
LEAST_DIFFERENCE = 22.0  # grey levels
LEAST_AREA = 0.0015  # of the picture
LEAST_PART = 0.0003  # of the picture, of a part of a person
LARGEST_GAP = 0.15  # between two parts, of the height of the two together
PROPORTIONS = (1.3, 5.0)  # height over width
FILLED = (0.3, 0.75)  # part of its box that a person covers: surely none, surely one


class BackgroundDetector:
    """Learns the empty scene from a video, then finds what is not of it.

    Args:
        frames: of the video, index, time and picture; read once.
        count: how many there are, if that is known.
    """

    def __init__(self, frames: Iterable[tuple[int, int, Frame]], count: int | None = None) -> None:
        step = max(1, (count or FRAMES * 10) // FRAMES)
        kept = [self._small(frame) for index, _, frame in frames if index % step == 0]
        while len(kept) > 3 * FRAMES:
            kept = kept[::2]
        self.scene = _most_frequent(np.stack(kept))

    @staticmethod
    def _small(frame: Frame) -> NDArray[np.float32]:
        cv2 = need("cv2", "detecting persons")

        height, width = frame.shape[:2]
        columns = min(WIDTH, width)
        size = (columns, max(1, round(columns * height / width)))
        return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.float32)

    def describe(self) -> dict[str, Any]:
        """See `Detector`."""
        return {"name": "background subtraction", "origin": "this package", "licence": "MIT"}

    def detect(self, frame: Frame) -> Detections:
        """See `Detector`; the score is how much of its box a moving thing fills."""
        cv2 = need("cv2", "detecting persons")

        small = self._small(frame)
        moved = (np.abs(small - self.scene).max(2) > LEAST_DIFFERENCE).astype(np.uint8)
        moved = cv2.morphologyEx(moved, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        high = max(5, small.shape[0] // 24) | 1
        moved = cv2.morphologyEx(moved, cv2.MORPH_CLOSE, np.ones((high, 5), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(moved, connectivity=8)
        parts = [
            row for row in np.asarray(stats[1:], np.float64) if row[4] >= LEAST_PART * moved.size
        ]
        x, y, width, height, area = np.array(_joined(parts)).reshape(-1, 5).T
        tall = height / np.maximum(width, 1)
        large = area >= LEAST_AREA * moved.size
        keep = large & (tall >= PROPORTIONS[0]) & (tall <= PROPORTIONS[1])
        filled = area / np.maximum(width * height, 1)
        scores = np.clip((filled - FILLED[0]) / (FILLED[1] - FILLED[0]), 0, 1)
        scale = frame.shape[1] / small.shape[1]
        boxes = np.column_stack([x, y, x + width, y + height]) * scale
        return Detections(boxes[keep], 0.3 + 0.65 * scores[keep])


def _most_frequent(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each pixel's value with most others alike it, averaged with them: ``[N, H, W, 3]``."""
    best = np.zeros(stack.shape[1:3], np.int64)
    scene: NDArray[np.float32] = stack[0].copy()
    for one in stack:
        alike = np.abs(stack - one).max(3) < ALIKE
        count = alike.sum(0)
        better = count > best
        if better.any():
            chosen = alike[:, better][..., None]
            mean = (stack[:, better] * chosen).sum(0) / count[better][:, None]
            scene[better] = mean
            best[better] = count[better]
    return scene


def _joined(parts: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Return parts one above the other, put together: rows of left, top, width, height, area."""
    parts = sorted(parts, key=lambda row: -row[4])
    joined: list[NDArray[np.float64]] = []
    for part in parts:
        for k, whole in enumerate(joined):
            shared = min(part[0] + part[2], whole[0] + whole[2]) - max(part[0], whole[0])
            low, high = min(part[1], whole[1]), max(part[1] + part[3], whole[1] + whole[3])
            gap = max(part[1], whole[1]) - min(part[1] + part[3], whole[1] + whole[3])
            if shared > 0.5 * min(part[2], whole[2]) and gap < LARGEST_GAP * (high - low):
                left = min(part[0], whole[0])
                right = max(part[0] + part[2], whole[0] + whole[2])
                area = part[4] + whole[4]
                joined[k] = np.array([left, low, right - left, high - low, area])
                break
        else:
            joined.append(part)
    return joined
