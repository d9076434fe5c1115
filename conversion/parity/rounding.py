"""Whether two float runs differ by more than rounding, decision by decision.

Two float32 programs that compute the same network add in another order. Where a membrane comes
to lie within that rounding of the threshold, one may fire and the other not, and everything
behind it then differs rightly. So each side is judged by itself: its own spikes are taken as
given, the membrane they imply is computed in float64 with a bound on what float32 can be off by,
and a decision is *within rounding* if the membrane lies that near to the threshold. A mismatch
is explained if both sides' decisions are right or within rounding, given what each side received.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import FloatLayer, FloatNetwork

Spikes = NDArray[np.uint8]

UNIT = 2.0**-24
"""Relative error of one float32 operation, rounded to nearest."""
_OPERATIONS = 8
"""Roundings of a step that are not the sum: constants, decay, reset, scaled weights (Norse:
weights, time constant, its inverse, times dt, difference, product, sum; snnTorch: fewer)."""


@dataclass(frozen=True)
class LayerRounding:
    """The mismatches of one layer between two float runs.

    Attributes:
        mismatches: neuron steps that differ.
        neurons: neurons (of all samples) in which a difference begins within rounding: both
            sides had received and fired the same until then.
        following: mismatches that follow from earlier ones.
        unexplained: mismatches in which a side's decision is further off than rounding goes.
        largest_gap: largest |membrane - threshold| / threshold of a decision within rounding.
    """

    mismatches: int
    neurons: int
    following: int
    unexplained: int
    largest_gap: float


def explain_mismatches(
    net: FloatNetwork,
    spikes: Spikes,
    first: Mapping[int, Spikes],
    second: Mapping[int, Spikes],
    *,
    units: tuple[float, float] = (UNIT, UNIT),
    offset_sizes: Sequence[float] | None = None,
) -> tuple[LayerRounding, ...]:
    """Judge every mismatch between two float runs of one network.

    Args:
        net: the network both sides ran.
        spikes: their input ``[T, B, *input_shape]``.
        first, second: both sides' spikes of every layer, uint8 ``[T, B, *out_shape]``.
        units: relative rounding error of one operation, on each side.
        offset_sizes: per layer, magnitude of what the first side adds to a membrane in each step
            beyond what the network shows; None is zero.

    Returns:
        One entry per layer; all zero where nothing differs.
    """
    found = []
    for index, layer in enumerate(net.layers):
        sides = [
            (spikes if index == 0 else side[index - 1], side[index]) for side in (first, second)
        ]
        found.append(
            _judge(layer, sides, units, 0.0 if offset_sizes is None else offset_sizes[index])
        )
    return tuple(found)


def _judge(
    layer: FloatLayer,
    sides: list[tuple[Spikes, Spikes]],
    units: tuple[float, float],
    offset_size: float,
) -> LayerRounding:
    differ = sides[0][1] != sides[1][1]
    samples = np.flatnonzero(differ.any(axis=(0, *range(2, differ.ndim))))
    if not samples.size:
        return LayerRounding(0, 0, 0, 0, 0.0)
    replays = [
        _Replay(layer, given[:, samples], fired[:, samples], unit, offset_size=size)
        for (given, fired), unit, size in zip(sides, units, (offset_size, 0.0), strict=True)
    ]
    differ = differ[:, samples]
    begun = np.zeros(differ.shape[1:], bool)
    roots = following = unexplained = 0
    gap = 0.0
    for step in range(len(differ)):
        here = differ[step]
        states = [replay.step(step) for replay in replays]
        right = np.ones_like(here)
        for (membrane, bound), (_, fired) in zip(states, sides, strict=True):
            distance = np.abs(membrane - layer.neuron.threshold)
            wrong = (membrane > layer.neuron.threshold) != (fired[step, samples] > 0)
            right &= ~wrong | (distance <= bound)
            near = here & wrong & (distance <= bound)
            gap = max(gap, float(distance[near].max(initial=0.0)))
        # The same history gives the same float64 membrane, bit for bit.
        root = here & right & ~begun & (states[0][0] == states[1][0])
        roots += int(root.sum())
        following += int((here & right & ~root).sum())
        unexplained += int((here & ~right).sum())
        begun |= root
    relative = gap / abs(layer.neuron.threshold) if layer.neuron.threshold else gap
    return LayerRounding(int(differ.sum()), roots, following, unexplained, relative)


class _Replay:
    """A layer's membrane in float64 under given input and given spikes, with its error bound."""

    def __init__(
        self,
        layer: FloatLayer,
        given: Spikes,
        fired: Spikes,
        unit: float,
        *,
        offset_size: float = 0.0,
    ) -> None:
        self.layer, self.given, self.fired, self.unit = layer, given, fired, unit
        self.offset_size = offset_size
        self.current: Any = 0.0
        self.voltage: Any = 0.0
        self.current_error: Any = 0.0
        self.voltage_error: Any = 0.0
        shape = [1] * len(layer.out_shape)
        shape[0] = -1
        bias = np.zeros(1) if layer.bias is None else layer.bias.astype(np.float64)
        self.bias = bias.reshape(shape)

    def step(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return membrane before the reset, and how far the side's own run may be from it."""
        alpha, beta = self.layer.neuron.alpha, self.layer.neuron.beta
        total, magnitude, count = self._received(index)
        kept = 1.0 - (self.fired[index - 1] if index else 0.0)
        self.voltage = self.voltage * kept
        self.voltage_error = self.voltage_error * kept
        rounding = (count + _OPERATIONS) * magnitude + _OPERATIONS * alpha * np.abs(self.current)
        self.current_error = alpha * self.current_error + self.unit * rounding
        self.current = alpha * self.current + total
        sizes = np.abs(self.voltage) + np.abs(self.current) + np.abs(self.bias)
        sizes = sizes + self.offset_size + abs(self.layer.neuron.threshold)
        self.voltage_error = (
            beta * self.voltage_error + self.current_error + self.unit * _OPERATIONS * sizes
        )
        self.voltage = beta * self.voltage + self.current + self.bias
        return self.voltage, self.voltage_error

    def _received(self, index: int) -> tuple[Any, Any, Any]:
        """Return sum of weights, sum of their magnitudes, and number of terms, each ``[B,
        *out]``.
        """
        layer = self.layer
        frame = self.given[index].astype(np.float64)
        parts = _synapse(layer, layer.weight, frame)
        if layer.recurrent_weight is not None and index:
            before = self.fired[index - 1].astype(np.float64)
            again = _dense(layer.recurrent_weight, before)
            parts = tuple(a + b for a, b in zip(parts, again, strict=True))
        return parts


def _synapse(layer: FloatLayer, weight: Any, frame: NDArray[np.float64]) -> tuple[Any, ...]:
    if layer.convolution is None:
        return _dense(weight, frame.reshape(len(frame), -1))
    import torch

    geometry = layer.convolution
    values = torch.from_numpy(weight.astype(np.float64))
    data = torch.from_numpy(frame)
    return tuple(
        torch.nn.functional.conv2d(
            x, w, None, geometry.stride, geometry.padding, geometry.dilation, geometry.groups
        ).numpy()
        for x, w in (
            (data, values),
            (data.abs(), values.abs()),
            ((data != 0).double(), torch.ones_like(values)),
        )
    )


def _dense(weight: Any, frame: NDArray[np.float64]) -> tuple[Any, ...]:
    values = weight.astype(np.float64).T
    count = np.broadcast_to((frame != 0).sum(1, keepdims=True), (len(frame), values.shape[1]))
    return frame @ values, np.abs(frame) @ np.abs(values), count
