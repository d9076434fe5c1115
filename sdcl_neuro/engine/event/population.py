"""Where the neurons of a population lie, and memory for them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import Shape

Weights = NDArray[Any]

LINE_BYTES = 64
"""Bytes of a cache line; on the few processors with longer ones only time is lost."""
TABLE_BYTES = 1 << 20
"""Tables of sums larger than this would leave the second cache; smaller groups are taken then."""


@dataclass(frozen=True)
class RowLayout:
    """Where the neurons of a shape lie in rows of bits; a flat one is a single pixel.

    Attributes:
        channels, height, width: of the shape.
        octets: bytes of a pixel.
        words: 64-bit words of a row.
    """

    channels: int
    height: int
    width: int

    @classmethod
    def of(cls, shape: Shape) -> RowLayout:
        """Make the population of a layer of shape ``(C, H, W)`` or ``(N,)``."""
        return cls(*(int(n) for n in (shape if len(shape) == 3 else (*shape, 1, 1))))

    @property
    def octets(self) -> int:
        """Bytes of a pixel."""
        return -(-self.channels // 8)

    @property
    def used(self) -> int:
        """Lanes of a row that belong to pixels."""
        return self.width * self.octets * 8

    @property
    def words(self) -> int:
        """64-bit words of a row."""
        return -(-self.width * self.octets // 8)

    @property
    def lanes(self) -> int:
        """Bits, and neurons, of a row."""
        return 64 * self.words

    def spread(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Map ``[..., C, H, W]`` to ``[..., H, lanes]``, zeros between."""
        *leading, channels, height, width = values.shape
        wide = np.zeros((*leading, height, self.width, self.octets * 8), values.dtype)
        wide[..., :width, :channels] = np.moveaxis(values, -3, -1)
        rows = np.zeros((*leading, height, self.lanes), values.dtype)
        rows[..., : self.used] = wide.reshape(*leading, height, self.used)
        return rows


def aligned(shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Return zeros in cache lines of their own: threads that write side by side would stop each
    other.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(-(-size // LINE_BYTES) * LINE_BYTES + LINE_BYTES, np.uint8)
    first = -memory.ctypes.data % LINE_BYTES
    return memory[first : first + size].view(dtype).reshape(shape)


def pattern_sums(members: Weights) -> Weights:
    """Return the sum of the members that each pattern names, bit k the k-th of n.

    Args:
        members: ``[a, b, n, ...]``.

    Returns:
        ``[a, b, 2 ** n, ...]``. Sums wrap as the type does; what is added up of them in the end
        fits again.
    """
    a, b, size, *rest = members.shape
    table = aligned((a, b, 1 << size, *rest), members.dtype.type)
    for bit in range(size):
        half = 1 << bit
        table[:, :, half : 2 * half] = table[:, :, :half] + members[:, :, bit, None]
    return table
