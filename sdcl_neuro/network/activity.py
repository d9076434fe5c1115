"""What a network did, counted from its spikes: the same counts for every backend.

A synaptic operation is one spike that reaches one existing synapse. It is counted when the
synapse receives the spike, also where an axonal delay or a recurrence lets its effect fall behind
the end of the run: chips read the weight on arrival and only buffer the sum. A convolution's
borders, strides, dilation and groups are exact. There are two counts: `synops` has zero weights in
it, since Lava's Dense and Conv processes store them; `synops_nonzero` has not, since a chip's
compiler leaves them out (Loihi 2's counters say so, see docs/energy.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from .record import Counts, LayerActivity
from .spec import Convolution, IntLayer, IntNetwork

Spikes = NDArray[np.uint8]

_BLOCK_ELEMENTS = 1 << 22


def reach(size: int, kernel: int, *, axis: int, convolution: Convolution) -> NDArray[np.int64]:
    """Return pairs (input, output, tap) that a convolution joins along one axis.

    Args:
        size: extent of the input along the axis.
        kernel: extent of the kernel along it.
        axis: 0 vertical, 1 horizontal.
        convolution: the geometry; ``output stride + tap dilation - padding = input``.

    Returns:
        int64 ``[pairs, 3]``, ordered by input, then output; not to be written to.
    """
    along = (convolution.stride[axis], convolution.padding[axis], convolution.dilation[axis])
    return _reach(int(size), int(kernel), *map(int, along))


@lru_cache(maxsize=256)
def _reach(size: int, kernel: int, stride: int, padding: int, dilation: int) -> NDArray[np.int64]:
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    output, tap = np.meshgrid(np.arange(outputs), np.arange(kernel), indexing="ij")
    source = output * stride + tap * dilation - padding
    inside = (source >= 0) & (source < size)
    pairs = np.stack([source[inside], output[inside], tap[inside]], axis=1).astype(np.int64)
    ordered: NDArray[np.int64] = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    ordered.setflags(write=False)
    return ordered


def fan_out(layer: IntLayer) -> NDArray[np.int64]:
    """Return synapses that each input of a layer drives, int64 over ``layer.in_shape``.

    A recurrent synapse is driven by the layer's own spikes and is not included.
    """
    if layer.convolution is None:
        return np.full(layer.in_shape, layer.neurons, dtype=np.int64)
    rows, columns = (
        np.bincount(
            reach(size, kernel, axis=axis, convolution=layer.convolution)[:, 0], minlength=size
        )
        for axis, (size, kernel) in enumerate(
            zip(layer.in_shape[1:], layer.weight.shape[2:], strict=True)
        )
    )
    per_pixel = np.outer(rows, columns) * (layer.out_shape[0] // layer.convolution.groups)
    return np.broadcast_to(per_pixel, layer.in_shape).astype(np.int64)


def nonzero_fan_out(layer: IntLayer) -> NDArray[np.int64]:
    """Return `fan_out` of the synapses whose weight is not zero."""
    used = layer.weight != 0
    if layer.convolution is None:
        dense: NDArray[np.int64] = np.count_nonzero(used, axis=0).reshape(layer.in_shape)
        return dense
    groups = layer.convolution.groups
    outputs, inputs, *kernel = layer.weight.shape
    taps = used.reshape(groups, outputs // groups, inputs, *kernel).sum(axis=1, dtype=np.int64)
    taps = taps.reshape(groups * inputs, *kernel)
    rows, columns = (
        _outputs_by_tap(size, span, axis=axis, convolution=layer.convolution)
        for axis, (size, span) in enumerate(zip(layer.in_shape[1:], kernel, strict=True))
    )
    per_row = np.tensordot(taps, rows, axes=(1, 1))  # [C_in, kW, H]
    fan: NDArray[np.int64] = np.tensordot(per_row, columns, axes=(1, 1))
    return fan


def nonzero_recurrent_fan_out(layer: IntLayer) -> NDArray[np.int64]:
    """Return recurrent synapses of non-zero weight that each neuron drives, int64 ``[N]``."""
    if layer.recurrent_weight is None:
        return np.zeros(layer.neurons, dtype=np.int64)
    fan: NDArray[np.int64] = np.count_nonzero(layer.recurrent_weight, axis=0)
    return fan


def recurrent_fan_out(layer: IntLayer) -> int:
    """Return recurrent synapses that each of the layer's own spikes reaches."""
    return layer.neurons if layer.kind == "dense_rec" else 0


def synapses(layer: IntLayer) -> int:
    """Return existing synapses of a layer, recurrent ones included."""
    feedback = recurrent_fan_out(layer) * layer.neurons
    if layer.convolution is None:
        return prod(layer.in_shape) * layer.neurons + feedback
    rows, columns = (
        len(reach(size, kernel, axis=axis, convolution=layer.convolution))
        for axis, (size, kernel) in enumerate(
            zip(layer.in_shape[1:], layer.weight.shape[2:], strict=True)
        )
    )
    outputs, inputs = layer.weight.shape[:2]
    return int(rows * columns * outputs * inputs)


def count_spikes(spikes: Spikes, fan: NDArray[np.int64]) -> tuple[Counts, Counts]:
    """Count the spikes of each sample, and the synapses they reach.

    Args:
        spikes: uint8 ``[T, B, *shape]``; a graded spike counts once.
        fan: int64, `fan_out` over ``shape``.

    Returns:
        Two int64 arrays ``[B]``: spikes, synaptic operations.
    """
    steps, samples = spikes.shape[:2]
    per_input = np.zeros((samples, fan.size), dtype=np.int64)
    block = max(1, _BLOCK_ELEMENTS // max(1, per_input.size))
    for start in range(0, steps, block):
        part = spikes[start : start + block].reshape(-1, samples, fan.size)
        per_input += np.count_nonzero(part, axis=0)
    return per_input.sum(axis=1), per_input @ fan.reshape(-1)


def count_activity(
    net: IntNetwork,
    spikes_in: Spikes,
    layer_spikes: Sequence[Spikes] | Mapping[int, Spikes],
) -> tuple[LayerActivity, ...]:
    """Count what every layer did, from spikes alone; saturations and wraps stay unknown.

    Args:
        net: the network that ran.
        spikes_in: its input, uint8 ``[T, B, *input_shape]``.
        layer_spikes: the spikes of every layer, uint8 ``[T, B, *out_shape]``, aligned or not.

    Raises:
        InputError: spikes of a layer are missing or have another shape.
    """
    activity = []
    received = spikes_in
    for index, layer in enumerate(net.layers):
        sent = _spikes_of(layer_spikes, index, layer, received.shape[:2])
        arrived, synops = count_spikes(received, fan_out(layer))
        nonzero = count_spikes(received, nonzero_fan_out(layer))[1]
        nonzero += count_spikes(sent, nonzero_recurrent_fan_out(layer))[1]
        fired = count_spikes(sent, np.ones(layer.out_shape, dtype=np.int64))[0]
        activity.append(
            layer_activity(
                layer,
                steps=len(received),
                spikes_in=arrived,
                spikes_out=fired,
                synops=synops + fired * recurrent_fan_out(layer),
                synops_nonzero=nonzero,
            )
        )
        received = sent
    return tuple(activity)


def layer_activity(
    layer: IntLayer,
    *,
    steps: int,
    spikes_in: Counts,
    spikes_out: Counts,
    synops: Counts,
    synops_nonzero: Counts | None = None,
    saturations: Counts | None = None,
    wraps: Counts | None = None,
    accumulates: Counts | None = None,
    multiplies: Counts | None = None,
    membrane_updates: Counts | None = None,
) -> LayerActivity:
    """Combine a layer's counts, each int64 ``[B]``, with what follows from its description."""
    return LayerActivity(
        name=layer.name,
        kind=layer.kind,
        neurons=layer.neurons,
        synapses=synapses(layer),
        spikes_in=spikes_in,
        spikes_out=spikes_out,
        synops=synops,
        synops_nonzero=synops_nonzero,
        updates=np.full(len(spikes_in), layer.neurons * steps, dtype=np.int64),
        saturations=saturations,
        wraps=wraps,
        accumulates=accumulates,
        multiplies=multiplies,
        membrane_updates=membrane_updates,
    )


def _outputs_by_tap(
    size: int, kernel: int, *, axis: int, convolution: Convolution
) -> NDArray[np.int64]:
    """Return outputs that each input reaches through each tap along an axis, int64 ``[size,
    kernel]``.
    """
    source, _, tap = reach(size, kernel, axis=axis, convolution=convolution).T
    counted = np.zeros((size, kernel), dtype=np.int64)
    np.add.at(counted, (source, tap), 1)
    return counted


def _spikes_of(
    layer_spikes: Sequence[Spikes] | Mapping[int, Spikes],
    index: int,
    layer: IntLayer,
    leading: tuple[int, ...],
) -> Spikes:
    try:
        spikes = layer_spikes[index]
    except (IndexError, KeyError):
        raise InputError(
            "no spikes to count", where=f"layer {index} ({layer.name})", hint="keep every layer"
        ) from None
    if spikes.shape[:2] != leading or prod(spikes.shape[2:]) != layer.neurons:
        raise InputError(
            f"spikes of shape {list(spikes.shape)}, not {[*leading, *layer.out_shape]}",
            where=f"layer {index} ({layer.name})",
        )
    return spikes
