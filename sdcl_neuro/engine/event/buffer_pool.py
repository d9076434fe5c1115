"""Output buffers of large runs, reused once no array of them is left.

The system hands out memory page by page and clears it, which takes as long as a step of a large and
quiet picture. A program that follows a camera drops the spikes of one piece before it asks for the
next but one.
"""

from __future__ import annotations

import weakref
from collections import deque
from math import prod

import numpy as np

from sdcl_neuro.network.spike_file import Spikes

LEAST_BYTES = 1 << 20
"""Smaller buffers come from the allocator's own stock."""
KEPT_BYTES = 128 << 20
"""Most bytes of idle buffers that are kept."""


class BufferPool:
    """Buffers that return by themselves when the last array, view or tensor of them is gone.

    Args:
        kept_bytes: most bytes of idle buffers that are kept.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._idle: deque[Spikes] = deque()  # each call on it is one step for all threads

    def take(self, shape: tuple[int, ...]) -> Spikes:
        """Return a uint8 array of a shape, its values undefined."""
        size = prod(shape)
        if not LEAST_BYTES <= size <= self._kept_bytes:
            return np.empty(shape, np.uint8)
        memory = self._found(size)
        if memory is None:
            memory = np.empty(size, np.uint8)
        # numpy gives a view of a view the first array as its base. This array is that base, and not
        # `memory`, which it sees through the buffer protocol.
        whole = np.frombuffer(memory.data, np.uint8)
        weakref.finalize(whole, self._give, memory).atexit = False
        return whole[:size].reshape(shape)

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
