"""Which core sends to which, counted in neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .geometry import LayerGeometry, touch
from .tiles import Cut, Range

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class CoreLink:
    """Neurons of one core that reach another (or their own, in a recurrent layer)."""

    source: int
    target: int
    neurons: int


def links(populations: Sequence[LayerGeometry], cuts: Sequence[Cut]) -> tuple[CoreLink, ...]:
    """Return all links, cores numbered layer by layer in the order of `Cut.tiles`."""
    found: list[CoreLink] = []
    start = np.cumsum([0, *(cut.count for cut in cuts)])
    for layer, (population, cut) in enumerate(zip(populations, cuts, strict=True)):
        if layer:
            found += _between(
                cuts[layer - 1], population, cut, int(start[layer - 1]), int(start[layer])
            )
        if population.recurrent:
            sizes = [tile.neurons for tile in cut.tiles(layer)]
            base = int(start[layer])
            found += [
                CoreLink(base + source, base + target, size)
                for source, size in enumerate(sizes)
                for target in range(len(sizes))
            ]
    return tuple(found)


def arrivals(population: LayerGeometry, cut: Cut) -> Ints:
    """Return inputs of the network that reach each tile of the first layer, int64 ``[tiles]``."""
    bounds = [population.input_channels(*part) for part in cut.channels]
    channels = np.array([stop - start for start, stop in bounds], dtype=np.int64)
    rows, columns = (
        np.array([len(touch(axis, *part).inputs) for part in parts], dtype=np.int64)
        for axis, parts in ((population.rows, cut.rows), (population.columns, cut.columns))
    )
    return (rows[:, None, None] * columns[:, None] * channels).reshape(-1)


def _between(
    before: Cut, population: LayerGeometry, after: Cut, first: int, second: int
) -> list[CoreLink]:
    """Return links from the tiles of one layer to those of the next; counts along the axes
    multiply.
    """
    seen = [range(*population.input_channels(*part)) for part in after.channels]
    pairs = (
        _overlaps(before.rows, [touch(population.rows, *part).inputs for part in after.rows]),
        _overlaps(
            before.columns, [touch(population.columns, *part).inputs for part in after.columns]
        ),
        _overlaps(before.channels, [np.array(part, dtype=np.int64) for part in seen]),
    )
    (deep, _, wide), (deep2, _, wide2) = before.parts, after.parts
    return [
        CoreLink(
            first + (ra * wide + wa) * deep + ca, second + (rb * wide2 + wb) * deep2 + cb, r * w * c
        )
        for ra, rb, r in pairs[0]
        for wa, wb, w in pairs[1]
        for ca, cb, c in pairs[2]
    ]


def _overlaps(senders: Sequence[Range], seen: Sequence[Ints]) -> list[tuple[int, int, int]]:
    """Return (sender, reader, positions of the sender's range that the reader sees), if there are
    any.
    """
    found = []
    for a, (start, stop) in enumerate(senders):
        for b, positions in enumerate(seen):
            low, high = np.searchsorted(positions, (start, stop))
            if high > low:
                found.append((a, b, int(high - low)))
    return found
