"""Compiled loops of the deformable convolution's gradients on a CPU.

As in `kernels`: cells that read where a plain kernel does are done as a plain convolution is, with
the slopes of all others put to zero; the others are gathered, and what they read is added to.
"""

from __future__ import annotations

import numpy as np
from numpy import uint64

from sdcl_neuro.compiling import compiled

from .kernels import (
    LINE,
    STRETCH,
    Array,
    Ints,
    Position,
    gather,
    moved_cells,
    multiply,
    plain_range,
    regular_steps,
)
from .tile import ROWS, VECTOR_BYTES, dot_tile, tile_columns


@compiled
def convolve_backward(
    maps: Array,
    index: Ints,
    turned: Array,
    split: Array,
    width: int,
    slope: Array,
    first: int,
    last: int,
    to_maps: Array,
    to_weight: Array,
) -> None:
    """Compute the gradients of maps `first` to `last` - 1 from the result's.

    Args:
        maps: ``[maps * C * h * w]``.
        index: ``[maps, k * k, h * w]``.
        turned: `kernels.tiled` of the weight as ``[C, C_out * k * k]``.
        split: of the weight as ``[C * k * k, C_out]``.
        width: w.
        slope: ``[maps, C_out, h * w]``.
        to_maps: ``[maps, C, h * w]``, written; empty if not wanted.
        to_weight: ``[maps, C_out / 8, C * k * k, 8]``, zeros, one a map, so that the order in
            which they are added does not depend on threads; empty if not wanted.
    """
    taps, cells, outputs = index.shape[1], index.shape[2], slope.shape[1]
    depth = maps.size // (index.shape[0] * cells) * taps
    shift = regular_steps(taps, width)
    margin = shift[taps - 1] + LINE
    pitch = cells + 2 * margin
    tiles = (outputs + ROWS - 1) // ROWS
    masked = np.zeros(tiles * ROWS * pitch, maps.dtype)
    back = np.empty(outputs * taps, np.int64)  # to the cells that read a cell
    for j in range(back.size):
        back[j] = j // taps * pitch - shift[j % taps]
    for n in range(first, last):
        mask(index[n], shift, slope[n], margin, pitch, masked)
        if to_maps.size:
            channels = depth // taps
            flat, made = to_maps.reshape(-1), uint64(n * channels * cells)
            if cells < tile_columns(maps.itemsize):
                to_maps[n] = 0
            else:
                start, whole = uint64(margin), uint64(cells)
                multiply(masked, start, back, turned, 0, cells, flat, made, whole, channels)
        for low in range(0, cells, STRETCH):
            if to_weight.size:
                plain_weight(maps, n, low, shift, cells, masked, margin, pitch, to_weight[n])
            moved_part(maps, n, low, index, shift, split, slope, to_maps, to_weight)


@compiled
def mask(index: Ints, shift: Array, slope: Array, margin: int, pitch: int, masked: Array) -> None:
    """Copy a map's slopes, a row of `pitch` each, with zeros at the cells that are gathered."""
    cells = index.shape[1]
    scratch, moved = np.empty(STRETCH, np.int32), np.empty(STRETCH + 1, np.int32)
    for low in range(0, cells, STRETCH):
        high = min(low + STRETCH, cells)
        begin, end = plain_range(low, high, cells, shift, slope.itemsize)
        count = moved_cells(index, shift, low, high, begin, end, scratch, moved)
        for o in range(uint64(slope.shape[0])):
            row = o * uint64(pitch) + uint64(margin)
            for i in range(uint64(low), uint64(high)):
                masked[row + i] = slope[o, i]
            for i in range(count):
                masked[row + uint64(moved[i])] = 0


@compiled
def plain_weight(
    maps: Array,
    n: int,
    low: int,
    shift: Array,
    cells: int,
    masked: Array,
    margin: int,
    pitch: int,
    to_weight: Array,
) -> None:
    """Add to the weight's gradient what a stretch's plain cells contribute."""
    taps, depth = shift.size, to_weight.shape[1]
    begin, end = plain_range(low, min(low + STRETCH, cells), cells, shift, maps.itemsize)
    lanes = VECTOR_BYTES // maps.itemsize
    vectors = (end - begin) // lanes
    if end == begin:
        return
    rest = range(uint64(begin + vectors * lanes), uint64(end))
    flat = to_weight.reshape(-1)
    for tile in range(to_weight.shape[0]):
        row = uint64(tile * ROWS * pitch + margin)
        for j in range(depth):
            line = uint64(n * (depth // taps) * cells + j // taps * cells + shift[j % taps])
            into = uint64((tile * depth + j) * ROWS)
            at = row + uint64(begin)
            start = line + uint64(begin)
            dot_tile(maps, start, masked, at, uint64(pitch), uint64(vectors), flat, into)
            for i in rest:
                for r in range(uint64(ROWS)):
                    flat[into + r] += maps[line + i] * masked[row + r * uint64(pitch) + i]


@compiled
def moved_part(
    maps: Array,
    n: int,
    low: int,
    index: Ints,
    shift: Array,
    split: Array,
    slope: Array,
    to_maps: Array,
    to_weight: Array,
) -> None:
    """Add what a stretch's gathered cells contribute to both gradients."""
    taps, cells, outputs = index.shape[1], index.shape[2], slope.shape[1]
    channels = maps.size // (index.shape[0] * cells)
    depth, high = channels * taps, min(low + STRETCH, cells)
    scratch, moved = np.empty(STRETCH, np.int32), np.empty(STRETCH + 1, np.int32)
    begin, end = plain_range(low, high, cells, shift, maps.itemsize)
    count = moved_cells(index[n], shift, low, high, begin, end, scratch, moved)
    if count == 0:
        return
    tiles = (outputs + ROWS - 1) // ROWS
    slopes, block = np.zeros(tiles * ROWS * LINE, maps.dtype), np.empty(depth * LINE, maps.dtype)
    for o in range(uint64(outputs)):
        for i in range(count):
            slopes[o * uint64(LINE) + i] = slope[n, o, uint64(moved[i])]
    if to_weight.size:
        start = uint64(n * channels * cells)
        gather(maps, start, index[n], uint64(channels), moved, count, scratch, block)
        moved_weight(block, count, slopes, to_weight[n])
    if to_maps.size:
        lines = np.arange(outputs) * LINE
        filled = max(int(count), tile_columns(maps.itemsize))
        zero, pitch = uint64(0), uint64(LINE)
        multiply(slopes, zero, lines, split, 0, filled, block, zero, pitch, depth)
        scatter(block, index[n], moved, count, to_maps[n])


@compiled
def moved_weight(block: Array, count: Position, slopes: Array, to_weight: Array) -> None:
    """Add to the weight's gradient what gathered cells contribute."""
    depth, lanes = to_weight.shape[1], uint64(VECTOR_BYTES // block.itemsize)
    vectors = (count + lanes - uint64(1)) // lanes
    flat, pitch = to_weight.reshape(-1), uint64(LINE)
    for j in range(uint64(depth)):
        for i in range(count, vectors * lanes):
            block[j * pitch + i] = 0
        for tile in range(uint64(to_weight.shape[0])):
            at, into = tile * uint64(ROWS) * pitch, (tile * uint64(depth) + j) * uint64(ROWS)
            dot_tile(block, j * pitch, slopes, at, pitch, vectors, flat, into)


@compiled
def scatter(block: Array, index: Ints, moved: Ints, count: Position, to_maps: Array) -> None:
    """Undo `kernels.gather`: add the lines to where they came from."""
    taps, cells = uint64(index.shape[0]), uint64(index.shape[1])
    for c in range(uint64(to_maps.shape[0])):
        for tap in range(taps):
            line = (c * taps + tap) * uint64(LINE)
            for i in range(count):
                place = uint64(index[tap, uint64(moved[i])])
                if place < cells:
                    to_maps[c, place] += block[line + i]
