"""A layer laid out for event-driven work: channels last, weights grouped by input.

A population of shape ``(C, H, W)`` is kept in the order ``(H, W, C)``, because the synapses of one
spike then lie in long runs. A dense layer is a convolution with one pixel and one tap. For each
input row, ``rows`` lists the output rows it reaches and through which kernel row; for each input
column, ``runs`` lists runs of neighbouring outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.activity import fan_out, nonzero_fan_out, nonzero_recurrent_fan_out, reach
from sdcl_neuro.network.fixed_point import CONVOLUTION_BITS, DECAY_UNITY, STATE_LIMIT, STATE_SHIFT
from sdcl_neuro.network.spec import Convolution, IntLayer, Shape

from ..check import largest_sum

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Index = NDArray[np.uint64]


@dataclass(frozen=True)
class ListedPlan:
    """One layer for the kernels; see `kernels.advance` for how it is walked.

    Attributes:
        geometry: uint64 ``[7]``: input channels, input width, output width, output channels,
            kernel rows, kernel columns, input channels of a group.
        rows: uint64 arrays start, output, tap; entries of input row y are those from
            ``start[y]`` to ``start[y + 1]``.
        runs: uint64 arrays start, output, tap, length; the same for input columns, a run of
            ``length`` neighbouring output columns from ``output`` on.
        weight: int32, flat ``[C_in, kH, kW mirrored, C_out / groups]``.
        recurrent: int32 ``[N, N]``, by source; ``[0, 0]`` without recurrence.
        delay: int32 ``[N_in, N_out]``, by source; ``[0, 0]`` without delays.
        slots: activations kept per neuron, longest delay + 1.
        bias: int32 ``[N]``, already shifted into the state.
        neuron: int32 ``[5]``: share kept of the current and of the membrane (of 4096), threshold
            in the state, bits of an activation above those a convolution keeps, and whether the
            current is instantaneous and too small to wrap.
        fan: int64 ``[N_in]``, synapses of each input, the layer's input order.
        used: as `fan`, of synapses whose weight is not zero.
        recurrent_used: int64 ``[N]``, the same of each neuron's recurrent synapses.
    """

    geometry: Index
    rows: tuple[Index, ...]
    runs: tuple[Index, ...]
    weight: Int32
    recurrent: Int32
    delay: Int32
    slots: int
    bias: Int32
    neuron: Int32
    fan: Int64
    used: Int64
    recurrent_used: Int64

    def arguments(self) -> tuple[object, ...]:
        """Return the arrays in the order the kernel takes them."""
        return (
            *(self.geometry, self.rows, self.runs, self.weight, self.recurrent, self.delay),
            *(self.bias, self.neuron, self.fan, self.used, self.recurrent_used),
        )


def plan_layer(layer: IntLayer, source: Shape, largest: int) -> ListedPlan:
    """Lay out a layer whose input population has shape `source` and counts up to `largest`."""
    order = channels_last(source)
    flat = np.zeros((0, 0), dtype=np.int32)
    geometry = layer.convolution or Convolution()
    rows = np.array([(0, 0, 0)])
    columns = np.array([(0, 0, 0, 1)])
    if layer.kind == "conv":
        groups = geometry.groups
        height, width = layer.in_shape[1:]
        sizes = (layer.in_shape[0], width, layer.out_shape[2], layer.out_shape[0])
        rows = reach(height, layer.kernel[0], axis=0, convolution=geometry)
        columns = reach(width, layer.kernel[1], axis=1, convolution=geometry)
        columns = _runs(columns, layer.kernel[1], merge=groups == 1)
        by_source = _by_source(layer.weight, groups)
        kernel = layer.kernel
    else:
        groups, height, width, kernel = 1, 1, 1, (1, 1)
        sizes = (order.size, 1, 1, layer.neurons)
        by_source = layer.weight.T[order]
    return ListedPlan(
        geometry=np.array([*sizes, *kernel, sizes[0] // groups], dtype=np.uint64),
        rows=_table(rows, height),
        runs=_table(columns, width),
        weight=np.ascontiguousarray(by_source, dtype=np.int32).reshape(-1),
        recurrent=flat if layer.recurrent_weight is None else _transposed(layer.recurrent_weight),
        delay=flat if layer.delay is None else _transposed(layer.delay)[order],
        slots=1 if layer.delay is None else int(layer.delay.max()) + 1,
        bias=_bias(layer),
        neuron=_neuron(layer, largest),
        fan=fan_out(layer).reshape(-1)[order],
        used=nonzero_fan_out(layer).reshape(-1)[order],
        recurrent_used=nonzero_recurrent_fan_out(layer),
    )


def channels_last(shape: Shape) -> Int64:
    """Index in torch's order of each element of a population kept channels last."""
    indices = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    return (indices if len(shape) == 1 else indices.transpose(1, 2, 0)).reshape(-1)


def _by_source(weight: Int32, groups: int) -> Int32:
    """Map ``[C_out, C_in / groups, kH, kW]`` to ``[C_in, kH, kW mirrored, C_out / groups]``."""
    outputs, inputs, *kernel = weight.shape
    split = weight.reshape(groups, outputs // groups, inputs, *kernel)
    return split.transpose(0, 2, 3, 4, 1)[..., ::-1, :].reshape(groups * inputs, *kernel, -1)


def _runs(pairs: Int64, kernel: int, *, merge: bool) -> Int64:
    """Join pairs (input, output, tap) that follow one another in output and mirrored tap."""
    runs: list[tuple[int, int, int, int]] = []
    for source, output, tap in pairs.tolist():
        mirrored = kernel - 1 - tap
        if runs and merge:
            last, start, first, length = runs[-1]
            if (last, start + length, first + length) == (source, output, mirrored):
                runs[-1] = (last, start, first, length + 1)
                continue
        runs.append((source, output, mirrored, 1))
    return np.array(runs, dtype=np.int64).reshape(-1, 4)


def _table(fields: Int64, size: int) -> tuple[Index, ...]:
    """Split rows (input, ...), ordered by input, into offsets by input and one array a field."""
    starts = np.searchsorted(fields[:, 0], np.arange(size + 1))
    return (starts.astype(np.uint64), *fields[:, 1:].T.astype(np.uint64, order="C"))


def _transposed(matrix: Int32) -> Int32:
    return np.ascontiguousarray(matrix.T, dtype=np.int32)


def _bias(layer: IntLayer) -> Int32:
    if layer.bias is None:
        return np.zeros(layer.neurons, dtype=np.int32)
    shifted = layer.bias.astype(np.int32) << STATE_SHIFT
    return np.tile(shifted, layer.neurons // len(shifted))


def _neuron(layer: IntLayer, largest: int) -> Int32:
    neuron = layer.neuron
    plain = neuron.current_decay == DECAY_UNITY
    # Below the limit, because Lava wraps a current of exactly -2^23 and not one of 2^23.
    plain &= largest_sum(layer, largest) << STATE_SHIFT < STATE_LIMIT
    return np.array(
        [
            DECAY_UNITY - neuron.current_decay,
            DECAY_UNITY - neuron.voltage_decay,
            neuron.threshold << STATE_SHIFT,
            32 - CONVOLUTION_BITS if layer.kind == "conv" else 0,
            plain,
        ],
        dtype=np.int32,
    )
