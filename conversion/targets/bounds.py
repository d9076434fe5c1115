"""How large sums and states of a layer can become: which wraps a target has to compute at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdcl_neuro.engine.check import largest_sum
from sdcl_neuro.network.fixed_point import (
    CONVOLUTION_BITS,
    DECAY_UNITY,
    STATE_LIMIT,
    STATE_SHIFT,
)
from sdcl_neuro.network.spec import IntLayer

INT32 = 1 << 31


@dataclass(frozen=True)
class Bounds:
    """Bounds of one layer's magnitudes over all inputs; each holds before any wrap.

    Attributes:
        total: of the weights received in one step, summed, in units of the weight.
        current: of the current before its wrap, in the state's units (a weight of one is 2^6).
        bias: of the bias, in the state's units.
        wraps_total: the sum of a convolution may leave 24 bits.
        wraps_received: the sum, shifted, may leave 32 bits.
        wraps_current: the current may leave 24 bits.
        wraps_voltage: membrane, current and bias together may leave 32 bits.
    """

    total: int
    current: int
    bias: int
    wraps_total: bool
    wraps_received: bool
    wraps_current: bool
    wraps_voltage: bool


def bounds(layer: IntLayer, *, largest: int) -> Bounds:
    """Bound a layer's sums and states.

    Args:
        layer: the layer.
        largest: the largest count that one of its inputs carries.
    """
    total = largest_sum(layer, largest)
    wraps_total = layer.kind == "conv" and total >= 1 << (CONVOLUTION_BITS - 1)
    if wraps_total:
        total = 1 << (CONVOLUTION_BITS - 1)
    received = total << STATE_SHIFT
    wraps_received = received >= INT32
    received = min(received, INT32)
    # The largest fixed point of u = u (4096 - iDecay) / 4096 + a: what a steady input tends to.
    current = received * DECAY_UNITY // layer.neuron.current_decay
    wraps_current = current >= STATE_LIMIT
    bias = 0 if layer.bias is None else int(np.abs(layer.bias.astype(np.int64)).max(initial=0))
    bias <<= STATE_SHIFT
    # A current that wrapped once may still lie outside of 24 bits.
    largest_current = INT32 if wraps_current else current
    wraps_voltage = STATE_LIMIT + largest_current + bias >= INT32
    return Bounds(total, current, bias, wraps_total, wraps_received, wraps_current, wraps_voltage)
