"""Compiled loops of the deformable convolution on a CPU; `gathering` says what they do.

Maps lie as torch has them, a plane a channel, and are worked on by stretches of `STRETCH` cells.
Most cells read where a plain kernel does: one tap of a stretch is then a stretch of the plane
itself, and nothing is gathered. The others, whose taps lie at events or outside the map, are
listed, gathered side by side, and done once more in the same way.

Indices are unsigned, since a signed one may mean "from the end" to numba. A product and a sum may
become one operation, rounded once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import int32, uint64
from numpy.typing import NDArray

from sdcl_neuro.compiling import compiled

from .tile import ROWS, multiply_tile, tile_columns

STRETCH = 512
"""Cells done together; a multiple of every vector's length."""
LINE = STRETCH + 16
"""From one gathered line to the next: a power of two would put all into the same cache sets."""

Array = NDArray[Any]
Ints = NDArray[np.int32]
Position = Any  # uint64


def tiled(weight: Array) -> Array:
    """Pack ``[C_out, C * k * k]`` as ``[tiles, C * k * k, ROWS]``, padded with rows of zeros."""
    outputs, depth = weight.shape
    filled = np.zeros((-(-outputs // ROWS) * ROWS, depth), weight.dtype)
    filled[:outputs] = weight
    return np.ascontiguousarray(filled.reshape(-1, ROWS, depth).transpose(0, 2, 1))


@compiled
def convolve(
    maps: Array, index: Ints, weight: Array, width: int, first: int, last: int, out: Array
) -> None:
    """Compute stretches `first` to `last` - 1, counted through all maps, of a convolution.

    Args:
        maps: ``[maps * C * h * w]``.
        index: ``[maps, k * k, h * w]``, where each tap reads; ``h * w`` is outside the map, zero.
        weight: of `tiled`.
        width: w.
        out: ``[maps, C_out, h * w]``, written.
    """
    taps, cells = index.shape[1], index.shape[2]
    outputs, depth = out.shape[1], weight.shape[1]
    channels, whole = depth // taps, uint64(cells)
    shift = regular_steps(taps, width)
    planes = np.empty(depth, np.int64)  # from a cell to what it reads, a tap a channel
    for j in range(depth):
        planes[j] = j // taps * cells + shift[j % taps]
    lines = np.arange(depth) * LINE
    gathered, sums = np.empty(depth * LINE, maps.dtype), np.empty(ROWS * LINE, maps.dtype)
    scratch, moved = np.empty(STRETCH, np.int32), np.empty(STRETCH + 1, np.int32)
    stretches = (cells + STRETCH - 1) // STRETCH
    for unit in range(first, last):
        n, low = uint64(unit // stretches), unit % stretches * STRETCH
        high = min(low + STRETCH, cells)
        start, made = n * uint64(channels) * whole, n * uint64(outputs) * whole
        begin, end = plain_range(low, high, cells, shift, maps.itemsize)
        count = moved_cells(index[n], shift, low, high, begin, end, scratch, moved)
        if count < uint64(high - low):
            multiply(maps, start, planes, weight, begin, end, out.reshape(-1), made, whole, outputs)
        if count == 0:
            continue
        gather(maps, start, index[n], uint64(channels), moved, count, scratch, gathered)
        filled = max(int(count), tile_columns(maps.itemsize))
        for tile in range(weight.shape[0]):
            rows = min(ROWS, outputs - tile * ROWS)
            part = weight[tile : tile + 1]
            multiply(
                gathered, uint64(0), lines, part, 0, filled, sums, uint64(0), uint64(LINE), rows
            )
            for r in range(uint64(rows)):
                plane, line = uint64(tile * ROWS) + r, r * uint64(LINE)
                for i in range(count):
                    out[n, plane, uint64(moved[i])] = sums[line + i]


@compiled
def multiply(
    values: Array,
    start: Position,
    lines: NDArray[np.int64],
    weight: Array,
    begin: int,
    end: int,
    out: Array,
    made: Position,
    pitch: Position,
    outputs: int,
) -> None:
    """Compute columns `begin` to `end` - 1, at least a tile, of weight times lines of `values`.

    Args:
        values: flat; what `lines` counts from is `start`.
        weight: of `tiled`.
        out: flat; row r begins at ``made + r * pitch``, written.
        outputs: rows.
    """
    flat, depth = weight.reshape(-1), weight.shape[1]
    columns = tile_columns(values.itemsize)
    for at in range(begin, end, columns):
        column = uint64(min(at, end - columns))  # the last tile goes over some columns again
        for tile in range(weight.shape[0]):
            multiply_tile(
                values,
                start + column,
                lines,
                flat,
                uint64(tile * depth * ROWS),
                out,
                made + uint64(tile * ROWS) * pitch + column,
                pitch,
                uint64(min(ROWS, outputs - tile * ROWS)),
            )


@compiled
def regular_steps(taps: int, width: int) -> NDArray[np.int64]:
    """Return offsets from a cell to the taps of the plain kernel, in the flattened map."""
    k = round(np.sqrt(taps))
    shift = np.empty(taps, np.int64)
    for tap in range(taps):
        shift[tap] = (tap // k - k // 2) * width + tap % k - k // 2
    return shift


@compiled
def plain_range(
    low: int, high: int, cells: int, shift: NDArray[np.int64], itemsize: int
) -> tuple[int, int]:
    """Return those of a stretch from which no tap of the plain kernel leaves the map's memory.

    None of them where they are fewer than a tile.
    """
    reach = shift[shift.size - 1]
    begin, end = max(low, reach), min(high, cells - reach)
    return (begin, end) if end - begin >= tile_columns(itemsize) else (begin, begin)


@compiled
def moved_cells(
    index: Ints,
    shift: NDArray[np.int64],
    low: int,
    high: int,
    begin: int,
    end: int,
    differs: Ints,
    moved: Ints,
) -> Position:
    """List the cells from `low` to `high` - 1 that do not read as a plain kernel; their number.

    Args:
        index: ``[k * k, h * w]``.
        shift: `regular_steps`.
        begin, end: cells before and from these are listed in any case.
        differs: scratch.
        moved: written; one longer than a stretch.
    """
    length, offset = uint64(high - low), uint64(low)
    for i in range(length):
        differs[i] = 0
    for tap in range(uint64(index.shape[0])):
        regular = int32(shift[tap] + low)
        for i in range(length):
            differs[i] |= index[tap, offset + i] ^ (regular + int32(i))
    for cell in range(low, min(begin, high)):
        differs[uint64(cell - low)] = 1
    for cell in range(max(end, low), high):
        differs[uint64(cell - low)] = 1
    count = uint64(0)
    for i in range(length):
        moved[count] = int32(low) + int32(i)
        count += uint64(differs[i] != 0)
    return count


@compiled
def gather(
    maps: Array,
    start: Position,
    index: Ints,
    channels: Position,
    moved: Ints,
    count: Position,
    places: Ints,
    gathered: Array,
) -> None:
    """Gather what the first `count` cells of `moved` read, a `LINE` for each channel and tap.

    Args:
        maps: flat; the cells' own map begins at `start`.
        index: ``[k * k, h * w]``.
        places: scratch.
        gathered: written; up to a whole tile with zeros.
    """
    taps, cells = uint64(index.shape[0]), uint64(index.shape[1])
    zero, columns = maps.dtype.type(0), uint64(tile_columns(maps.itemsize))
    for tap in range(taps):
        for i in range(count):
            places[i] = index[tap, uint64(moved[i])]
        for c in range(channels):
            plane, line = start + c * cells, (c * taps + tap) * uint64(LINE)
            for i in range(count):
                place = uint64(places[i])
                gathered[line + i] = maps[plane + place] if place < cells else zero
            for i in range(count, columns):
                gathered[line + i] = zero
