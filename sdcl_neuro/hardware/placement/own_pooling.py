"""Takes pooling out of weights again, for chips that pool sums by themselves.

Lowering folds a pooling of spikes into the layer behind it, since Loihi cannot pool: the kernel
grows by the window. A chip that sums windows of its own spikes (Speck) needs only the kernel that
was there before. Whether weights hold a pooling is seen in them: they are equal within windows. A
convolution that had to be written as a matrix is found again the same way (`matrices`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import FloatLayer, IntLayer

from .geometry import Axis, Box, LayerGeometry
from .matrices import as_convolution

Weights = NDArray[np.generic]


@dataclass(frozen=True)
class Unfolded:
    """A layer as a chip with pooling of its own sees it.

    Attributes:
        population: reading what is left after pooling.
        pool: side of the square window; 1 where there is none.
    """

    population: LayerGeometry
    pool: int


def unfold(
    layers: Sequence[IntLayer | FloatLayer],
    populations: Sequence[LayerGeometry],
    windows: Iterable[float],
) -> tuple[Unfolded, ...]:
    """Take the largest pooling that a chip has out of every layer's weights.

    Args:
        layers: with their weights.
        populations: the same layers.
        windows: sides of the square windows that the chip sums.
    """
    sides = sorted({1, *(int(side) for side in windows)}, reverse=True)
    found: list[Unfolded] = []
    for layer, population in zip(layers, populations, strict=True):
        read = population
        if found and population.in_box != found[-1].population.out_box:
            read = _reading(population, found[-1].population.out_box)
        found.append(_unfold(layer, read, sides))
    return tuple(found)


def _reading(population: LayerGeometry, box: Box) -> LayerGeometry:
    """Return a dense layer that reads a layer whose shape has been found again."""
    rows, columns = (Axis(extent, extent) for extent in box[1:])
    return replace(population, in_box=box, rows=rows, columns=columns)


def _unfold(layer: IntLayer | FloatLayer, population: LayerGeometry, sides: list[int]) -> Unfolded:
    for side in sides:
        found = _pooled(layer, population, side)
        if found is not None:
            return Unfolded(found, side)
    return Unfolded(population, 1)


def _pooled(
    layer: IntLayer | FloatLayer, population: LayerGeometry, side: int
) -> LayerGeometry | None:
    """Return the layer behind windows of one side; None if its weights are not equal within
    them.
    """
    channels, height, width = population.in_box
    if min(height, width) < side or population.delay:
        return None
    left = height // side, width // side
    if population.kind == "conv":
        return population if side == 1 else _pooled_kernel(layer, population, side, left)
    weight = layer.weight.reshape(len(layer.weight), channels, height, width)
    kept = weight[:, :, : left[0] * side, : left[1] * side]
    # What lies beyond the last whole window is dropped by the chip: it must not be read.
    if np.count_nonzero(weight) != np.count_nonzero(kept) or not _equal(kept, side):
        return None
    smaller = _reading(population, (channels, *left))
    kernel = None if population.recurrent else as_convolution(kept[:, :, ::side, ::side])
    if kernel is None:
        return smaller
    return replace(
        smaller, kind="conv", out_box=kernel.out_box, rows=kernel.rows, columns=kernel.columns
    )


def _pooled_kernel(
    layer: IntLayer | FloatLayer, population: LayerGeometry, side: int, left: tuple[int, int]
) -> LayerGeometry | None:
    axes = [
        _axis(axis, side, extent)
        for axis, extent in zip((population.rows, population.columns), left, strict=True)
    ]
    if axes[0] is None or axes[1] is None or not _equal(layer.weight, side):
        return None
    in_box = population.in_box[0], *left
    return replace(population, in_box=in_box, rows=axes[0], columns=axes[1])


def _axis(axis: Axis, side: int, left: int) -> Axis | None:
    """Return the axis behind windows of one side, None if the convolution does not keep to them."""
    aligned = all(value % side == 0 for value in (axis.kernel, axis.stride, axis.padding))
    if not aligned or axis.dilation != 1:
        return None
    found = Axis(left, axis.kernel // side, axis.stride // side, axis.padding // side)
    last = axis.stride * (axis.outputs - 1) - axis.padding + axis.kernel
    whole = left * side == axis.size or last <= left * side
    return found if whole and found.outputs == axis.outputs else None


def _equal(weight: Weights, side: int) -> bool:
    """Return whether ``[..., H, W]`` is constant in windows, and not only because all of it is
    zero.
    """
    *leading, rows, columns = weight.shape
    windows = weight.reshape(*leading, rows // side, side, columns // side, side)
    return bool((windows == windows[..., :1, :, :1]).all()) and bool(np.any(weight))
