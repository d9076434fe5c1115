"""One layer in the chip's arithmetic with rules that can be changed one at a time.

With the rules as they stand this is a second, slow implementation of `fixed_point`'s equations
(lava-nc 0.10.0, ``lava/proc/lif/models.py``); with one rule changed, it is what an implementation
with that one fault would do. States are float64, which holds all products here exactly
(2^24 times 4096 is 2^36).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.fixed_point import DECAY_UNITY, STATE_LIMIT, STATE_SHIFT, wrap_convolution
from sdcl_neuro.network.spec import IntLayer

Spikes = NDArray[np.uint8]
State = NDArray[np.float64]

_UNIT = float(1 << STATE_SHIFT)
_ROUNDINGS: dict[str, Callable[[State], State]] = {
    "towards zero": np.trunc,
    "down": np.floor,
    "to nearest": np.rint,
    "none": lambda state: state,
}


@dataclass(frozen=True)
class Rules:
    """How a layer is computed; the defaults are the chip's.

    Attributes:
        decay: how a decayed state is rounded.
        strict: whether the membrane has to exceed the threshold, not only to reach it.
        reset: to zero; by subtracting the threshold; never; to zero, but one step late, so that
            it swallows that step's input (snnTorch's ``reset_delay`` with a current).
        saturates: whether the membrane is clipped to 24 bits.
        wraps: whether the current wraps around at 24 bits.
        bias_into_current: whether the bias goes through the current.
        carries: whether a sample starts from the state the one before it left.
    """

    decay: Literal["towards zero", "down", "to nearest", "none"] = "towards zero"
    strict: bool = True
    reset: Literal["zero", "subtract", "never", "late"] = "zero"
    saturates: bool = True
    wraps: bool = True
    bias_into_current: bool = False
    carries: bool = False


def simulate(
    layer: IntLayer, spikes: Spikes, rules: Rules | None = None, *, sums: State | None = None
) -> Spikes:
    """Run one layer.

    Args:
        layer: the layer.
        spikes: what it receives, uint8 ``[T, B, *in_shape]``.
        rules: None for the chip's own.
        sums: `weighted_sums` of the two, if known.

    Returns:
        uint8 ``[T, B, *out_shape]``.
    """
    rules = Rules() if rules is None else rules
    received = weighted_sums(layer, spikes) if sums is None else sums
    if not rules.carries:
        return _run(layer, received, rules)[0]
    steps, samples = received.shape[:2]
    fired, _ = _run(layer, _joined(received), rules)
    fired = fired.reshape(samples, steps, *received.shape[2:])
    return np.ascontiguousarray(np.swapaxes(fired, 0, 1))


def membrane_at(
    layer: IntLayer, spikes: Spikes, place: tuple[int, ...], rules: Rules | None = None
) -> float:
    """Return one neuron's membrane as it is compared with the threshold, before its reset.

    Args:
        layer, spikes, rules: as in `simulate`.
        place: step, sample, then the neuron's indices in `out_shape`.

    Returns:
        In the chip's units: a weight of one is 2^6.
    """
    rules = Rules() if rules is None else rules
    step, sample, *neuron = place
    received = weighted_sums(layer, spikes)
    if rules.carries:
        received = _joined(received)[: sample * len(spikes) + step + 1]
    else:
        received = received[: step + 1, sample : sample + 1]
    _, membrane = _run(layer, received, rules)
    return float(membrane[0, *neuron])


def _joined(received: State) -> State:
    """Return one sample after another, as one long sample."""
    steps, samples = received.shape[:2]
    return np.swapaxes(received, 0, 1).reshape(steps * samples, 1, *received.shape[2:])


def weighted_sums(layer: IntLayer, spikes: Spikes) -> State:
    """Return weights received in each step, summed, ``[T, B, *out_shape]``; whole numbers."""
    import torch

    steps, samples = spikes.shape[:2]
    weight = layer.weight.astype(np.float64)
    if layer.convolution is None:
        flat = spikes.reshape(steps, samples, -1).astype(np.float64)
        if layer.delay is None or not layer.delay.any():
            return flat @ weight.T
        sums = np.zeros((steps, samples, len(weight)))
        for delay in np.unique(layer.delay):
            late = np.zeros_like(flat)
            late[delay:] = flat[: steps - delay] if delay < steps else 0
            sums += late @ np.where(layer.delay == delay, weight, 0).T
        return sums
    where = layer.convolution
    kernel = torch.from_numpy(weight)
    folded = [
        torch.nn.functional.conv2d(
            torch.from_numpy(frame.astype(np.float64)),
            kernel,
            None,
            where.stride,
            where.padding,
            where.dilation,
            where.groups,
        ).numpy()
        for frame in spikes
    ]
    total = wrap_convolution(np.stack(folded).astype(np.int64))
    return total.astype(np.float64)


def _run(layer: IntLayer, received: State, rules: Rules) -> tuple[Spikes, State]:
    """Return spikes of all steps, and the membranes of the last one before their reset."""
    neuron, rounding = layer.neuron, _ROUNDINGS[rules.decay]
    current_keep = (DECAY_UNITY - neuron.current_decay) / DECAY_UNITY
    voltage_keep = (DECAY_UNITY - neuron.voltage_decay) / DECAY_UNITY
    bias: Any = 0.0
    if layer.bias is not None:
        bias = layer.bias.reshape(-1, *[1] * (len(layer.out_shape) - 1)) * _UNIT
    into_current, into_voltage = (bias, 0.0) if rules.bias_into_current else (0.0, bias)
    threshold = neuron.threshold * _UNIT
    current = np.zeros(received.shape[1:])
    voltage, fired = np.zeros_like(current), np.zeros(current.shape, bool)
    out, membrane = np.empty(received.shape, np.uint8), voltage
    for step, total in enumerate(received):
        if layer.recurrent_weight is not None:
            total = total + fired @ layer.recurrent_weight.T.astype(np.float64)
        current = rounding(current * current_keep) + total * _UNIT + into_current
        if rules.wraps:
            current = np.where(current > STATE_LIMIT, current - 2 * STATE_LIMIT, current)
            current = np.where(current <= -STATE_LIMIT, current + 2 * STATE_LIMIT, current)
        voltage = rounding(voltage * voltage_keep) + current + into_voltage
        if rules.reset == "late":
            voltage = np.where(fired, 0.0, voltage)
        if rules.saturates:
            voltage = np.clip(voltage, 1 - STATE_LIMIT, STATE_LIMIT - 1)
        membrane = voltage
        fired = voltage > threshold if rules.strict else voltage >= threshold
        if rules.reset == "zero":
            voltage = np.where(fired, 0.0, voltage)
        elif rules.reset == "subtract":
            voltage = np.where(fired, voltage - threshold, voltage)
        out[step] = fired
    return out, membrane
