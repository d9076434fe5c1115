"""A layer's neurons as a NIR node, in the form that a reader takes."""

from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np

from sdcl_neuro.network.spec import FloatLayer, FloatNeuron

from .forms import ENDLESS, ReaderForm
from .weights import Array


def rate_of(neuron: FloatNeuron, form: ReaderForm) -> float:
    """Return what a step takes off the membrane, 1 - beta, as the form can say it."""
    return 1 / ENDLESS if neuron.beta == 1 and form.integrator == "LIF" else 1 - neuron.beta


def population(layer: FloatLayer, dt: float, form: ReaderForm) -> Any:
    """Return the node of a layer's neurons.

    Args:
        layer: the layer.
        dt: length of one step in seconds.
        form: the reader's.
    """
    import nir

    neuron, rate = layer.neuron, rate_of(layer.neuron, form)
    single = form.single and rate > 0 and len(layer.out_shape) > 1
    shape = (1,) if single else layer.out_shape

    def each(value: float) -> Array:
        return np.full(shape, value, np.float32)

    common = {"v_threshold": each(neuron.threshold), "v_reset": each(0.0)}
    if rate == 0:
        return nir.IF(r=each(1 / dt if form.integrator == "IF 1/dt" else 1.0), **common)
    if neuron.alpha == 0:
        in_r = form.gain == "r" and form.decay == "euler"
        r = 1 / rate if in_r else 1.0
        return nir.LIF(tau=each(_tau(rate, dt, form)), r=each(r), v_leak=each(0.0), **common)
    leak = each(0.0)
    if layer.bias is not None:
        drive = layer.bias.astype(np.float64) / rate
        leak = leak + drive.reshape(-1, *[1] * (len(layer.out_shape) - 1)).astype(np.float32)
    return nir.CubaLIF(
        tau_syn=each(_tau(1 - neuron.alpha, dt, form)),
        tau_mem=each(_tau(rate, dt, form)),
        r=each(1 / rate),
        v_leak=leak,
        w_in=each(1 / (1 - neuron.alpha)),
        **common,
    )


def _tau(rate: float, dt: float, form: ReaderForm) -> float:
    """Return the time constant that a reader turns into the decay 1 - rate.

    In steps, exp(-1 / tau) is to be 1 - rate; a decay of zero is what float32 takes for it.
    """
    if form.decay == "euler":
        return dt / rate
    return -1 / log(max(1 - rate, exp(-100.0)))
