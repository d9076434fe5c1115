"""Weights at which spiking layers fire a few percent of the time, before any training."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from .loihi_leaky import LoihiLeaky

_SETTLED = 0.002
_BISECTIONS = 24


def initialise(synapse: nn.Conv2d, *, beta: float, threshold: float, rate: float = 0.02) -> None:
    """Draw weights so that independent inputs at `rate` make a few percent of neurons fire.

    A membrane that leaks by beta gathers the variance of 1 / (1 - beta^2) steps. Placed 1.7
    standard deviations under the threshold, it crosses in about 4 % of the steps; the reset
    takes half of that again, so the next layer may count on the same rate.
    """
    fan_in = synapse.weight[0].numel()
    gathered = fan_in * rate / max(1.0 - beta**2, 0.02)
    nn.init.normal_(synapse.weight, std=threshold / (1.7 * gathered**0.5))
    if synapse.bias is not None:
        nn.init.zeros_(synapse.bias)


def find_gain(neuron: LoihiLeaky, sums: Tensor, *, rate: float) -> tuple[float, float]:
    """Return gain on `sums` at which `neuron` fires at `rate`, by bisection of its logarithm."""
    low, high = -10.0, 10.0
    gain, found = 1.0, float(neuron.sequence(sums).mean())
    for _ in range(_BISECTIONS):
        if abs(found - rate) < _SETTLED:
            break
        middle = float(np.log2(gain))
        low, high = (middle, high) if found < rate else (low, middle)
        gain = 2.0 ** ((low + high) / 2)
        found = float(neuron.sequence(sums * gain).mean())
    return gain, found
