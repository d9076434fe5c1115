"""One time step of a network as an ONNX graph in exact integers.

Sums use ``ConvInteger`` and ``MatMulInteger`` (8-bit operands, 32-bit sums), the neuron ``Mul``,
``Div`` (which truncates, as the decay does), ``Add`` and ``Where`` on 64-bit integers. Wider
weights are split into 8-bit digits, counts above 127 into two parts: a kernel that adds pairs of
products in 16 bits (x86 without VNNI) would clip otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.engine.check import largest_input
from sdcl_neuro.extras import need
from sdcl_neuro.network.fixed_point import CONVOLUTION_BITS, DECAY_UNITY, STATE_LIMIT, STATE_SHIFT
from sdcl_neuro.network.spec import IntLayer, IntNetwork

from ..bounds import Bounds, bounds
from .builder import BATCH, INT32, INT64, UINT8, Builder, value

if TYPE_CHECKING:
    import onnx
else:
    onnx = need("onnx", "writing ONNX")

SPIKES = "spikes"
COUNT_LIMIT = 127
"""Largest input of one 8-bit product: 2 * 127 * 128 stays below 2^15."""


@dataclass(frozen=True)
class State:
    """One state of the network, zero at the start of a sample.

    Attributes:
        name: of the graph's input; the output is called ``NAME_next``.
        kind: ONNX's element type.
        shape: without the batch, which comes first.
    """

    name: str
    kind: int
    shape: tuple[int, ...]

    @property
    def following(self) -> str:
        """Name of the state after the step."""
        return f"{self.name}_next"


def states(net: IntNetwork) -> list[State]:
    """Return every state of a network, in the order of the graph's inputs."""
    found = []
    for index, layer in enumerate(net.layers):
        if layer.neuron.current_decay < DECAY_UNITY:
            found.append(State(f"current_{index}", INT32, layer.out_shape))
        found.append(State(f"voltage_{index}", INT32, layer.out_shape))
        if layer.recurrent_weight is not None:
            found.append(State(f"fed_back_{index}", UINT8, layer.out_shape))
        if _longest(layer):
            found.append(State(f"pending_{index}", INT32, (_longest(layer), layer.neurons)))
    return found


def outputs(net: IntNetwork, *leading: int | str) -> list[onnx.ValueInfoProto]:
    """Return spikes of every layer, uint8, behind the leading axes."""
    return [
        value(f"layer_{index}", UINT8, (*leading, *layer.out_shape))
        for index, layer in enumerate(net.layers)
    ]


def step_graph(net: IntNetwork, name: str = "step") -> onnx.GraphProto:
    """Build the graph of one step: states and spikes in, states and every layer's spikes out."""
    builder = Builder()
    received = SPIKES
    largest = largest_input(net)
    for index, layer in enumerate(net.layers):
        received = _Layer(builder, layer, index, largest if index == 0 else 1).add(received)
    held = states(net)
    given = [value(state.name, state.kind, (BATCH, *state.shape)) for state in held]
    made = [value(state.following, state.kind, (BATCH, *state.shape)) for state in held]
    spikes = value(SPIKES, UINT8, (BATCH, *net.input_shape))
    return builder.graph(name, [*given, spikes], [*made, *outputs(net, BATCH)])


@dataclass(frozen=True)
class _Layer:
    """Adds one layer to the graph."""

    builder: Builder
    layer: IntLayer
    index: int
    largest: int

    def add(self, received: str) -> str:
        """Add synapses and neurons; return the name of the spikes."""
        layer, builder = self.layer, self.builder
        bound = bounds(layer, largest=self.largest)
        if layer.kind != "conv":
            received = builder.add("Flatten", received, axis=1)
        total = self._delayed(received) if _longest(layer) else self._product(received)
        if layer.recurrent_weight is not None:
            fed = self._sum(f"fed_back_{self.index}", layer.recurrent_weight, "recurrent", 1)
            total = builder.add("Add", total, fed)
        return self._neurons(total, bound)

    def _product(self, received: str) -> str:
        return self._sum(received, self.layer.weight, "weight", self.largest)

    def _sum(self, received: str, weight: NDArray[np.int32], name: str, largest: int) -> str:
        """Add the summed weights of what was received; int64 ``[B, ...]``."""
        builder, total = self.builder, ""
        parts = [(received, 1)] if largest <= COUNT_LIMIT else self._halves(received)
        for place, (digit, unit) in enumerate(digits(weight)):
            stored = digit if self.layer.kind == "conv" else digit.T
            constant = builder.constant(stored, f"{name}_{self.index}_{place}")
            for part, times in parts:
                one = builder.cast(self._multiply(part, constant), INT64)
                if unit * times != 1:
                    one = builder.add("Mul", one, builder.scalar(unit * times))
                total = builder.add("Add", total, one) if total else one
        return total

    def _halves(self, received: str) -> list[tuple[str, int]]:
        """Split counts up to 255 into the seven low bits and the eighth."""
        builder, bits = self.builder, self.builder.constant
        seven = bits(np.array(COUNT_LIMIT, np.uint8), f"low_bits_{self.index}")
        shift = bits(np.array(7, np.uint8), f"high_shift_{self.index}")
        low = builder.add("BitwiseAnd", received, seven)
        return [(low, 1), (builder.add("BitShift", received, shift, direction="RIGHT"), 128)]

    def _multiply(self, received: str, weight: str) -> str:
        geometry = self.layer.convolution
        if geometry is None:
            return self.builder.add("MatMulInteger", received, weight)
        return self.builder.add(
            "ConvInteger",
            received,
            weight,
            kernel_shape=self.layer.kernel,
            strides=geometry.stride,
            pads=(*geometry.padding, *geometry.padding),
            dilations=geometry.dilation,
            group=geometry.groups,
        )

    def _delayed(self, received: str) -> str:
        """Add what arrives now and store what arrives later; int64 ``[B, N]``."""
        builder, layer, index = self.builder, self.layer, self.index
        assert layer.delay is not None
        used = np.unique(layer.delay)
        planes = [np.where(layer.delay == delay, layer.weight, 0) for delay in used]
        stacked = self._sum(received, np.concatenate(planes), "weight", self.largest)
        shape = builder.vector((0, len(used), layer.neurons), f"planes_{index}")
        arriving = builder.add("Reshape", stacked, shape)
        longest = _longest(layer)
        one_more = builder.vector((0, 0, 0, 0, 1, 0), f"one_more_{index}")
        if len(used) < longest + 1:
            # Delays that no synapse has read a plane of zeros behind the others.
            place = np.full(longest + 1, len(used), np.int64)
            place[used] = np.arange(len(used))
            arriving = builder.add("Pad", arriving, one_more)
            arriving = builder.add(
                "Gather", arriving, builder.constant(place, f"place_{index}"), axis=1
            )
        pending = builder.cast(f"pending_{index}", INT64)
        whole = builder.add("Add", builder.add("Pad", pending, one_more), arriving)
        sizes = builder.vector((1, longest), f"now_and_later_{index}")
        now, later = f"now_{index}", f"later_{index}"
        builder.nodes.append(
            onnx.helper.make_node("Split", [whole, sizes], [now, later], name=now, axis=1)
        )
        builder.add("Cast", later, name=f"pending_{index}_next", to=INT32)
        return builder.add("Squeeze", now, builder.vector((1,), f"axis_{index}"))

    def _neurons(self, total: str, bound: Bounds) -> str:
        """Add the neuron's step; return the spikes."""
        builder, neuron, index = self.builder, self.layer.neuron, self.index
        if bound.wraps_total:
            half = 1 << (CONVOLUTION_BITS - 1)
            total = builder.add("Add", total, builder.scalar(half))
            total = builder.add("Mod", total, builder.scalar(2 * half))
            total = builder.add("Sub", total, builder.scalar(half))
        current = builder.add("Mul", total, builder.scalar(1 << STATE_SHIFT))
        if bound.wraps_received:
            current = self._register(current)
        if neuron.current_decay < DECAY_UNITY:
            kept = self._decayed(f"current_{index}", DECAY_UNITY - neuron.current_decay)
            current = builder.add("Add", kept, current)
        if bound.wraps_current:
            current = self._wrapped(self._register(current))
        if neuron.current_decay < DECAY_UNITY:
            builder.add("Cast", current, name=f"current_{index}_next", to=INT32)
        voltage = self._decayed(f"voltage_{index}", DECAY_UNITY - neuron.voltage_decay)
        voltage = builder.add("Add", voltage, current)
        if self.layer.bias is not None:
            bias = self.layer.bias.astype(np.int64) << STATE_SHIFT
            shape = (len(bias),) + (1,) * (len(self.layer.out_shape) - 1)
            stored = builder.constant(bias.reshape(shape), f"bias_{index}")
            voltage = builder.add("Add", voltage, stored)
        if bound.wraps_voltage:
            voltage = self._register(voltage)
        return self._fire(voltage)

    def _fire(self, voltage: str) -> str:
        builder, index = self.builder, self.index
        limits = builder.scalar(1 - STATE_LIMIT), builder.scalar(STATE_LIMIT - 1)
        voltage = builder.add("Clip", voltage, *limits)
        threshold = builder.scalar(self.layer.neuron.threshold << STATE_SHIFT)
        fired = builder.add("Greater", voltage, threshold)
        voltage = builder.add("Where", fired, builder.scalar(0), voltage)
        builder.add("Cast", voltage, name=f"voltage_{index}_next", to=INT32)
        spikes = builder.add("Cast", fired, name=f"layer_{index}", to=UINT8)
        if self.layer.recurrent_weight is not None:
            builder.add("Identity", spikes, name=f"fed_back_{index}_next")
        return spikes

    def _decayed(self, state: str, keep: int) -> str:
        """Add a state's decay, rounded towards zero; int64."""
        wide = self.builder.cast(state, INT64)
        if keep == DECAY_UNITY:
            return wide
        product = self.builder.add("Mul", wide, self.builder.scalar(keep))
        return self.builder.add("Div", product, self.builder.scalar(DECAY_UNITY))

    def _register(self, wide: str) -> str:
        """Return what a 32-bit register keeps, as int64."""
        return self.builder.cast(self.builder.cast(wide, INT32), INT64)

    def _wrapped(self, current: str) -> str:
        """Add the current's single wrap-around."""
        builder = self.builder
        turn = builder.scalar(2 * STATE_LIMIT)
        above = builder.add("Greater", current, builder.scalar(STATE_LIMIT))
        below = builder.add("LessOrEqual", current, builder.scalar(-STATE_LIMIT))
        raised = builder.add("Where", below, builder.add("Add", current, turn), current)
        return builder.add("Where", above, builder.add("Sub", current, turn), raised)


def digits(weight: NDArray[np.int32]) -> Iterator[tuple[NDArray[np.int8], int]]:
    """Split weights into signed 8-bit parts: their sum, each times its unit, is the weight.

    Zero bits that all weights end in are left out first, so that even 9-bit weights need one part.
    """
    whole = weight.astype(np.int64)
    joined = int(np.bitwise_or.reduce(whole, axis=None))
    unit = joined & -joined if joined else 1
    rest = whole // unit
    while True:
        part = (rest + 128) % 256 - 128
        yield part.astype(np.int8), unit
        rest = (rest - part) // 256
        if not rest.any():
            return
        unit *= 256


def state_bytes(net: IntNetwork) -> int:
    """Return bytes of one sample's states."""
    return sum(prod(state.shape) * (1 if state.kind == UINT8 else 4) for state in states(net))


def _longest(layer: IntLayer) -> int:
    return 0 if layer.delay is None else int(layer.delay.max())
