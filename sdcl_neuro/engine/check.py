"""What the engine asks of a network and of its input, before it reserves any memory."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import psutil
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.network import spike_checks
from sdcl_neuro.network.arguments import check_indices
from sdcl_neuro.network.fixed_point import DECAY_UNITY, DELAY_MAX, STATE_SHIFT, THRESHOLD_MAX
from sdcl_neuro.network.spec import IntLayer, IntNetwork, Shape
from sdcl_neuro.network.spike_file import Spikes

from .known_networks import Known, known

MAX_NEURONS = 1 << 27
"""Neurons of one layer beyond which a description is taken for damaged."""
MAX_SUM = 1 << 31
"""Lava sums weights in 32 bits (``a_out`` of its Dense and Conv models)."""
SMALL_BYTES = 64 << 20
"""Not worth asking how much memory is free, which takes as long as several steps."""
_STATE_BYTES = 64  # per neuron and sample in the hungrier path


def check_network(net: IntNetwork) -> Known:
    """Raise InputError at the first layer that is not what `spec` describes; else what is known."""
    try:
        entry = known(net)
    except (AttributeError, TypeError, ValueError):  # not even arrays: the checks say which
        _check_network(net)
        raise
    if not entry.sound:
        _check_network(net)
        entry.sound = True
    return entry


def _check_network(net: IntNetwork) -> None:
    if not net.layers:
        raise InputError("the network has no layers", hint="give at least one")
    spike_checks.check_message_bits(net.message_bits)
    _check_shape(net.input_shape, where="network input")
    shape = net.input_shape
    for index, layer in enumerate(net.layers):
        where = f"layer {index} ({layer.name})"
        _check_chain(layer, shape, where=where)
        _check_synapses(layer, where=where)
        _check_neuron(layer, where=where)
        largest = largest_input(net) if index == 0 else 1
        if largest_sum(layer, largest) >= MAX_SUM:
            raise InputError("its weights may sum beyond 32 bits", where=where, hint="split it")
        shape = layer.out_shape


def check_input(net: IntNetwork, spikes: object, *, where: str = "spikes") -> Spikes:
    """Return `spikes` as contiguous uint8 ``[T, B, *input_shape]``, or raise InputError."""
    return np.ascontiguousarray(
        spike_checks.check_input(
            spikes, net.input_shape, message_bits=net.message_bits, where=where
        )
    )


def check_layers(net: IntNetwork, layers: Sequence[int] | None) -> tuple[int, ...]:
    """Return the layers to keep, in order, each once; None is all of them."""
    return check_indices(layers, len(net.layers))


def check_memory(net: IntNetwork, *, steps: int, samples: int, keep: Sequence[int]) -> None:
    """Raise InputError if the spikes to keep and the states exceed the free memory."""
    kept = sum(net.layers[index].neurons for index in keep) * steps * samples
    states = sum(_state_elements(layer) for layer in net.layers) * samples * _STATE_BYTES
    if kept + states < SMALL_BYTES:
        return
    free = int(psutil.virtual_memory().available)
    if kept + states > free:
        raise InputError(
            f"{(kept + states) / 2**30:,.1f} GiB for {number_of(steps, 'step')} of "
            f"{number_of(samples, 'sample')}, of which {free / 2**30:,.1f} GiB are free",
            where="run",
            hint="keep fewer layers, or give fewer steps or samples at a time",
        )


def largest_input(net: IntNetwork) -> int:
    """Return largest count one input may carry; spikes are uint8."""
    return spike_checks.largest_count(net.message_bits)


def largest_sum(layer: IntLayer, largest: int) -> int:
    """Return bound of the absolute activation, recurrent input included, for inputs up to
    `largest`.
    """
    total = np.abs(layer.weight.astype(np.int64)).reshape(len(layer.weight), -1).sum(axis=1)
    total = total * largest
    if layer.recurrent_weight is not None:
        total = total + np.abs(layer.recurrent_weight.astype(np.int64)).sum(axis=1)
    return int(total.max(initial=0))


def _check_shape(shape: Shape, *, where: str) -> None:
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise InputError(f"shape {list(shape)} is not (C, H, W) or (N,)", where=where)
    if prod(map(int, shape)) > MAX_NEURONS:
        raise InputError(f"shape {list(shape)} exceeds {MAX_NEURONS:,} neurons", where=where)


def _check_chain(layer: IntLayer, shape: Shape, *, where: str) -> None:
    _check_shape(layer.in_shape, where=where)
    _check_shape(layer.out_shape, where=where)
    same = layer.in_shape == tuple(shape)
    # A dense layer may name its input flat where the layer before has (C, H, W).
    if not same and not (layer.kind != "conv" and prod(layer.in_shape) == prod(shape)):
        raise InputError(
            f"takes shape {list(layer.in_shape)}, but receives {list(shape)}",
            where=where,
            hint="make the shapes chain",
        )


def _check_synapses(layer: IntLayer, *, where: str) -> None:
    arrays = {
        "weight": layer.weight,
        "bias": layer.bias,
        "recurrent weight": layer.recurrent_weight,
        "delay": layer.delay,
    }
    for name, array in arrays.items():
        if array is not None and array.dtype.kind not in "iu":
            raise InputError(f"its {name} is {array.dtype}, not integer", where=where)
    if layer.kind == "conv":
        expected = _convolution_shape(layer, where=where)
    elif layer.kind in ("dense", "dense_rec"):
        if layer.out_shape != (layer.neurons,):
            raise InputError(f"a dense layer's shape is flat, not {layer.out_shape}", where=where)
        expected = (layer.neurons, prod(layer.in_shape))
    else:
        raise InputError(f"unknown kind {layer.kind!r}", where=where)
    square = (layer.neurons, layer.neurons)
    _match("weight", layer.weight, expected, where=where)
    if layer.bias is not None:
        _match("bias", layer.bias, expected[:1], where=where)
        if np.abs(layer.bias.astype(np.int64)).max() >= MAX_SUM >> STATE_SHIFT:
            raise InputError("a bias exceeds 25 bits", where=where, hint="lower it")
    if (layer.recurrent_weight is not None) != (layer.kind == "dense_rec"):
        raise InputError("a recurrent weight belongs to dense_rec, and only there", where=where)
    if layer.recurrent_weight is not None:
        _match("recurrent weight", layer.recurrent_weight, square, where=where)
    _check_delay(layer, expected, where=where)


def _check_delay(layer: IntLayer, expected: Shape, *, where: str) -> None:
    if layer.delay is None:
        return
    if layer.kind != "dense":
        raise InputError(f"a delay on a {layer.kind} layer", where=where, hint="remove it")
    _match("delay", layer.delay, expected, where=where)
    low, high = int(layer.delay.min()), int(layer.delay.max())
    if low < 0 or high > DELAY_MAX:
        raise InputError(f"delays from {low} to {high}", where=where, hint="use 0 to 62 steps")


def _convolution_shape(layer: IntLayer, *, where: str) -> Shape:
    geometry = layer.convolution
    if geometry is None:
        raise InputError("a convolution without its geometry", where=where)
    if layer.weight.ndim != 4 or len(layer.in_shape) != 3:
        raise InputError("a convolution takes (C, H, W) and a weight of rank 4", where=where)
    if min(*geometry.stride, *geometry.dilation, geometry.groups) < 1 or min(geometry.padding) < 0:
        raise InputError(f"impossible geometry {geometry}", where=where)
    if layer.in_shape[0] % geometry.groups or layer.weight.shape[0] % geometry.groups:
        raise InputError(f"{geometry.groups} groups do not divide its channels", where=where)
    out_shape = (
        layer.weight.shape[0],
        *geometry.output_size(layer.in_shape[1:], layer.kernel),
    )
    if out_shape != layer.out_shape:
        raise InputError(
            f"gives shape {list(out_shape)}, but declares {list(layer.out_shape)}",
            where=where,
            hint="correct its out_shape",
        )
    return (layer.weight.shape[0], layer.in_shape[0] // geometry.groups, *layer.kernel)


def _match(name: str, array: NDArray[np.int32], expected: Shape, *, where: str) -> None:
    if array.shape != expected:
        raise InputError(
            f"its {name} has shape {list(array.shape)}, not {list(expected)}", where=where
        )


def _check_neuron(layer: IntLayer, *, where: str) -> None:
    neuron = layer.neuron
    limits = {
        # A membrane decay of 4096 does not fit the chip's register but is sound arithmetic.
        "current_decay": (neuron.current_decay, 1, DECAY_UNITY),
        "voltage_decay": (neuron.voltage_decay, 0, DECAY_UNITY),
        "threshold": (neuron.threshold, 0, THRESHOLD_MAX),
    }
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise InputError(f"its {name} is {value}", where=where, hint=f"use {low} to {high}")


def _state_elements(layer: IntLayer) -> int:
    slots = 1 if layer.delay is None else int(layer.delay.max()) + 1
    return layer.neurons * (3 + slots) // 4
