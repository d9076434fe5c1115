"""Why two integer backends differ, found by experiment: which one fault makes our spikes theirs.

Each `Variation` is one fault an implementation may have. A layer is run with it, on the spikes
that the other side's layer received; a variation explains the difference if it gives the other
side's spikes, every one of them. What no single variation explains stays ``unknown``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.fixed_point import DECAY_UNITY
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNeuron

from .layer_rules import Rules, Spikes, membrane_at, simulate, weighted_sums

UNKNOWN = "unknown"
AGREES = "the layer agrees, given the spikes it received"
"""Not a fault of the layer: one before it sent other spikes."""

Case = tuple[IntLayer, Spikes, Rules]
Change = Callable[[IntLayer, Spikes], Case | None]

_SCREENED_SAMPLES = 2
"""A variation is tried on so many samples that differ, before it is tried on all."""


@dataclass(frozen=True)
class Variation:
    """One fault.

    Attributes:
        name: what is shown, ``part: fault``.
        change: the layer, input and rules with the fault; None where it cannot occur.
    """

    name: str
    change: Change


def find_cause(layer: IntLayer, received: Spikes, theirs: Spikes) -> tuple[str, ...]:
    """Name every variation that turns a layer's output into the other side's.

    Args:
        layer: the layer as described.
        received: what the other side's layer received, uint8 ``[T, B, *in_shape]``.
        theirs: what it sent, uint8 ``[T, B, *out_shape]``.

    Returns:
        ``(AGREES,)`` if no fault is needed; the names in the table's order; else ``(UNKNOWN,)``.
        Several names are faults that these spikes cannot tell apart.
    """
    sums = weighted_sums(layer, received)
    ours = simulate(layer, received, sums=sums)
    differ = np.flatnonzero((ours != theirs).any(axis=(0, *range(2, ours.ndim))))
    if not differ.size:
        return (AGREES,)
    few = differ[:_SCREENED_SAMPLES]
    found = []
    for variation in VARIATIONS:
        case = variation.change(layer, received)
        if case is None:
            continue
        changed, spikes, rules = case
        same = changed.weight is layer.weight and spikes is received
        known = sums if same else None
        if not rules.carries:
            part = simulate(
                changed, spikes[:, few], rules, sums=None if known is None else known[:, few]
            )
            if not np.array_equal(part, theirs[:, few]):
                continue
        if np.array_equal(simulate(changed, spikes, rules, sums=known), theirs):
            found.append(variation.name)
    return tuple(found) or (UNKNOWN,)


def faulty_membrane(
    name: str, layer: IntLayer, received: Spikes, place: tuple[int, ...]
) -> float | None:
    """Return the membrane at `place` with the variation `name`; None if there is no such
    variation.
    """
    for variation in VARIATIONS:
        if variation.name == name:
            case = variation.change(layer, received)
            return None if case is None else membrane_at(case[0], case[1], place, case[2])
    return None


def _weights(change: Callable[[NDArray[np.int32]], NDArray[Any]]) -> Change:
    """Return a fault in the stored weights, recurrent ones alike."""

    def apply(layer: IntLayer, spikes: Spikes) -> Case | None:
        recurrent = layer.recurrent_weight
        weight = change(layer.weight).astype(np.int32)
        if recurrent is not None:
            recurrent = change(recurrent).astype(np.int32)
        unchanged = np.array_equal(weight, layer.weight)
        if unchanged and np.array_equal(recurrent, layer.recurrent_weight):  # type: ignore[arg-type]
            return None
        return replace(layer, weight=weight, recurrent_weight=recurrent), spikes, Rules()

    return apply


def _neuron(**offsets: int) -> Change:
    """Return a constant off by so much."""

    def apply(layer: IntLayer, spikes: Spikes) -> Case | None:
        values = {key: getattr(layer.neuron, key) + by for key, by in offsets.items()}
        if any(
            not 0 <= values.get(key, 0) <= DECAY_UNITY for key in ("current_decay", "voltage_decay")
        ):
            return None
        return replace(layer, neuron=replace(layer.neuron, **values)), spikes, Rules()

    return apply


def _instant_current(layer: IntLayer, spikes: Spikes) -> Case | None:
    neuron = layer.neuron
    if neuron.current_decay == DECAY_UNITY:
        return None
    instant = IntNeuron(DECAY_UNITY, neuron.voltage_decay, neuron.threshold)
    return replace(layer, neuron=instant), spikes, Rules()


def _rule(**changed: Any) -> Change:
    """Return another rule of arithmetic."""
    return lambda layer, spikes: (layer, spikes, Rules(**changed))


def _bias(change: Callable[[NDArray[np.int32]], Any], **rules: Any) -> Change:
    """Return a fault in the bias."""

    def apply(layer: IntLayer, spikes: Spikes) -> Case | None:
        if layer.bias is None or not layer.bias.any():
            return None
        return replace(layer, bias=change(layer.bias)), spikes, Rules(**rules)

    return apply


def _kernel(change: Callable[[NDArray[np.int32]], NDArray[np.int32]], *, swap: bool) -> Change:
    """Return a convolution's kernels in another layout; `swap` exchanges rows and columns."""

    def apply(layer: IntLayer, spikes: Spikes) -> Case | None:
        geometry = layer.convolution
        if geometry is None or (swap and not _square(layer, geometry)):
            return None
        weight = np.ascontiguousarray(change(layer.weight))
        if np.array_equal(weight, layer.weight):
            return None
        return replace(layer, weight=weight), spikes, Rules()

    return apply


def _square(layer: IntLayer, geometry: Convolution) -> bool:
    pairs = (layer.kernel, geometry.stride, geometry.padding, geometry.dilation)
    return all(rows == columns for rows, columns in pairs)


def _flatten(axes: tuple[int, int, int]) -> Change:
    """Return a dense layer that reads a (c, y, x) input in another order."""

    def apply(layer: IntLayer, spikes: Spikes) -> Case | None:
        if layer.convolution is not None or len(layer.in_shape) != 3:
            return None
        order = np.arange(layer.weight.shape[1]).reshape(layer.in_shape).transpose(axes).reshape(-1)
        # Input n is wired to the column of where the other order counts it.
        weight = np.empty_like(layer.weight)
        weight[:, order] = layer.weight
        return replace(layer, weight=weight), spikes, Rules()

    return apply


def _channels(layer: IntLayer, spikes: Spikes) -> Case | None:
    if spikes.ndim != 5 or spikes.shape[2] < 2:
        return None
    return layer, np.ascontiguousarray(spikes[:, :, ::-1]), Rules()


def _axes(layer: IntLayer, spikes: Spikes) -> Case | None:
    if spikes.ndim != 5 or spikes.shape[3] != spikes.shape[4]:
        return None
    return layer, np.ascontiguousarray(spikes.swapaxes(3, 4)), Rules()


def _shifted(by: int) -> Change:
    """Return spikes that arrive some steps late, or early."""

    def apply(layer: IntLayer, spikes: Spikes) -> Case | None:
        if len(spikes) <= abs(by):
            return None
        moved = np.zeros_like(spikes)
        if by > 0:
            moved[by:] = spikes[:-by]
        else:
            moved[:by] = spikes[-by:]
        return layer, moved, Rules()

    return apply


def _binary(layer: IntLayer, spikes: Spikes) -> Case | None:
    return None if spikes.max(initial=0) <= 1 else (layer, np.minimum(spikes, 1), Rules())


def _even_down(weight: NDArray[np.int32]) -> NDArray[Any]:
    return weight & ~1


VARIATIONS: tuple[Variation, ...] = (
    Variation("weights: truncated towards zero to even", _weights(lambda w: np.trunc(w / 2) * 2)),
    Variation("weights: rounded down to even", _weights(_even_down)),
    Variation("weights: clipped to -128 ... 127", _weights(lambda w: np.clip(w, -128, 127))),
    Variation("weights: clipped to -256 ... 254", _weights(lambda w: np.clip(w, -256, 254))),
    Variation("weights: half as large", _weights(lambda w: np.trunc(w / 2))),
    Variation("weights: twice as large", _weights(lambda w: w * 2)),
    Variation("weights: other sign", _weights(lambda w: -w)),
    Variation("voltage decay: one too large", _neuron(voltage_decay=1)),
    Variation("voltage decay: one too small", _neuron(voltage_decay=-1)),
    Variation("current decay: one too large", _neuron(current_decay=1)),
    Variation("current decay: one too small", _neuron(current_decay=-1)),
    Variation("current decay: left out, the current is instantaneous", _instant_current),
    Variation("decay: rounded down, not towards zero", _rule(decay="down")),
    Variation("decay: rounded to nearest, not towards zero", _rule(decay="to nearest")),
    Variation("decay: not rounded", _rule(decay="none")),
    Variation("threshold: a membrane equal to it fires", _rule(strict=False)),
    Variation("threshold: one too large", _neuron(threshold=1)),
    Variation("threshold: one too small", _neuron(threshold=-1)),
    Variation("reset: by subtraction", _rule(reset="subtract")),
    Variation("reset: never", _rule(reset="never")),
    Variation("reset: one step late, swallowing that step's input", _rule(reset="late")),
    Variation("saturation: the membrane is not clipped", _rule(saturates=False)),
    Variation("wrap: the current does not wrap around", _rule(wraps=False)),
    Variation("bias: left out", _bias(lambda b: None)),
    Variation("bias: added twice", _bias(lambda b: b * 2)),
    Variation("bias: added to the current", _bias(lambda b: b, bias_into_current=True)),
    Variation("layout: kernels flipped", _kernel(lambda w: w[:, :, ::-1, ::-1], swap=False)),
    Variation("layout: kernels transposed", _kernel(lambda w: w.swapaxes(2, 3), swap=True)),
    Variation("layout: flattened as (x, y, c)", _flatten((2, 1, 0))),
    Variation("layout: flattened as (y, x, c)", _flatten((1, 2, 0))),
    Variation("layout: flattened as (c, x, y)", _flatten((0, 2, 1))),
    Variation("layout: input channels reversed (polarity)", _channels),
    Variation("layout: input x and y exchanged", _axes),
    Variation("time: input one step late", _shifted(1)),
    Variation("time: input one step early", _shifted(-1)),
    Variation("state: not cleared between samples", _rule(carries=True)),
    Variation("input: counts taken as binary", _binary),
)
"""Every fault that is tried, the likeliest of each part first."""
