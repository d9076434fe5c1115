"""A graph's layers as the float network they mean, exact, or approximate where that is asked for.

Neurons that a spike sets to ``v_reset`` = r instead of zero are the chip's in ``v - r``: the
threshold is lower by r, and a constant drive takes ``(1 - beta) r`` off in each step. Only the
start differs, at zero in the one and at r in the other, which is why it is an approximation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, Shape

from ...approximation import recalibrate
from ...lowering.approximate import Approximation
from ...lowering.closing import close_layer
from ...lowering.populations import Population, Recurrence, Unsupported
from ...lowering.synapses import Synapse
from .reader import SNNTORCH_EXPORT, RawLayer, RawNetwork
from .values import Refuse

Rounding = Callable[[float], float]


def plain_network(raw: RawNetwork, *, where: str, calibration: object = None) -> FloatNetwork:
    """The float network that a graph means, whoever wrote it.

    Args:
        raw: the graph.
        where: how to call it in messages.
        calibration: spikes ``[T, B, *input_shape]``; given, another reset and a bias before a
            current are approximated.

    Raises:
        NetworkRefused: with every reason why it cannot be lowered.
    """
    problems: list[Refusal] = []
    # snnTorch's decays were float32 before they became time constants: rounding brings them back.
    rounding: Rounding = float
    if raw.dt_source == SNNTORCH_EXPORT:
        rounding = lambda value: float(np.float32(value))  # noqa: E731
    layers: list[FloatLayer] = []
    departures: list[Approximation | None] = []
    notes: list[str] = []
    sent = raw.input_shape
    for layer in raw.layers:
        try:
            _refuse_leak(layer, problems.append)
            closed = close_layer(
                _synapse(layer),
                _population(layer, rounding),
                pool=layer.pool,
                image=layer.in_shape,
                sent=sent,
                approximate=calibration is not None,
            )
        except Unsupported as unfit:
            problems += [Refusal(layer.where, what, mend) for what, mend in unfit.reasons]
            sent = layer.out_shape
            continue
        layers.append(_at_rest(closed.layer, layer.neurons.reset))
        departures.append(closed.departure)
        notes += closed.notes
        sent = closed.layer.out_shape
    if problems:
        raise NetworkRefused(problems, where=where)
    meta = {"source": "nir", "dt_s": raw.dt, "dt_source": raw.dt_source}
    net = FloatNetwork(raw.input_shape, tuple(layers), {**meta, "lowered": notes})
    return recalibrate(net, departures, calibration) if any(departures) else net


def _refuse_leak(layer: RawLayer, refuse: Refuse) -> None:
    if layer.neurons.leak.any():
        mend = "write the resting potential as zero, a constant drive as the bias before"
        refuse(Refusal(layer.where, "v_leak is not zero", mend))
    neurons = layer.neurons
    differ = neurons.threshold.min() != neurons.threshold.max()
    if neurons.reset and (neurons.alpha > 0 or differ):
        what = "v_reset is not zero, beside a synaptic current or thresholds that differ"
        refuse(Refusal(layer.where, what, "use a reset to zero"))


def _synapse(layer: RawLayer) -> Synapse:
    pooled: Shape = layer.in_shape
    if layer.pool is not None:
        pooled = (layer.in_shape[0], *layer.pool.size)
    bias = layer.bias
    return Synapse(
        name=layer.name,
        kind="conv" if layer.convolution is not None else "dense",
        weight=_scaled(layer.weight, layer.neurons.gain),
        in_shape=pooled,
        out_shape=layer.out_shape,
        bias=None if bias is None else _scaled(bias, layer.neurons.gain),
        convolution=layer.convolution,
    )


def _population(layer: RawLayer, rounding: Rounding) -> Population:
    neurons, recurrence = layer.neurons, None
    if layer.recurrent_weight is not None:
        bias = layer.recurrent_bias
        recurrence = Recurrence(
            "dense",
            _scaled(layer.recurrent_weight, neurons.gain),
            None if bias is None else _scaled(bias, neurons.gain),
        )
    threshold = neurons.threshold.astype(np.float64) - neurons.reset
    return Population(
        beta=rounding(neurons.beta),
        threshold=threshold,
        alpha=rounding(neurons.alpha),
        recurrence=recurrence,
        departure=Approximation(rest=neurons.reset) if neurons.reset else None,
    )


def _at_rest(layer: FloatLayer, reset: float) -> FloatLayer:
    """A layer in ``v - reset``, whose threshold has been lowered already."""
    drive = (1 - layer.neuron.beta) * reset
    if drive == 0:
        return layer
    bias = np.zeros(len(layer.weight), np.float32) if layer.bias is None else layer.bias
    return replace(layer, bias=(bias.astype(np.float64) - drive).astype(np.float32))


def _scaled(values: NDArray[np.generic], gain: float) -> NDArray[np.float64]:
    return values.astype(np.float64) * gain
