"""Compiled loops of the deformable convolution's gradients on a CPU.

Maps lie channels last here: one sampled cell is one short run of memory. Cells are taken in blocks
whose samples stay in the cache, and a matrix product of BLAS does the arithmetic of a block.
Indices are unsigned, since a signed one may mean "from the end" to numba.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy import uint64
from numpy.typing import NDArray

BLOCK = 128
"""Cells of a block: 9 taps of 8 channels are 36 KiB then."""

Array = NDArray[Any]
Ints = NDArray[np.int32]


@numba.njit(cache=True, nogil=True)
def gather_block(rows: Array, index: Ints, low: int, high: int, block: Array) -> None:
    """Samples of cells `low` to `high` - 1 of one map, ``[cells, N * C]``, zero outside the map."""
    points, channels, outside = uint64(index.shape[0]), uint64(rows.shape[1]), uint64(rows.shape[0])
    for cell in range(uint64(high - low)):
        for tap in range(points):
            source = uint64(index[tap, uint64(low) + cell])
            into = tap * channels
            if source < outside:
                for c in range(channels):
                    block[cell, into + c] = rows[source, c]
            else:
                for c in range(channels):
                    block[cell, into + c] = 0


@numba.njit(cache=True, nogil=True)
def scatter_block(block: Array, index: Ints, low: int, high: int, rows: Array) -> None:
    """The opposite of `gather_block`: add the samples to where they came from."""
    points, channels, outside = uint64(index.shape[0]), uint64(rows.shape[1]), uint64(rows.shape[0])
    for cell in range(uint64(high - low)):
        for tap in range(points):
            target = uint64(index[tap, uint64(low) + cell])
            if target < outside:
                for c in range(channels):
                    rows[target, c] += block[cell, tap * channels + c]


@numba.njit(cache=True, nogil=True)
def convolve_backward(
    rows: Array,
    index: Ints,
    turned: Array,
    slope: Array,
    first: int,
    last: int,
    to_rows: Array,
    to_weight: Array,
) -> None:
    """Gradients of maps `first` to `last` - 1 from the result's, `slope` ``[maps, h * w, C_out]``.

    Args:
        rows: ``[maps, h * w, C]``.
        index: ``[maps, N, h * w]``.
        turned: the weight, ``[C_out, N * C]``, tap by tap; empty if `to_rows` is not wanted.
        to_rows: ``[maps, h * w, C]``, zeros; added to.
        to_weight: ``[maps, N * C, C_out]``, zeros, one a map, so that the order in which they are
            added does not depend on threads; empty if not wanted.
    """
    cells, channels, points = rows.shape[1], rows.shape[2], index.shape[1]
    block = np.empty((BLOCK, points * channels), rows.dtype)
    part = np.empty((points * channels, slope.shape[2]), rows.dtype)
    for n in range(first, last):
        for low in range(0, cells, BLOCK):
            high = min(low + BLOCK, cells)
            if to_weight.size:
                gather_block(rows[n], index[n], low, high, block)
                np.dot(block[: high - low].T, slope[n, low:high], part)
                to_weight[n] += part
            if turned.size:
                np.dot(slope[n, low:high], turned, block[: high - low])
                scatter_block(block, index[n], low, high, to_rows[n])
