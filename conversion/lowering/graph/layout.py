"""Where the neurons of a node lie in a layer of the chain.

A convolutional layer has one height and width; a node with f times the rows and g times the
columns lies in it as f g channels for each of its own (space to depth)::

    node (c, y, x)  is  layer (base + (c f + y mod f) g + x mod g, y div f, x div g)

In a dense layer a node lies flat, ``base + (c H + y) W + x``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import Shape

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """Some channels of a node in a layer.

    Attributes:
        node: the node.
        channels: which of its channels, ``[C]``.
        size: its height and width.
        base: first channel of the layer, or first neuron of a dense one.
        copy: 0, or the number of a further copy of the same spikes.
    """

    node: str
    channels: Indices
    size: tuple[int, int]
    base: int
    copy: int = 0


@dataclass(frozen=True)
class Layout:
    """All places in a layer.

    Attributes:
        shape: of the layer, ``(C, H, W)`` or ``(N,)``.
        places: in the order of their bases.
    """

    shape: Shape
    places: tuple[Place, ...]

    @property
    def flat(self) -> bool:
        """Whether the layer is dense."""
        return len(self.shape) == 1

    def factor(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return how many rows and columns of a node lie in one of the layer's."""
        if self.flat:
            return 1, 1
        return size[0] // self.shape[1], size[1] // self.shape[2]

    def channels(self, place: Place) -> Indices:
        """Return the layer's channels ``[C, f, g]`` of a place in a convolutional layer."""
        rows, columns = self.factor(place.size)
        count = len(place.channels)
        each = np.arange(count * rows * columns).reshape(count, rows, columns)
        return each + place.base

    def neurons(self, place: Place) -> Indices:
        """Return the layer's neurons ``[C, H, W]``, counted in (c, y, x) order."""
        height, width = place.size
        count = len(place.channels)
        if self.flat:
            return place.base + np.arange(count * height * width).reshape(count, height, width)
        rows, columns = self.factor(place.size)
        y, x = np.arange(height)[:, None], np.arange(width)
        channel = self.channels(place)[:, y % rows, x % columns]
        return (channel * self.shape[1] + y // rows) * self.shape[2] + x // columns

    def find(self, node: str, *, copy: int = 0) -> tuple[Place, ...]:
        """Return the places that hold one copy of a node's channels."""
        return tuple(p for p in self.places if p.node == node and p.copy == copy)


def lay_out(
    wanted: Sequence[tuple[str, Indices, tuple[int, int], int]], grid: tuple[int, int] | None
) -> Layout:
    """Return places one after another.

    Args:
        wanted: node, channels, size and number of copies of each.
        grid: height and width of a convolutional layer; None for a dense one.
    """
    places, base = [], 0
    for node, channels, size, copies in wanted:
        for copy in range(copies):
            places.append(Place(node, channels, size, base, copy))
            step = prod(size) if grid is None else size[0] // grid[0] * (size[1] // grid[1])
            base += len(channels) * step
    shape: Shape = (base,) if grid is None else (base, *grid)
    return Layout(shape, tuple(places))
