"""Compiled loops of the alignment's sampling on a CPU; `point_sampling` says what they do.

Maps lie channels last, so that a sample of a head is one short run of memory at each of its four
corners. A unit of work is one head of one map; it reads and writes nothing of another's.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy import uint64
from numpy.typing import NDArray

from sdcl_neuro.compiling import compiled

Array = NDArray[Any]
_fused = partial(compiled, error_model="numpy", fastmath={"contract"})
"""A product and a sum may be rounded once."""
_loose = partial(compiled, error_model="numpy", fastmath={"contract", "reassoc"})
"""Also, sums are formed in the order that suits vectors."""


@compiled
def corners(
    x: float, y: float, height: int, width: int, share: Array, row: NDArray[np.int64]
) -> None:
    """Find the four cells around a point, and the share of each; -1 and zero outside the map."""
    share[:] = 0
    row[:] = -1
    # Also false for what is not a number: what follows must not become an address.
    if not (x > -1 and x < width and y > -1 and y < height):
        return
    left, top = math.floor(x), math.floor(y)
    for corner in range(4):
        column, line = left + corner % 2, top + corner // 2
        if 0 <= line < height and 0 <= column < width:
            share[corner] = (1 - abs(y - line)) * (1 - abs(x - column))
            row[corner] = line * width + column


@compiled
def centre(projection: Array, cell: int, height: int, width: int) -> tuple[float, float]:
    """Return where a cell's own centre lies on the other map, (x, y) in its cells."""
    x, y = (cell % width + 0.5) * 2 / width - 1, (cell // width + 0.5) * 2 / height - 1
    across = projection[0, 0] * x + projection[0, 1] * y + projection[0, 2]
    down = projection[1, 0] * x + projection[1, 1] * y + projection[1, 2]
    return (across + 1) * width / 2 - 0.5, (down + 1) * height / 2 - 0.5


@_fused
def mix(
    rows: Array,
    offset: Array,
    score: Array,
    projection: Array,
    size: tuple[int, int],
    first: int,
    last: int,
    out: Array,
) -> None:
    """Compute units `first` to `last` - 1 of the sum over points of score times sample.

    Args:
        rows: ``[N * h * w * C]``.
        offset: ``[N, M, I, 2, h * w]``, (x, y) in cells.
        score: ``[N, M, I, h * w]``.
        projection: ``[2, 3]``, float64.
        size: h, w.
        out: ``[N * h * w * C]``, written.
    """
    heads, points, cells = score.shape[1], score.shape[2], score.shape[3]
    channels = rows.size // (score.shape[0] * cells)
    depth, pitch = uint64(channels // heads), uint64(channels)
    share, row = np.empty(4, rows.dtype), np.empty(4, np.int64)
    for unit in range(first, last):
        n, m = unit // heads, unit % heads
        start = uint64(n * cells * channels) + uint64(m) * depth
        for cell in range(cells):
            x, y = centre(projection, cell, size[0], size[1])
            into = start + uint64(cell) * pitch
            for c in range(depth):
                out[into + c] = 0
            for i in range(points):
                across, down = x + offset[n, m, i, 0, cell], y + offset[n, m, i, 1, cell]
                corners(across, down, size[0], size[1], share, row)
                weight = score[n, m, i, cell]
                w0, w1 = weight * share[0], weight * share[1]
                w2, w3 = weight * share[2], weight * share[3]
                r0 = start + uint64(max(row[0], 0)) * pitch
                r1 = start + uint64(max(row[1], 0)) * pitch
                r2 = start + uint64(max(row[2], 0)) * pitch
                r3 = start + uint64(max(row[3], 0)) * pitch
                for c in range(depth):
                    total = w0 * rows[r0 + c] + w1 * rows[r1 + c] + w2 * rows[r2 + c]
                    out[into + c] += total + w3 * rows[r3 + c]


@_loose
def dot(rows: Array, at: Any, slope: Array, into: Any, depth: Any) -> Any:
    """Return sum over a head's channels of a sample times the slope of the result."""
    total = rows.dtype.type(0)
    for c in range(depth):
        total += rows[at + c] * slope[into + c]
    return total


@_fused
def mix_backward(
    rows: Array,
    offset: Array,
    score: Array,
    projection: Array,
    size: tuple[int, int],
    slope: Array,
    first: int,
    last: int,
    to_rows: Array,
    to_offset: Array,
    to_score: Array,
) -> None:
    """Compute the gradients of `mix` from its result's.

    Args:
        slope: ``[N * h * w * C]``.
        to_rows: as `rows`, zeros; added to.
        to_offset, to_score: as `offset` and `score`, written.
    """
    heads, points, cells = score.shape[1], score.shape[2], score.shape[3]
    channels = rows.size // (score.shape[0] * cells)
    depth, pitch = uint64(channels // heads), uint64(channels)
    share, row = np.empty(4, rows.dtype), np.empty(4, np.int64)
    seen = np.empty(4, rows.dtype)
    for unit in range(first, last):
        n, m = unit // heads, unit % heads
        start = uint64(n * cells * channels) + uint64(m) * depth
        for cell in range(cells):
            x, y = centre(projection, cell, size[0], size[1])
            into = start + uint64(cell) * pitch
            for i in range(points):
                across, down = x + offset[n, m, i, 0, cell], y + offset[n, m, i, 1, cell]
                corners(across, down, size[0], size[1], share, row)
                weight, told = score[n, m, i, cell], rows.dtype.type(0)
                for corner in range(4):
                    seen[corner] = 0
                    if row[corner] >= 0:
                        at = start + uint64(row[corner]) * pitch
                        seen[corner] = dot(rows, at, slope, into, depth)
                        told += share[corner] * seen[corner]
                        part = weight * share[corner]
                        for c in range(depth):
                            to_rows[at + c] += part * slope[into + c]
                right, below = across - math.floor(across), down - math.floor(down)
                to_score[n, m, i, cell] = told
                to_offset[n, m, i, 0, cell] = weight * (
                    (seen[1] - seen[0]) * (1 - below) + (seen[3] - seen[2]) * below
                )
                to_offset[n, m, i, 1, cell] = weight * (
                    (seen[2] - seen[0]) * (1 - right) + (seen[3] - seen[1]) * right
                )
