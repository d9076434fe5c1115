"""Weights as a NIR graph holds them: with the population's gain taken out, groups spread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import FloatNeuron

from .forms import ReaderForm

Array = NDArray[Any]


def gain_of(neuron: FloatNeuron, form: ReaderForm) -> float:
    """Return what weights are divided by: 1 - beta for LIF with r = 1, else 1."""
    whole = neuron.alpha > 0 or neuron.beta == 1 or form.gain == "r"
    return 1.0 if whole else 1.0 - neuron.beta


def stored_weight(values: Array, gain: float) -> Array:
    """Return weights as the graph has them: divided by the gain, float32."""
    stored: Array = (values.astype(np.float64) / gain).astype(np.float32)
    return stored


def spread(weight: Array, groups: int) -> Array:
    """Return the same convolution with kernels over all channels, zero outside a kernel's group."""
    outputs, inputs = weight.shape[:2]
    whole = np.zeros((outputs, inputs * groups, *weight.shape[2:]), weight.dtype)
    for rows, columns in blocks_of(outputs, inputs * groups, groups):
        whole[rows, columns] = weight[rows]
    return whole


def blocks_of(outputs: int, inputs: int, groups: int) -> list[tuple[slice, slice]]:
    """Return the slices of output and input channels of each group."""
    rows, columns = outputs // groups, inputs // groups
    return [
        (slice(g * rows, (g + 1) * rows), slice(g * columns, (g + 1) * columns))
        for g in range(groups)
    ]
