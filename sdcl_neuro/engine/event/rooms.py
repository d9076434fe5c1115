"""Room for the spikes of large runs, used again once nobody holds them any more.

The system gives memory page by page, cleared, which takes as long as a step of a large and quiet
picture. Whoever follows a camera drops the spikes of one piece before the next but one comes.
"""

from __future__ import annotations

import weakref
from collections import deque
from math import prod

import numpy as np

from sdcl_neuro.network.spike_file import Spikes

LEAST_BYTES = 1 << 20
"""Smaller room comes from the allocator's own stock."""
KEPT_BYTES = 128 << 20
"""Bytes of idle room that are kept at most."""


class Rooms:
    """Room that comes back by itself when the last array, view or tensor of it is gone.

    Args:
        kept_bytes: idle room kept at most.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._idle: deque[Spikes] = deque()  # each call on it is one step for all threads

    def take(self, shape: tuple[int, ...]) -> Spikes:
        """Return uint8 of a shape, with anything in it."""
        size = prod(shape)
        if not LEAST_BYTES <= size <= self._kept_bytes:
            return np.empty(shape, np.uint8)
        memory = self._found(size)
        if memory is None:
            memory = np.empty(size, np.uint8)
        # Views of views name the outermost array as their base, which this is and `memory` is not.
        room = np.frombuffer(memory.data, np.uint8)
        weakref.finalize(room, self._give, memory).atexit = False
        return room[:size].reshape(shape)

    def _found(self, size: int) -> Spikes | None:
        """Return idle memory that fits, of at most twice the size."""
        for _ in range(len(self._idle)):
            try:
                memory = self._idle.popleft()
            except IndexError:  # another thread has taken it
                return None
            if size <= len(memory) <= 2 * size:
                return memory
            self._idle.append(memory)
        return None

    def _give(self, memory: Spikes) -> None:
        self._idle.append(memory)
        while sum(map(len, tuple(self._idle))) > self._kept_bytes:
            try:
                self._idle.popleft()
            except IndexError:  # another thread has dropped it
                return
