"""Large tensors in memory that was used before.

The first touch of a fresh page costs some twenty times what using it again does, and the C library
gives every block above 32 MiB back to the system when it is freed. A training step needs the same
few large tensors every time. `empty` hands out memory of tensors that no one holds any longer.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Block = NDArray[np.uint8]

SMALL_BYTES = 1 << 16
"""Below this the C library is as good."""
ALIGNMENT = 64
"""Bytes, as torch's own tensors."""
WASTE = 2
"""A block serves requests down to one over this of its size."""
_TYPES = {torch.float32: np.float32, torch.float64: np.float64}


class BlockPool:
    """Blocks that were used and are free again, the latest freed last.

    Args:
        keep_bytes: free blocks beyond this are given back to the system, the oldest first.
    """

    def __init__(self, keep_bytes: int = 1 << 30) -> None:
        self.keep_bytes = keep_bytes
        self._free: list[Block] = []
        # Filled by finalizers, at any moment and in any thread: appending is all they may do.
        self._returned: deque[Block] = deque()
        self._lock = threading.Lock()

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return a contiguous CPU tensor (float32 or float64) of whatever the memory holds.

        Its memory comes back when the last tensor that shares it is gone.
        """
        kind = np.dtype(_TYPES[dtype])
        count = prod(shape) * kind.itemsize
        if count < SMALL_BYTES:
            return torch.empty(tuple(shape), dtype=dtype)
        block = self._take(count)
        values = block[:count].view(kind).reshape(tuple(shape))
        weakref.finalize(values, self._returned.append, block).atexit = False
        return torch.from_numpy(values)

    def free_bytes(self) -> int:
        """Return what waits to be used again."""
        with self._lock:
            self._collect()
            return sum(block.nbytes for block in self._free)

    def clear(self) -> None:
        """Give all free blocks back to the system."""
        with self._lock:
            self._collect()
            self._free.clear()

    def _take(self, count: int) -> Block:
        with self._lock:
            self._collect()
            fits = [b for b in self._free if count <= b.nbytes <= WASTE * count]
            if not fits:
                return _aligned(count)
            best = min(fits, key=lambda block: block.nbytes)
            self._free = [block for block in self._free if block is not best]
            return best

    def _collect(self) -> None:
        while self._returned:
            self._free.append(self._returned.popleft())
        held = sum(block.nbytes for block in self._free)
        while held > self.keep_bytes:
            held -= self._free.pop(0).nbytes


def _aligned(count: int) -> Block:
    memory = np.empty(count + ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + count]


_POOL = BlockPool()


def empty(shape: Sequence[int], like: Tensor) -> Tensor:
    """Return an uninitialised contiguous tensor of `like`'s type and device."""
    if like.device.type != "cpu" or like.dtype not in _TYPES:
        return torch.empty(tuple(shape), dtype=like.dtype, device=like.device)
    return _POOL.empty(shape, like.dtype)


def release() -> None:
    """Give the memory that waits to be used again back to the system."""
    _POOL.clear()
