"""The tracks seen so far, by mean embedding: who looks most like whom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .report import Seen

TRACKS_KEPT = 1_000


class Tracks:
    """Mean embeddings of the last `most` tracks.

    Args:
        most: tracks remembered; the one that has not been seen for longest is forgotten.
    """

    def __init__(self, most: int = TRACKS_KEPT) -> None:
        self._most = most
        self._slots: dict[int, int] = {}  # by track, the longest unseen first
        self._sums: NDArray[np.float32] = np.empty((0, 0), np.float32)

    def compare(self, seen: Seen, embedding: NDArray[np.float32]) -> Seen:
        """Add one tracklet to its track; name the other track that is most like its mean.

        Args:
            seen: the tracklet.
            embedding: float32 ``[D]``, of unit length.
        """
        if not self._sums.size:
            self._sums = np.zeros((self._most, len(embedding)), np.float32)
        mine = self._slot(seen.track)
        self._sums[mine] += embedding
        others = {track: slot for track, slot in self._slots.items() if slot != mine}
        if not others:
            return seen
        sums = self._sums[list(others.values())]
        norms = np.linalg.norm(sums, axis=1) * np.linalg.norm(self._sums[mine])
        cosines = sums @ self._sums[mine] / np.maximum(norms, 1e-12)
        best = int(np.argmax(cosines))
        return replace(seen, nearest=list(others)[best], similarity=float(cosines[best]))

    def _slot(self, track: int) -> int:
        slot = self._slots.pop(track, None)
        if slot is None:
            slot = len(self._slots)
            if slot == self._most:
                slot = self._slots.pop(next(iter(self._slots)))
            self._sums[slot] = 0
        self._slots[track] = slot
        return slot
