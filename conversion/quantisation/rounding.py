"""From a float description to the chip's integers, after training or exactly as trained.

A layer that training gave a scale keeps it, and its integers are those that training computed
with. Any other layer gets the largest scale at which weights, threshold and bias fit
(`sdcl_neuro.network.scales`); with calibration data, also the currents and membranes met on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal
from sdcl_neuro.network.arguments import kind_of
from sdcl_neuro.network.fixed_point import (
    DECAY_UNITY,
    WEIGHT_MAX,
    WEIGHT_MIN,
    current_decay,
    quantize_bias,
    quantize_threshold,
    quantize_weight,
    voltage_decay,
)
from sdcl_neuro.network.scales import CURRENT_MAX, choose_scale, clear_of_powers
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, IntLayer, IntNetwork, IntNeuron

from ..lowering.graph.nodes import FloatGraph
from ..lowering.graph.prices import Cure
from ..parity.source_check import bound_to
from ..targets.netx.constraints import refusals

HEADROOM = 1.5
"""Currents and membranes may go so much further than on the calibration data."""
_WEIGHT_MEND = "train the layer again, or remove it"


def quantize(
    net: FloatNetwork | FloatGraph,
    *,
    calibration: object = None,
    message_bits: int = 0,
    relays: Cure = "auto",
    growth: float | None = None,
) -> IntNetwork:
    """Round a network to what Loihi stores.

    Args:
        net: the float description, a chain or a graph.
        calibration: spikes ``[T, B, *input_shape]``, binary or counts, that show how far
            currents and membranes go; None bounds nothing by data.
        message_bits: 0 for binary input spikes; else input counts below 2 ** message_bits.
        relays, growth: for a graph only; see `graphs.quantize_graph`.

    Returns:
        The integer network; of a graph, the chain that computes it. ``meta["quantisation"]``
        has, per layer, the scale and where it came from, the errors of weights, decays,
        threshold and bias in float units, the weights that were clipped, and whether some input
        could make the current wrap around.

    Raises:
        NetworkRefused: with every reason why the network does not fit.
        InputError: for anything but a float network, or calibration data of another shape.
    """
    if isinstance(net, FloatGraph):
        from .graphs import GROWTH_MAX, quantize_graph

        return quantize_graph(
            net,
            calibration=calibration,
            message_bits=message_bits,
            relays=relays,
            growth=GROWTH_MAX if growth is None else growth,
        )
    if not isinstance(net, FloatNetwork):
        raise InputError(
            f"expected a FloatNetwork, got {kind_of(net)}",
            where="quantize",
            hint="it is in chip integers already: use it as it is"
            if isinstance(net, IntNetwork)
            else "read it first: conversion.from_snntorch(module, sample), or from_nir(path)",
        )
    reasons = [reason for place, layer in _places(net) for reason in layer_refusals(place, layer)]
    if reasons:
        raise NetworkRefused(reasons)
    peaks: list[float | None] = [None] * len(net.layers)
    if calibration is not None:
        from .peaks import measure_peaks  # by torch, which exact networks do without

        peaks = list(measure_peaks(net, calibration, message_bits=message_bits))
    layers, notes = [], []
    for layer, peak in zip(net.layers, peaks, strict=True):
        scale, origin = _scale(layer, peak)
        integer = round_layer(layer, scale)
        layers.append(integer)
        largest = 2**message_bits - 1 if message_bits and layer is net.layers[0] else 1
        notes.append(_note(layer, integer, scale=scale, origin=origin, largest=largest))
    quantized = IntNetwork(net.input_shape, tuple(layers), message_bits=message_bits)
    meta = {**bound_to(net.meta, net, quantized), "quantisation": notes}
    quantized = replace(quantized, meta=meta)
    remaining = refusals(quantized)
    if remaining:
        raise NetworkRefused(remaining)
    return quantized


def _places(net: FloatNetwork) -> Iterator[tuple[str, FloatLayer]]:
    for index, layer in enumerate(net.layers):
        yield f"layer {index} ({layer.name})", layer


def layer_refusals(place: str, layer: FloatLayer) -> Iterator[Refusal]:
    """Say why a layer has no integers at all; what the format cannot hold is found afterwards."""
    arrays = (layer.weight, layer.recurrent_weight, layer.bias)
    numbers = (layer.neuron.beta, layer.neuron.alpha, layer.neuron.threshold)
    if not all(np.isfinite(a).all() for a in (*arrays, numbers) if a is not None):
        yield Refusal(place, "a weight, bias, decay or threshold is not finite", _WEIGHT_MEND)
        return
    if layer.scale is not None and not (np.isfinite(layer.scale) and layer.scale > 0):
        yield Refusal(place, f"weight scale {layer.scale}", "give a positive one, or none")
    if layer.neuron.threshold < 0:
        yield Refusal(place, f"threshold {layer.neuron.threshold:g}", "give 0 or more")
    if layer.kind != "conv" and not layer.weight.any():
        yield Refusal(place, "an all-zero dense matrix, which netx cannot load", _WEIGHT_MEND)
    yield from _decay_reasons(place, layer)


def _decay_reasons(place: str, layer: FloatLayer) -> Iterator[Refusal]:
    beta, alpha = layer.neuron.beta, layer.neuron.alpha
    if not (0 <= beta <= 1 and 0 <= alpha < 1):
        yield Refusal(place, f"beta {beta:g}, alpha {alpha:g}", "give decays in [0, 1], alpha < 1")
        return
    if beta < 1 and voltage_decay(beta) == 0:
        what = (
            f"a membrane decay that rounds to nothing: beta {beta:.7g} in steps of 1/{DECAY_UNITY}"
        )
        yield Refusal(place, what, f"use at most {1 - 1 / DECAY_UNITY:.5f}, or 1 for no leak")
    if voltage_decay(beta) >= DECAY_UNITY:
        what = f"beta {beta:g}: vDecay {DECAY_UNITY} does not fit 12 bits"
        yield Refusal(place, what, f"use at least {1 / DECAY_UNITY:.5f}")
    if current_decay(alpha) == 0:
        what = f"a current decay that rounds to nothing: alpha {alpha:.7g}"
        yield Refusal(place, what, f"use at most {1 - 1 / DECAY_UNITY:.5f}")


def choose_layer_scale(
    layer: FloatLayer, *, peak: float | None = None, margin: float = 1.0
) -> float:
    """Return the largest scale at which a layer fits; arguments as for `scales.choose_scale`."""
    weights = layer.weight.ravel()
    if layer.recurrent_weight is not None:
        weights = np.concatenate([weights, layer.recurrent_weight.ravel()])
    scale = choose_scale(
        weights, threshold=layer.neuron.threshold, bias=layer.bias, peak=peak, margin=margin
    )
    for array in (layer.weight, layer.recurrent_weight):
        if layer.kind == "conv" or array is None or not array.min(initial=0.0) < 0:
            continue
        if array.max(initial=0.0) * scale <= 1:
            # Without a positive weight a matrix is stored with a sign of its own, down to -255.
            scale = min(scale, float(np.float32(WEIGHT_MAX / margin / -float(array.min()))))
    return scale if layer.kind == "conv" else clear_of_powers(weights, scale)


def _scale(layer: FloatLayer, peak: float | None) -> tuple[float, str]:
    if layer.scale is not None:
        return layer.scale, "training"
    if peak is None:
        return choose_layer_scale(layer), "weights"
    return choose_layer_scale(layer, peak=peak * HEADROOM), "calibration"


def round_layer(layer: FloatLayer, scale: float) -> IntLayer:
    """Return a layer's integers at a scale; whether they fit the chip is not looked at."""
    recurrent = layer.recurrent_weight
    return IntLayer(
        name=layer.name,
        kind=layer.kind,
        weight=quantize_weight(layer.weight, scale),
        neuron=IntNeuron(
            current_decay=current_decay(layer.neuron.alpha),
            voltage_decay=voltage_decay(layer.neuron.beta),
            threshold=quantize_threshold(layer.neuron.threshold, scale),
        ),
        in_shape=layer.in_shape,
        out_shape=layer.out_shape,
        bias=None if layer.bias is None else quantize_bias(layer.bias, scale),
        convolution=layer.convolution,
        recurrent_weight=None if recurrent is None else quantize_weight(recurrent, scale),
    )


def _note(
    layer: FloatLayer, integer: IntLayer, *, scale: float, origin: str, largest: int
) -> dict[str, Any]:
    """Return what rounding did to a layer, in float units; plain JSON."""
    errors = integer.weight / scale - layer.weight.astype(np.float64)
    if layer.recurrent_weight is not None and integer.recurrent_weight is not None:
        recurrent = integer.recurrent_weight / scale - layer.recurrent_weight.astype(np.float64)
        errors = np.concatenate([errors.ravel(), recurrent.ravel()])
    bias_error = 0.0
    if layer.bias is not None and integer.bias is not None:
        bias_error = float(np.abs(integer.bias / scale - layer.bias).max(initial=0.0))
    neuron = integer.neuron
    return {
        "name": layer.name,
        "scale": float(scale),
        "scale_from": origin,
        "weight_error_max": float(np.abs(errors).max(initial=0.0)),
        "weight_error_rms": float(np.sqrt(np.mean(errors**2))) if errors.size else 0.0,
        "row_error_max": _row_error(layer, integer, scale),
        "weights_clipped": _clipped(layer, scale),
        "beta_error": 1 - neuron.voltage_decay / DECAY_UNITY - layer.neuron.beta,
        "alpha_error": 1 - neuron.current_decay / DECAY_UNITY - layer.neuron.alpha,
        "threshold_error": neuron.threshold / scale - layer.neuron.threshold,
        "bias_error_max": bias_error,
        "may_wrap": _largest_current(integer, largest) > CURRENT_MAX,
    }


def _row_error(layer: FloatLayer, integer: IntLayer, scale: float) -> float:
    """Return rms error over rms weight of the channel or row that rounding hurts most."""
    rows = layer.weight.reshape(len(layer.weight), -1).astype(np.float64)
    errors = integer.weight.reshape(rows.shape) / scale - rows
    weights = np.sqrt(np.mean(rows**2, axis=1))
    found = np.sqrt(np.mean(errors**2, axis=1))[weights > 0] / weights[weights > 0]
    return float(found.max(initial=0.0))


def _clipped(layer: FloatLayer, scale: float) -> int:
    """Return weights beyond the eight bits; training may clip some, a chosen scale clips none."""
    arrays = [layer.weight] + ([] if layer.recurrent_weight is None else [layer.recurrent_weight])
    counts = 0
    for array in arrays:
        rounded: NDArray[np.float64] = 2 * np.rint(array.astype(np.float64) * scale / 2)
        counts += int(((rounded < WEIGHT_MIN) | (rounded > WEIGHT_MAX)).sum())
    return counts


def _largest_current(layer: IntLayer, largest: int) -> float:
    """Return a bound on the current when every input of one sign spikes in every step, in
    weights.
    """
    rows = layer.weight.reshape(len(layer.weight), -1).astype(np.int64)
    above, below = np.maximum(rows, 0).sum(1) * largest, np.maximum(-rows, 0).sum(1) * largest
    if layer.recurrent_weight is not None:
        recurrent = layer.recurrent_weight.astype(np.int64)
        above = above + np.maximum(recurrent, 0).sum(1)
        below = below + np.maximum(-recurrent, 0).sum(1)
    reach = float(np.maximum(above, below).max(initial=0))
    return reach * DECAY_UNITY / layer.neuron.current_decay
