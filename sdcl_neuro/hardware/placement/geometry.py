"""What placement needs to know of a layer: its shape, its reach, its widths; never its weights.

Every layer is seen as a convolution: a dense one has a kernel as large as its input, and a vector
is channels of one pixel. So one way of cutting serves all, and untrained networks are welcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.activity import reach
from sdcl_neuro.network.spec import Convolution, Kind

Box = tuple[int, int, int]
PLANNED_WEIGHT_BITS = 8
"""Width that rounding to integers aims at (netx: even weights in [-256, 254])."""


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a convolution."""

    size: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    @property
    def outputs(self) -> int:
        """Extent of the output."""
        return (self.size + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) // (
            self.stride
        ) + 1


@dataclass(frozen=True)
class Touch:
    """How inputs along one axis reach a range of outputs.

    Attributes:
        inputs: int64, the positions that reach any of them, ascending.
        taps: for each position the kernel's taps it goes through.
        span: for each position the distance between its first and last output in the range.
    """

    inputs: NDArray[np.int64]
    taps: tuple[tuple[int, ...], ...]
    span: tuple[int, ...]

    @property
    def pairs(self) -> int:
        """Synapses along this axis."""
        return sum(map(len, self.taps))


@lru_cache(maxsize=512)
def _pairs(axis: Axis) -> NDArray[np.int64]:
    geometry = Convolution(
        (axis.stride,) * 2, (axis.padding,) * 2, (axis.dilation,) * 2
    )  # the same along both: only one is asked for
    return reach(axis.size, axis.kernel, axis=0, convolution=geometry)


@lru_cache(maxsize=65536)
def touch(axis: Axis, start: int, stop: int) -> Touch:
    """Return which inputs reach the outputs from `start` up to `stop`, and through which taps."""
    pairs = _pairs(axis)
    pairs = pairs[(pairs[:, 1] >= start) & (pairs[:, 1] < stop)]
    inputs, first = np.unique(pairs[:, 0], return_index=True)
    parts = np.split(pairs, first[1:]) if len(pairs) else []
    taps = tuple(tuple(part[:, 2].tolist()) for part in parts)
    span = tuple(int(part[:, 1].max() - part[:, 1].min()) for part in parts)
    return Touch(inputs, taps, span)


@dataclass(frozen=True)
class LayerGeometry:
    """One layer of a network, without its weights.

    Attributes:
        name, kind: the layer's.
        in_box, out_box: ``(C, H, W)``; a vector of N is ``(N, 1, 1)``.
        rows, columns: the two axes.
        groups: of a convolution; else 1.
        bias: whether it has one.
        delay: longest axonal delay in steps.
        weight_bits: signed bits that hold every weight, a power of two taken out.
        planned: whether that width is what rounding will aim at, the weights being floats still.
        threshold_bits, bias_bits: of the integers; None while they are floats.
    """

    name: str
    kind: Kind
    in_box: Box
    out_box: Box
    rows: Axis
    columns: Axis
    groups: int = 1
    bias: bool = False
    delay: int = 0
    weight_bits: int = PLANNED_WEIGHT_BITS
    planned: bool = True
    threshold_bits: int | None = None
    bias_bits: int | None = None

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return prod(self.out_box)

    @property
    def recurrent(self) -> bool:
        """Whether its spikes come back to all of its neurons."""
        return self.kind == "dense_rec"

    @property
    def inputs_per_group(self) -> int:
        """Input channels that one output channel sees."""
        return self.in_box[0] // self.groups

    @property
    def outputs_per_group(self) -> int:
        """Output channels that one input channel reaches."""
        return self.out_box[0] // self.groups

    @property
    def synapses(self) -> int:
        """Existing synapses, recurrent ones included."""
        own = self.neurons**2 if self.recurrent else 0
        return self.inputs_per_group * self.out_box[0] * _all(self.rows) * _all(self.columns) + own

    @property
    def fan_in(self) -> int:
        """Most synapses onto one neuron."""
        own = self.neurons if self.recurrent else 0
        return self.inputs_per_group * _most(self.rows, 1) * _most(self.columns, 1) + own

    @property
    def fan_out(self) -> int:
        """Most synapses from one input."""
        return self.outputs_per_group * _most(self.rows, 0) * _most(self.columns, 0)

    def input_channels(self, start: int, stop: int) -> tuple[int, int]:
        """Return range of input channels that output channels from `start` up to `stop` see."""
        first, last = start // self.outputs_per_group, (stop - 1) // self.outputs_per_group
        return first * self.inputs_per_group, (last + 1) * self.inputs_per_group


def _all(axis: Axis) -> int:
    return len(_pairs(axis))


def _most(axis: Axis, column: int) -> int:
    """Return most pairs at one input (column 0) or one output (1)."""
    pairs = _pairs(axis)
    return int(np.bincount(pairs[:, column]).max()) if len(pairs) else 0
