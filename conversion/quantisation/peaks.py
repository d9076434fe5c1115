"""How far currents and membranes of a float network go on given spikes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork
from sdcl_neuro.network.spike_checks import check_spikes


def measure_peaks(net: FloatNetwork, spikes: object, *, message_bits: int = 0) -> tuple[float, ...]:
    """Run `net` in float and note the extremes.

    Args:
        net: the network.
        spikes: ``[T, B, *input_shape]``.
        message_bits: how large a count may be, as in `spec.IntNetwork`.

    Returns:
        Per layer, in units of its float weights, the larger of the current's magnitude and the
        membrane's depth below zero. Above zero the membrane stops at the threshold.

    Raises:
        InputError: for spikes of another shape, or counts beyond `message_bits`.
    """
    values = check_spikes(spikes, where="calibration")
    if values.shape[2:] != tuple(net.input_shape):
        raise InputError(
            f"spikes of shape {list(values.shape[2:])} for a network of {list(net.input_shape)}",
            where="calibration",
            hint="give [T, B, *input_shape]",
        )
    if int(values.max()) > max(1, 2**message_bits - 1):
        raise InputError(
            f"a count of {int(values.max())} with message_bits {message_bits}",
            where="calibration",
            hint="make the spikes binary, or give more message_bits",
        )
    flow = torch.from_numpy(np.ascontiguousarray(values)).float()
    peaks = []
    with torch.no_grad():
        for layer in net.layers:
            flow, peak = _run_layer(layer, flow)
            peaks.append(peak)
    return tuple(peaks)


def synaptic_input(layer: FloatLayer, spikes: Tensor) -> Tensor:
    """Return what the feed-forward synapse delivers ``[T, B, *out_shape]``, without the bias."""
    weight = torch.from_numpy(layer.weight).to(spikes.dtype)
    folded = spikes.flatten(0, 1)
    if layer.convolution is None:
        sums = functional.linear(folded.flatten(1), weight)
    else:
        where = layer.convolution
        sums = functional.conv2d(
            folded, weight, None, where.stride, where.padding, where.dilation, where.groups
        )
    shaped: Tensor = sums.unflatten(0, spikes.shape[:2])
    return shaped


def _run_layer(layer: FloatLayer, spikes: Tensor) -> tuple[Tensor, float]:
    """Return spikes and peak of one layer; the equations of `spec.FloatNeuron`."""
    sums = synaptic_input(layer, spikes)
    neuron, recurrent = layer.neuron, None
    if layer.recurrent_weight is not None:
        recurrent = torch.from_numpy(layer.recurrent_weight)
    bias: Tensor | float = 0.0
    if layer.bias is not None:
        bias = torch.from_numpy(layer.bias).reshape(-1, *[1] * (len(layer.out_shape) - 1))
    current = voltage = fired = torch.zeros_like(sums[0])
    peak, outputs = 0.0, []
    for step in sums.unbind(0):
        current = neuron.alpha * current + step
        if recurrent is not None:
            current = current + functional.linear(fired, recurrent)
        voltage = neuron.beta * voltage * (1 - fired) + current + bias
        fired = (voltage > neuron.threshold).to(step)
        outputs.append(fired)
        peak = max(peak, float(current.abs().amax()), -float(voltage.amin()))
    return torch.stack(outputs), peak
