"""Cutting a layer into tiles, one a core: ranges of channels, rows and columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from .geometry import LayerGeometry, Touch, touch

Range = tuple[int, int]


@dataclass(frozen=True)
class Tile:
    """A box of a layer's neurons; every range is half-open, (first, last + 1)."""

    layer: int
    channels: Range
    rows: Range
    columns: Range

    @property
    def box(self) -> tuple[int, int, int]:
        """Extent in channels, rows, columns."""
        (c0, c1), (r0, r1), (w0, w1) = self.channels, self.rows, self.columns
        return c1 - c0, r1 - r0, w1 - w0

    @property
    def neurons(self) -> int:
        """Neurons in the box."""
        return prod(self.box)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index into the layer's ``(C, H, W)``."""
        return slice(*self.channels), slice(*self.rows), slice(*self.columns)


@dataclass(frozen=True)
class Cut:
    """A layer cut along its three axes; its tiles are all combinations."""

    channels: tuple[Range, ...]
    rows: tuple[Range, ...]
    columns: tuple[Range, ...]

    @property
    def parts(self) -> tuple[int, int, int]:
        """Parts along channels, rows and columns."""
        return len(self.channels), len(self.rows), len(self.columns)

    @property
    def count(self) -> int:
        """Number of tiles."""
        return prod(self.parts)

    @property
    def largest(self) -> tuple[int, int, int]:
        """Extent of the largest tile."""
        c, h, w = (
            max(stop - start for start, stop in ranges)
            for ranges in (self.channels, self.rows, self.columns)
        )
        return c, h, w

    def tiles(self, layer: int) -> Iterator[Tile]:
        """Yield the tiles, rows first, then columns, then channels."""
        for rows, columns, channels in product(self.rows, self.columns, self.channels):
            yield Tile(layer, channels, rows, columns)


def whole(population: LayerGeometry) -> Cut:
    """Return one tile for all."""
    channels, rows, columns = population.out_box
    return Cut(((0, channels),), ((0, rows),), ((0, columns),))


def sizes(extent: int) -> list[int]:
    """Return extents of the parts that cut `extent` most evenly, from whole to single, each
    once.
    """
    return list(dict.fromkeys(-(-extent // parts) for parts in range(1, extent + 1)))


def ranges(extent: int, size: int) -> tuple[Range, ...]:
    """Return `extent` in parts of `size`, the last one with what is left."""
    return tuple((start, min(start + size, extent)) for start in range(0, extent, size))


def channel_cuts(population: LayerGeometry) -> list[tuple[Range, ...]]:
    """Return ways to cut the channels: a part is some whole groups, or lies within one."""
    each, groups = population.outputs_per_group, population.groups
    found = [
        tuple((start * each, stop * each) for start, stop in ranges(groups, size))
        for size in sizes(groups)
    ]
    found += [
        tuple(
            (group * each + start, group * each + stop)
            for group in range(groups)
            for start, stop in ranges(each, size)
        )
        for size in sizes(each)[1:]
    ]
    return list(dict.fromkeys(found))


def seen_rows(population: LayerGeometry, tile_range: Range) -> Touch:
    """Return input rows that a range of rows sees."""
    return touch(population.rows, *tile_range)


def seen_columns(population: LayerGeometry, tile_range: Range) -> Touch:
    """Return input columns that a range of columns sees."""
    return touch(population.columns, *tile_range)


def targets(population: LayerGeometry, cut: Cut) -> tuple[NDArray[np.int64], ...]:
    """Return how many parts of `cut` each input reaches, along channels, rows and columns.

    An input ``(c, h, w)`` reaches the product of the three in tiles.
    """
    counts = [np.zeros(extent, dtype=np.int64) for extent in population.in_box]
    for start, stop in cut.channels:
        counts[0][slice(*population.input_channels(start, stop))] += 1
    for index, (axis, parts) in enumerate(
        ((population.rows, cut.rows), (population.columns, cut.columns)), start=1
    ):
        for part in parts:
            counts[index][touch(axis, *part).inputs] += 1
    return tuple(counts)
