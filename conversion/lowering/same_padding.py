"""Padding 'same' in numbers, kernels of even size included."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import Pair

Array = NDArray[Any]


def pad_kernel_same(weight: Array, dilation: Pair) -> tuple[Array, Pair, Pair]:
    """Express torch's padding 'same' at stride one as the same padding on both sides.

    Torch pads ``total = dilation (kernel - 1)`` zeros, half of them before and the rest after.
    Where the total is odd, a zero before the kernel's first row (column) makes up for the one that
    is missing in front; a dilated kernel is written out first, since that zero stands one pixel
    away, not one dilation.

    Args:
        weight: ``[C_out, C_in, kH, kW]``.
        dilation: vertical, horizontal.

    Returns:
        The kernel, its padding and its dilation.
    """
    padding, steps = [0, 0], [dilation[0], dilation[1]]
    for index in range(2):
        axis, step = 2 + index, dilation[index]
        total = step * (weight.shape[axis] - 1)
        padding[index] = (total + 1) // 2
        if total % 2:
            weight, steps[index] = _with_zero(_written_out(weight, axis, step), axis), 1
    return weight, (padding[0], padding[1]), (steps[0], steps[1])


def _written_out(weight: Array, axis: int, step: int) -> Array:
    """Return a dilated kernel with the zeros between its taps."""
    shape = list(weight.shape)
    shape[axis] = step * (shape[axis] - 1) + 1
    whole = np.zeros(shape, weight.dtype)
    taps = [slice(None)] * weight.ndim
    taps[axis] = slice(None, None, step)
    whole[tuple(taps)] = weight
    return whole


def _with_zero(weight: Array, axis: int) -> Array:
    """Return a kernel with a zero before its first tap."""
    widths = [(0, 0)] * weight.ndim
    widths[axis] = (1, 0)
    return np.pad(weight, widths)
