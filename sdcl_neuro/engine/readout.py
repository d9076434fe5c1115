"""The membranes of a read-out layer, step by step, in the chip's integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.activity import Spikes
from sdcl_neuro.network.fixed_point import neuron_step, wrap_convolution
from sdcl_neuro.network.spec import IntLayer

Membranes = NDArray[np.int64]


def membranes(layer: IntLayer, spikes: Spikes) -> tuple[Membranes, NDArray[np.int64]]:
    """Run one layer and keep its membranes.

    Args:
        layer: convolutional or dense, without delays and recurrence.
        spikes: what it receives, ``[T, B, *in_shape]``, each sample from a clean state.

    Returns:
        The membrane after each step, int64 ``[T, B, *out_shape]``, a weight of one being 2^6; and
        per neuron the steps in which it was clipped, or fired just below that, ``[B, *out_shape]``.
    """
    steps, samples = spikes.shape[:2]
    shape = (samples, *layer.out_shape)
    current, voltage = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    bias: NDArray[np.int64] | int = 0
    if layer.bias is not None:
        bias = layer.bias.astype(np.int64).reshape(-1, *[1] * (len(layer.out_shape) - 1))
    kept = np.empty((steps, *shape), np.int64)
    clipped = np.zeros(shape, np.int64)
    for step in range(steps):
        state = neuron_step(
            current, voltage, _sums(layer, spikes[step]), neuron=layer.neuron, bias=bias
        )
        current, voltage = state.current, state.voltage
        kept[step] = voltage
        clipped += state.saturated | state.spikes
    return kept, clipped


def _sums(layer: IntLayer, spikes: Spikes) -> NDArray[np.int64]:
    """Return weights received in one step, ``[B, *out_shape]``; float64 holds such sums exactly."""
    if layer.convolution is None:
        flat = spikes.reshape(len(spikes), -1).astype(np.float64)
        sums = flat @ layer.weight.T.astype(np.float64)
        return sums.astype(np.int64).reshape(len(spikes), *layer.out_shape)
    import torch
    from torch.nn import functional

    where = layer.convolution
    sums = functional.conv2d(
        torch.from_numpy(spikes.astype(np.float64)),
        torch.from_numpy(layer.weight.astype(np.float64)),
        None,
        where.stride,
        where.padding,
        where.dilation,
        where.groups,
    ).numpy()
    return wrap_convolution(np.rint(sums).astype(np.int64))
