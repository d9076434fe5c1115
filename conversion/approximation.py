"""Networks that no chip computes exactly, with thresholds that keep their firing rates.

A reset to zero forgets by how much a membrane had passed its threshold, so a neuron that resets
by subtraction fires more. Lower thresholds make up for it on average: from the first layer to the
last, each approximated layer's threshold is found by bisection, so that on calibration data it
sends as many spikes as in the original, given what the layers before it send by now. What that
achieves is measured and listed, layer by layer; it is an approximation and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork
from sdcl_neuro.network.spike_checks import check_spikes

from .layer_modules import FloatLayerModule, float_layer
from .lowering.approximate import Approximation

FACTOR_MAX = 16.0
"""Thresholds are sought up to so many times higher or lower."""
BISECTIONS = 16
"""Steps of the search: the last ones move a threshold by 0.01 %."""


def recalibrate(
    net: FloatNetwork, departures: Sequence[Approximation | None], calibration: object
) -> FloatNetwork:
    """Set thresholds of the layers that depart from their originals; say what became of all.

    Args:
        net: the description with the original's thresholds.
        departures: per layer, what its original does otherwise; None where it is exact.
        calibration: spikes ``[T, B, *input_shape]``.

    Returns:
        The description; ``meta["approximate"]`` is a list with an entry per layer: its ``name``,
        what was ``approximated`` (nothing where the layer itself is exact), ``threshold`` and
        ``threshold_before``, the original's ``spikes``, the spikes after (``spikes_after``) and
        with unchanged thresholds (``spikes_before``), and the same neuron steps compared:
        ``agreement`` is the share that did the same, ``spike_agreement`` the spikes that both
        sent, of those that either sent.

    Raises:
        InputError: for calibration data of another shape, or without a spike.
    """
    flow = _values(net, calibration)
    original = before = after = flow
    layers, notes = [], []
    with torch.no_grad():
        for layer, departure in zip(net.layers, departures, strict=True):
            plain = float_layer(layer)
            original = float_layer(layer, departure)(original)
            before = plain(before)
            threshold = layer.neuron.threshold
            currents = plain.currents(after)
            if departure is not None:
                threshold = _matching(plain, currents, threshold, float(original.sum()))
            after = _fire(plain, currents, threshold)
            layers.append(_with_threshold(layer, threshold))
            notes.append(
                {
                    "name": layer.name,
                    "approximated": [] if departure is None else list(departure.words),
                    "threshold_before": layer.neuron.threshold,
                    "threshold": threshold,
                    "spikes": int(original.sum()),
                    **agreement(original, before, "_before"),
                    **agreement(original, after, "_after"),
                }
            )
    meta = {**net.meta, "approximate": notes}
    return FloatNetwork(net.input_shape, tuple(layers), meta)


def describe(notes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return ``meta["approximate"]`` as lines of text; none if nothing was approximated."""
    if not any(note["approximated"] for note in notes):
        return []
    head = f"{'layer':<14}{'threshold':>21}{'rate kept':>11}{'same spikes':>13}  approximated"
    return [head, *(_line(note) for note in notes)]


def _line(note: Mapping[str, Any]) -> str:
    change = f"{note['threshold_before']:.4g} to {note['threshold']:.4g}"
    kept = f"{100 * note['spikes_after'] / note['spikes']:.1f} %" if note["spikes"] else "silent"
    same = note["spike_agreement_after"]
    shown = "no spikes" if same is None else f"{100 * same:.1f} %"
    what = ", ".join(note["approximated"]) or "nothing"
    return f"{note['name']:<14}{change:>21}{kept:>11}{shown:>13}  {what}"


def _values(net: FloatNetwork, calibration: object) -> Tensor:
    values = check_spikes(calibration, where="calibration")
    if values.shape[2:] != tuple(net.input_shape):
        raise InputError(
            f"spikes of shape {list(values.shape[2:])} for a network of {list(net.input_shape)}",
            where="calibration",
            hint="give [T, B, *input_shape]",
        )
    if not values.any():
        raise InputError("no spike at all", where="calibration", hint="give data of the task")
    return torch.from_numpy(np.ascontiguousarray(values)).float()


def _matching(plain: FloatLayerModule, currents: Tensor, threshold: float, wanted: float) -> float:
    """Return the threshold at which a layer sends nearest to `wanted` spikes; unchanged for
    none.
    """
    if wanted == 0 or threshold <= 0:
        return threshold
    low, high = threshold / FACTOR_MAX, threshold * FACTOR_MAX
    tried = {threshold: float(_fire(plain, currents, threshold).sum())}
    middle = threshold
    for _ in range(BISECTIONS):
        if tried[middle] == wanted:
            break
        low, high = (middle, high) if tried[middle] > wanted else (low, middle)
        middle = float(np.float32(sqrt(low * high)))
        tried[middle] = float(_fire(plain, currents, middle).sum())
    # Of equally good ones the least changed: recurrent layers need not answer monotonically.
    return min(tried, key=lambda t: (abs(tried[t] - wanted), abs(t - threshold)))


def _fire(plain: FloatLayerModule, currents: Tensor, threshold: float) -> Tensor:
    held: Any = plain.neuron
    held.threshold.fill_(threshold)
    return plain.fire(currents)


def _with_threshold(layer: FloatLayer, threshold: float) -> FloatLayer:
    return replace(layer, neuron=replace(layer.neuron, threshold=threshold))


def agreement(original: Tensor, other: Tensor, suffix: str) -> dict[str, Any]:
    """Return how far spikes of one shape are the same: ``spikes``, ``agreement``,
    ``spike_agreement``.
    """
    different = int((original != other).sum())
    spikes = int(other.sum())
    either = (int(original.sum()) + spikes + different) // 2
    return {
        f"spikes{suffix}": spikes,
        f"agreement{suffix}": 1 - different / other.numel(),
        f"spike_agreement{suffix}": None if either == 0 else 1 - different / either,
    }
