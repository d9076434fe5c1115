"""Compiled search for the nearest events on a CPU; `sampling` says what it finds."""

from __future__ import annotations

import numpy as np
from numpy import int32, uint64
from numpy.typing import NDArray

from sdcl_neuro.compiling import compiled

Ints = NDArray[np.int32]


@compiled
def find_nearest(
    active: NDArray[np.uint8],
    ball: Ints,
    grid: Ints,
    rank: Ints,
    first: int,
    last: int,
    index: Ints,
) -> None:
    """Return where the taps of the cells of maps `first` to `last` - 1 read.

    A search outwards from each cell with an event, ring by ring, which ends with the N-th found.

    Args:
        active: ``[maps, h, w]``, 1 where there is an event.
        ball: ``[K, 2]``, displacements (dy, dx), nearest first.
        grid: ``[N, 2]``, the regular kernel.
        rank: ``[K]``, place of each displacement among all, row by row.
        index: ``[maps, N, h * w]``, written; ``h * w`` stands for a cell outside the map.
    """
    height, width = active.shape[1], active.shape[2]
    points, reach = uint64(grid.shape[0]), 0
    for m in range(ball.shape[0]):
        reach = max(reach, abs(ball[m, 0]), abs(ball[m, 1]))
    # A margin of empty cells replaces every test for the border.
    pitch = width + 2 * reach
    padded = np.zeros((height + 2 * reach) * pitch, np.uint8)
    steps, cells = np.empty(ball.shape[0], np.int32), np.empty(ball.shape[0], np.int32)
    for m in range(ball.shape[0]):
        steps[m] = ball[m, 0] * pitch + ball[m, 1]
        cells[m] = ball[m, 0] * width + ball[m, 1]
    chosen = np.empty(points + uint64(1), np.int32)
    for n in range(first, last):
        for y in range(height):
            for x in range(width):
                padded[(y + reach) * pitch + x + reach] = active[n, y, x]
        regular_taps(height, width, grid, index[n])
        for y in range(height):
            for x in range(width):
                middle = (y + reach) * pitch + x + reach
                if not padded[uint64(middle)]:
                    continue
                found = uint64(0)
                for m in range(uint64(steps.size)):
                    chosen[found] = int32(m)
                    found += uint64(padded[uint64(middle + steps[m])])
                    if found == points:
                        break
                if found < points:
                    continue
                cell = y * width + x
                for i in range(points):
                    place = uint64(0)
                    for j in range(points):
                        place += uint64(rank[uint64(chosen[j])] < rank[uint64(chosen[i])])
                    index[n, place, uint64(cell)] = int32(cell + cells[uint64(chosen[i])])


@compiled
def regular_taps(height: int, width: int, grid: Ints, index: Ints) -> None:
    """Write the plain kernel's taps of all cells of a map, ``[N, h * w]``."""
    outside = int32(height * width)
    for tap in range(grid.shape[0]):
        down, right = grid[tap, 0], grid[tap, 1]
        left, end = min(max(0, -right), width), max(min(width, width - right), 0)
        for y in range(height):
            taps = index[tap, y * width : (y + 1) * width]
            row = y + down
            if row < 0 or row >= height or left >= end:
                taps[:] = outside
                continue
            start = int32(row * width + right)
            taps[:left] = outside
            for x in range(uint64(left), uint64(end)):
                taps[x] = start + int32(x)
            taps[end:] = outside
