"""Weights in the order in which an input spike scatters them: input first, then its neurons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import IntLayer

Integers = NDArray[np.int64]


def by_input(layer: IntLayer, values: NDArray[np.generic]) -> Integers:
    """Reorder weights or delays so that what one input spike reads lies together.

    Returns:
        int64 ``[N_in, N_out]`` of a dense layer; ``[C_in, kH, kW, C_out / groups]`` of a
        convolution, where an input channel meets only its own group's outputs.
    """
    whole = values.astype(np.int64)
    if layer.convolution is None:
        return np.ascontiguousarray(whole.T)
    groups = layer.convolution.groups
    outputs, inputs, rows, columns = whole.shape
    split = whole.reshape(groups, outputs // groups, inputs, rows, columns)
    ordered = split.transpose(0, 2, 3, 4, 1)
    return np.ascontiguousarray(ordered.reshape(groups * inputs, rows, columns, -1))


@dataclass(frozen=True)
class Stored:
    """Weights in the narrowest type that holds them exactly.

    Attributes:
        weight: `by_input`, divided by ``2 ** shift``.
        recurrent: ``[N_from, N_to]``, divided likewise; None without recurrence.
        shift: zero bits that all weights end in and that are not stored.
        bits: 8, 16 or 32, of a signed integer that holds every stored weight.
    """

    weight: Integers
    recurrent: Integers | None
    shift: int
    bits: int


def stored(layer: IntLayer) -> Stored:
    """Store a layer's weights as narrowly as they can be."""
    weight = by_input(layer, layer.weight)
    recurrent = None
    if layer.recurrent_weight is not None:
        recurrent = np.ascontiguousarray(layer.recurrent_weight.astype(np.int64).T)
    joined = int(np.bitwise_or.reduce(weight, axis=None))
    if recurrent is not None:
        joined |= int(np.bitwise_or.reduce(recurrent, axis=None))
    shift = 0 if joined == 0 else (joined & -joined).bit_length() - 1
    weight = weight >> shift
    recurrent = None if recurrent is None else recurrent >> shift
    parts = [weight] if recurrent is None else [weight, recurrent]
    bits = max(width_of(int(part.min()), int(part.max())) for part in parts)
    return Stored(weight, recurrent, shift, bits)


def width_of(low: int, high: int) -> int:
    """Return bits, 8, 16 or 32, of the narrowest signed type that holds `low` to `high`."""
    for bits in (8, 16):
        if -(1 << (bits - 1)) <= low and high < 1 << (bits - 1):
            return bits
    return 32
