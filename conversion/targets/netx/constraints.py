"""What Lava's netx format, its fixed-point simulation and Loihi's fields can hold.

`refusals` collects every reason why a network cannot go there, so that one answer names them all.
Field widths: lava-nc 0.10.0 `proc/lif/models.py` (docstring of PyLifModelBitAcc); weights:
lava-dl 0.6.0 `netx/utils.py` and lava-nc `utils/weightutils.py`. Lava checks none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import Refusal
from sdcl_neuro.network.fixed_point import (
    BIAS_MAX,
    BIAS_MIN,
    DECAY_UNITY,
    THRESHOLD_MAX,
    WEIGHT_MAX,
    WEIGHT_MIN,
)
from sdcl_neuro.network.spec import IntLayer, IntNetwork, Shape
from sdcl_neuro.network.spike_checks import MAX_MESSAGE_BITS

from . import input_neurons
from .weight_exponent import lost_weights

KINDS = ("conv", "dense", "dense_rec")
MAX_DELAY = 62  # lava-dl netx/hdf5.py: larger ones are clamped there, with a warning
MAX_GEOMETRY = 127  # lava-nc proc/conv/models.py holds kernel, stride, padding... in int8
MAX_LAYERS = 256
MAX_ELEMENTS = 1 << 26  # of one array or population: far beyond any chip, bounds memory

Reason = tuple[str, str]


def refusals(net: IntNetwork) -> list[Refusal]:
    """Return every reason why `net` cannot be written for Lava; empty if it can."""
    found = list(network_refusals(net.input_shape, len(net.layers), net.message_bits))
    for name, times in Counter(layer.name for layer in net.layers).items():
        if times > 1:
            what = f"{times} layers are called {name!r}"
            found.append(Refusal("network", what, "give each layer its own name"))
    shape = net.input_shape
    driven = input_neurons.drive(net) is not None
    for index, layer in enumerate(net.layers):
        where = f"layer {index} ({layer.name})"
        if index == 0 and driven:  # no synapse: its weight has the width of a bias
            found += [Refusal(where, what, hint) for what, hint in _neuron_reasons(layer)]
            found += input_neurons.refusals(net, where)
        else:
            found += layer_refusals(layer, where=where, before=shape)
        shape = layer.out_shape
    return found


def network_refusals(input_shape: Shape, layers: int, message_bits: int) -> Iterator[Refusal]:
    """Yield what is wrong with the network as a whole."""
    if len(input_shape) not in (1, 3) or not all(0 < n <= MAX_ELEMENTS for n in input_shape):
        yield Refusal("input", f"shape {input_shape}", "give (C, H, W) or (N,), all positive")
    elif prod(input_shape) > MAX_ELEMENTS:
        yield Refusal("input", f"more than {MAX_ELEMENTS} inputs", "shrink it")
    if not 0 < layers <= MAX_LAYERS:
        hint = f"give 1 to {MAX_LAYERS} layers of {', '.join(KINDS)}"
        yield Refusal("network", f"{layers} layers with neurons", hint)
    if not 0 <= message_bits <= MAX_MESSAGE_BITS:
        hint = f"0 for binary spikes, else 1 to {MAX_MESSAGE_BITS}"
        yield Refusal("network", f"message_bits {message_bits}", hint)


def layer_refusals(layer: IntLayer, *, where: str, before: Shape | None) -> list[Refusal]:
    """Return every reason why one layer cannot be written.

    Args:
        layer: the layer.
        where: how to call it in an answer.
        before: output shape of the layer before it, or the input's; None if that is unknown.
    """
    reasons = list(_shape_reasons(layer, before)) or list(_weight_reasons(layer))
    reasons += [*_neuron_reasons(layer), *_bias_reasons(layer), *_delay_reasons(layer)]
    return [Refusal(where, what, hint) for what, hint in reasons]


def not_whole(values: NDArray[np.generic]) -> str | None:
    """Return why `values` are not integers of 32 bits, or None if they are."""
    if values.dtype.kind not in "biuf":
        return f"values of type {values.dtype}"
    if values.dtype.kind == "f":
        if np.isnan(values).any():
            return "not-a-number (NaN)"
        if np.isinf(values).any():
            return "infinite values"
        broken = values[values != np.floor(values)]
        if broken.size:
            return f"values that are not integers, such as {broken.flat[0]:g}"
    if values.size and (values.min() < -(2**31) or values.max() >= 2**31):
        return "values beyond 32 bits"
    return None


def _shape_reasons(layer: IntLayer, before: Shape | None) -> Iterator[Reason]:
    if layer.kind not in KINDS:
        yield f"layers of type {layer.kind!r} do not run in netx", f"use {', '.join(KINDS)}"
        return
    flattened = layer.kind != "conv" and len(layer.in_shape) == 1
    if before not in (None, layer.in_shape) and not (
        flattened and prod(before or ()) == layer.in_shape[0]
    ):
        yield (
            f"takes {layer.in_shape}, the layer before it gives {before}",
            "make the shapes chain",
        )
    if prod(layer.in_shape) > MAX_ELEMENTS or prod(layer.out_shape) > MAX_ELEMENTS:
        yield f"a population beyond {MAX_ELEMENTS} neurons", "shrink it"
    if layer.kind == "conv":
        yield from _convolution_reasons(layer)
        return
    if layer.weight.shape != (prod(layer.out_shape), prod(layer.in_shape)):
        yield (
            f"weights of shape {layer.weight.shape} between {prod(layer.in_shape)} inputs "
            f"and {prod(layer.out_shape)} neurons",
            "give [neurons, inputs]",
        )
    if len(layer.out_shape) != 1:
        yield f"a dense layer of shape {layer.out_shape}", "give it the shape (N,)"
    if layer.convolution is not None:
        yield "a dense layer with a convolution's geometry", "leave it out"
    yield from _recurrence_reasons(layer)


def _recurrence_reasons(layer: IntLayer) -> Iterator[Reason]:
    recurrent, square = layer.recurrent_weight, (prod(layer.out_shape),) * 2
    if layer.kind != "dense_rec":
        if recurrent is not None:
            yield f"recurrent weights in a {layer.kind} layer", "use a dense_rec layer"
    elif recurrent is None:
        yield "no recurrent weights", "give them, or use a dense layer"
    elif recurrent.shape != square:
        yield f"recurrent weights of shape {recurrent.shape}", f"give {square}"


def _convolution_reasons(layer: IntLayer) -> Iterator[Reason]:
    geometry, weight = layer.convolution, layer.weight
    if geometry is None or weight.ndim != 4 or len(layer.in_shape) != 3 or 0 in weight.shape:
        yield (
            f"a convolution with weights {weight.shape} on input {layer.in_shape}",
            "give geometry, weights [out, in / groups, rows, columns] and input (C, H, W)",
        )
        return
    sizes = {
        "kernel": (weight.shape[2:], 1),
        "stride": (geometry.stride, 1),
        "padding": (geometry.padding, 0),
        "dilation": (geometry.dilation, 1),
        "groups": ((geometry.groups,), 1),
    }
    sound = True
    for name, (values, least) in sizes.items():
        if not all(least <= value <= MAX_GEOMETRY for value in values):
            sound = False
            hint = f"keep it in {least} to {MAX_GEOMETRY}, which is what Lava can hold"
            yield f"{name} {tuple(values)}", hint
    if layer.recurrent_weight is not None:
        yield "recurrent weights in a conv layer", "use a dense_rec layer"
    if not sound:
        return
    channels, groups = layer.in_shape[0], geometry.groups
    if weight.shape[1] * groups != channels or weight.shape[0] % groups:
        yield (
            f"{groups} groups, weights {weight.shape} and {channels} input channels",
            "groups must divide both, weights be [out, in / groups, rows, columns]",
        )
    rows, columns = layer.in_shape[1:]
    expected = (weight.shape[0], *geometry.output_size((rows, columns), layer.kernel))
    if min(expected) < 1:
        yield f"a kernel larger than its input {layer.in_shape}", "pad the input or shrink it"
    elif expected != layer.out_shape:
        yield f"gives {expected}, but its shape says {layer.out_shape}", "correct its shape"


def _weight_reasons(layer: IntLayer) -> Iterator[Reason]:
    parts = {"weights": layer.weight, "recurrent weights": layer.recurrent_weight}
    for name, values in parts.items():
        reason = None if values is None else not_whole(values)
        if reason:
            yield f"{name}: {reason}", "quantise the network to integers first"
            return
    if layer.kind == "conv":
        worst = [w for w in (layer.weight.min(), layer.weight.max()) if _unfit(int(w))]
        odd = layer.weight[layer.weight % 2 != 0]
        if worst or odd.size:
            example = int(worst[0] if worst else odd.flat[0])
            yield (
                f"a convolution's weight of {example}; Loihi's 8 signed bits hold even values "
                f"in {WEIGHT_MIN} to {WEIGHT_MAX}",
                "round the weights to such values",
            )
        return
    lost = lost_weights(layer.weight, layer.recurrent_weight)
    if lost:
        yield lost


def _unfit(weight: int) -> bool:
    return not WEIGHT_MIN <= weight <= WEIGHT_MAX


def _neuron_reasons(layer: IntLayer) -> Iterator[Reason]:
    neuron = layer.neuron
    fields = (
        ("iDecay", neuron.current_decay, 1, DECAY_UNITY),
        ("vDecay", neuron.voltage_decay, 0, DECAY_UNITY - 1),
        ("vThMant", neuron.threshold, 0, THRESHOLD_MAX),
    )
    for name, value, least, most in fields:
        if not least <= value <= most:
            bits = " (17 bits)" if name == "vThMant" else " (12 bits)"
            hint = "scale the layer's weights and threshold down" if bits == " (17 bits)" else ""
            yield f"{name} {value}{bits}", hint or f"keep it in {least} to {most}"


def _bias_reasons(layer: IntLayer) -> Iterator[Reason]:
    bias = layer.bias
    if bias is None:
        return
    if bias.shape != layer.out_shape[:1]:
        yield (
            f"biases of shape {bias.shape}",
            f"give one a channel or neuron: {layer.out_shape[:1]}",
        )
    elif reason := not_whole(bias):
        yield f"biases: {reason}", "quantise them to integers first"
    elif bias.min() < BIAS_MIN or bias.max() > BIAS_MAX:
        worst = int(bias.flat[np.abs(bias.astype(np.int64)).argmax()])
        hint = f"scale the layer down until they lie in {BIAS_MIN} to {BIAS_MAX}"
        yield f"a bias of {worst}, beyond 13 signed bits", hint


def _delay_reasons(layer: IntLayer) -> Iterator[Reason]:
    delay = layer.delay
    if delay is None:
        return
    if layer.kind == "conv":
        yield "a delay on a convolution, which netx ignores", "remove it"
    elif layer.kind == "dense_rec":
        yield "a delay on a recurrent layer, whose weight exponent netx loses", "remove it"
    elif delay.shape != layer.weight.shape:
        yield f"delays of shape {delay.shape}", f"give one a synapse: {layer.weight.shape}"
    elif reason := not_whole(delay):
        yield f"delays: {reason}", "give integers"
    elif delay.min() < 0 or delay.max() > MAX_DELAY:
        worst = int(delay.min() if delay.min() < 0 else delay.max())
        yield f"a delay of {worst} steps", f"keep delays in 0 to {MAX_DELAY}"
