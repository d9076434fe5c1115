"""Frozen descriptions of a spiking network: in float, as trained, and in a chip's integers.

Both are plain chains of layers. A layer is a synapse (convolution, dense, or dense with
recurrence) followed by one population of leaky integrate-and-fire neurons that resets to zero.
Shapes are torch's, without time and batch: ``(C, H, W)`` or ``(N,)``. A dense layer behind a
``(C, H, W)`` shape flattens it in that order. The neuron's equations are in `fixed_point`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import display
from .content import ByContent

Kind = Literal["conv", "dense", "dense_rec"]
Shape = tuple[int, ...]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Convolution:
    """Geometry of a 2-D convolution; every pair is (vertical, horizontal), as torch has it."""

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def output_size(self, size: Pair, kernel: Pair) -> Pair:
        """Return height and width after the convolution (torch.nn.Conv2d's formula)."""
        rows, columns = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                size, self.padding, self.dilation, kernel, self.stride, strict=True
            )
        )
        return rows, columns


@dataclass(frozen=True)
class FloatNeuron:
    """A leaky integrate-and-fire neuron with reset to zero, in float.

    ``i[t] = alpha i[t-1] + x[t]``, ``v[t] = beta v[t-1] (1 - s[t-1]) + i[t] + b``,
    ``s[t] = v[t] > threshold``. This is snnTorch's ``Leaky`` for ``alpha`` = 0 and its
    ``Synaptic`` otherwise, both with ``reset_mechanism="zero"``.

    Attributes:
        beta: membrane decay per step, in [0, 1]; 1 is an integrator without leak.
        threshold: the membrane must exceed it, strictly.
        alpha: decay of the synaptic current per step, in [0, 1); 0 is an instantaneous current.
    """

    beta: float
    threshold: float
    alpha: float = 0.0


@dataclass(frozen=True)
class IntNeuron:
    """The same neuron in Loihi's integers, under netx's names (lava-dl `netx/hdf5.py`).

    Attributes:
        current_decay: netx's ``iDecay``, 1 to 4096; the current keeps (4096 - it) / 4096 of
            itself each step, so 4096 is an instantaneous current.
        voltage_decay: netx's ``vDecay``, 0 to 4095; the membrane keeps (4096 - it) / 4096.
        threshold: netx's ``vThMant``, 17 bits, compared with the membrane shifted by 6 bits.
    """

    current_decay: int
    voltage_decay: int
    threshold: int


@dataclass(frozen=True, eq=False, repr=False)
class FloatLayer(ByContent):
    """One layer in float.

    Attributes:
        name: unique in the network.
        kind: ``conv``, ``dense`` or ``dense_rec``.
        weight: float32, ``[C_out, C_in / groups, kH, kW]`` or ``[N_out, N_in]``.
        neuron: the population behind the synapse.
        in_shape, out_shape: without time and batch.
        bias: float32 ``[C_out]`` or ``[N_out]``, added to the membrane each step; None if absent.
        convolution: the geometry, for a convolution only.
        recurrent_weight: float32 ``[N_out, N_out]``, for ``dense_rec`` only; a spike of step t
            arrives at step t + 1.
        scale: integer weight per unit of float weight, if training fixed it; None leaves it to
            calibration.
    """

    name: str
    kind: Kind
    weight: NDArray[np.float32]
    neuron: FloatNeuron
    in_shape: Shape
    out_shape: Shape
    bias: NDArray[np.float32] | None = None
    convolution: Convolution | None = None
    recurrent_weight: NDArray[np.float32] | None = None
    scale: float | None = None

    def __repr__(self) -> str:
        return f"FloatLayer({self.name!r}, {self.kind}, {self.in_shape} -> {self.out_shape})"


@dataclass(frozen=True, eq=False, repr=False)
class IntLayer(ByContent):
    """One layer in a chip's integers; fields as in `FloatLayer`, weights in units of one.

    Attributes:
        weight, recurrent_weight: int32; what the synapse adds to the current, before its shift
            by 6 bits.
        bias: int32, added to the membrane each step after a shift by 6 bits (netx's fixed
            ``bias_exp``).
        delay: int32 axonal delay in steps, ``[N_out, N_in]``, for ``dense`` only; None is zero.
    """

    name: str
    kind: Kind
    weight: NDArray[np.int32]
    neuron: IntNeuron
    in_shape: Shape
    out_shape: Shape
    bias: NDArray[np.int32] | None = None
    convolution: Convolution | None = None
    recurrent_weight: NDArray[np.int32] | None = None
    delay: NDArray[np.int32] | None = None

    def __repr__(self) -> str:
        return f"IntLayer({self.name!r}, {self.kind}, {self.in_shape} -> {self.out_shape})"

    @property
    def neurons(self) -> int:
        """Number of neurons in the layer's population."""
        return prod(self.out_shape)

    @property
    def kernel(self) -> Pair:
        """Kernel height and width of a convolution."""
        rows, columns = self.weight.shape[2:]
        return rows, columns


class _Network(ByContent):
    """How a network compares and shows itself."""

    def __repr__(self) -> str:
        return display.headline(self)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return display.text_table(self)  # type: ignore[arg-type]

    def _repr_html_(self) -> str:
        return display.html_table(self)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False, repr=False)
class FloatNetwork(_Network):
    """A chain of float layers.

    Two are equal if they compute the same: names and `meta` do not count.

    Attributes:
        input_shape: of one step's spikes, ``(C, H, W)`` or ``(N,)``.
        layers: in order; each reads the one before it.
        meta: plain JSON values; never changes arithmetic.
    """

    input_shape: Shape
    layers: tuple[FloatLayer, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class IntNetwork(_Network):
    """A chain of integer layers.

    Two are equal if they compute the same: names and `meta` do not count.

    Attributes:
        input_shape: of one step's spikes, ``(C, H, W)`` or ``(N,)``.
        layers: in order; each reads the one before it.
        message_bits: 0 for binary input spikes; else input counts below 2 ** message_bits.
        meta: plain JSON values (scales, provenance); never changes arithmetic.
    """

    input_shape: Shape
    layers: tuple[IntLayer, ...]
    message_bits: int = 0
    meta: Mapping[str, Any] = field(default_factory=dict)
