"""Compiled loops of the deformable mapping on a CPU; `sampling` and `gathering` say what they do.

Maps lie channels last here: one sampled cell is one short run of memory. Cells are taken in blocks
whose samples stay in the cache, and a matrix product of BLAS does the arithmetic of a block.
Indices are unsigned, since a signed one may mean "from the end" to numba.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy import int32, uint64
from numpy.typing import NDArray

BLOCK = 128
"""Cells of a block: 9 taps of 8 channels are 36 KiB then."""

Array = NDArray[Any]


@numba.njit(cache=True, nogil=True)
def find_nearest(
    active: NDArray[np.uint8],
    ball: NDArray[np.int32],
    grid: NDArray[np.int32],
    rank: NDArray[np.int32],
    first: int,
    last: int,
    index: NDArray[np.int32],
) -> None:
    """Where the taps of the cells of maps `first` to `last` - 1 read.

    A search outwards from each cell with an event, ring by ring, which ends with the N-th found.

    Args:
        active: ``[maps, h, w]``, 1 where there is an event.
        ball: ``[K, 2]``, displacements (dy, dx), nearest first.
        grid: ``[N, 2]``, the regular kernel.
        rank: ``[K]``, place of each displacement among all, row by row.
        index: ``[maps, h * w, N]``, written; ``h * w`` stands for a cell outside the map.
    """
    height, width = active.shape[1], active.shape[2]
    points, reach = grid.shape[0], 0
    for m in range(ball.shape[0]):
        reach = max(reach, abs(ball[m, 0]), abs(ball[m, 1]))
    # A margin of empty cells replaces every test for the border.
    pitch = width + 2 * reach
    padded = np.zeros((height + 2 * reach) * pitch, np.uint8)
    steps = np.empty(ball.shape[0], np.int32)
    for m in range(ball.shape[0]):
        steps[m] = ball[m, 0] * pitch + ball[m, 1]
    chosen = np.empty(points + 1, np.int32)
    for n in range(first, last):
        for y in range(height):
            for x in range(width):
                padded[(y + reach) * pitch + x + reach] = active[n, y, x]
        for y in range(height):
            for x in range(width):
                taps = index[n, y * width + x]
                middle = (y + reach) * pitch + x + reach
                found = uint64(0)
                if padded[uint64(middle)]:
                    for m in range(uint64(steps.size)):
                        chosen[found] = int32(m)
                        found += uint64(padded[uint64(middle + steps[m])])
                        if found == uint64(points):
                            break
                if found < uint64(points):
                    regular_taps(y, x, height, width, grid, taps)
                    continue
                for i in range(points):
                    place = 0
                    for j in range(points):
                        place += rank[chosen[j]] < rank[chosen[i]]
                    dy, dx = ball[chosen[i], 0], ball[chosen[i], 1]
                    taps[place] = (y + dy) * width + x + dx


@numba.njit(cache=True, nogil=True)
def regular_taps(
    y: int, x: int, height: int, width: int, grid: NDArray[np.int32], taps: NDArray[np.int32]
) -> None:
    """The plain kernel's taps of one cell."""
    for tap in range(grid.shape[0]):
        row, column = y + grid[tap, 0], x + grid[tap, 1]
        inside = 0 <= row < height and 0 <= column < width
        taps[tap] = row * width + column if inside else height * width


@numba.njit(cache=True, nogil=True)
def gather_block(rows: Array, index: NDArray[np.int32], low: int, high: int, block: Array) -> None:
    """Samples of cells `low` to `high` - 1 of one map, ``[cells, N * C]``, zero outside the map."""
    points, channels, outside = uint64(index.shape[1]), uint64(rows.shape[1]), uint64(rows.shape[0])
    for cell in range(uint64(high - low)):
        for tap in range(points):
            source = uint64(index[uint64(low) + cell, tap])
            into = tap * channels
            if source < outside:
                for c in range(channels):
                    block[cell, into + c] = rows[source, c]
            else:
                for c in range(channels):
                    block[cell, into + c] = 0


@numba.njit(cache=True, nogil=True)
def channels_last(maps: Array, first: int, last: int, rows: Array) -> None:
    """Turn maps `first` to `last` - 1, ``[maps, C, h * w]`` to ``[maps, h * w, C]``."""
    for n in range(first, last):
        for low in range(0, maps.shape[2], BLOCK):
            for c in range(uint64(maps.shape[1])):
                for cell in range(uint64(low), uint64(min(low + BLOCK, maps.shape[2]))):
                    rows[n, cell, c] = maps[n, c, cell]


@numba.njit(cache=True, nogil=True)
def convolve(
    rows: Array, index: NDArray[np.int32], weight: Array, first: int, last: int, out: Array
) -> None:
    """Maps `first` to `last` - 1 of ``out = samples @ weight``.

    Args:
        rows: ``[maps, h * w, C]``.
        index: ``[maps, h * w, N]``.
        weight: ``[N * C, C_out]``, tap by tap.
        out: ``[maps, h * w, C_out]``, written.
    """
    cells = rows.shape[1]
    block = np.empty((BLOCK, weight.shape[0]), rows.dtype)
    for n in range(first, last):
        for low in range(0, cells, BLOCK):
            high = min(low + BLOCK, cells)
            gather_block(rows[n], index[n], low, high, block)
            np.dot(block[: high - low], weight, out[n, low:high])


@numba.njit(cache=True, nogil=True)
def convolve_backward(
    rows: Array,
    index: NDArray[np.int32],
    turned: Array,
    slope: Array,
    first: int,
    last: int,
    to_rows: Array,
    to_weight: Array,
) -> None:
    """Gradients of `convolve` from its result's, `slope` ``[maps, h * w, C_out]``.

    Args:
        turned: the weight turned, ``[C_out, N * C]``; empty if `to_rows` is not wanted.
        to_rows: ``[maps, h * w, C]``, zeros; added to.
        to_weight: ``[maps, N * C, C_out]``, zeros, one a map, so that the order in which they are
            added does not depend on threads; empty if not wanted.
    """
    cells, channels, points = rows.shape[1], rows.shape[2], index.shape[2]
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


@numba.njit(cache=True, nogil=True)
def scatter_block(block: Array, index: NDArray[np.int32], low: int, high: int, rows: Array) -> None:
    """The opposite of `gather_block`: add the samples to where they came from."""
    points, channels, outside = uint64(index.shape[1]), uint64(rows.shape[1]), uint64(rows.shape[0])
    for cell in range(uint64(high - low)):
        for tap in range(points):
            target = uint64(index[uint64(low) + cell, tap])
            if target < outside:
                for c in range(channels):
                    rows[target, c] += block[cell, tap * channels + c]
