"""How many integers one unit of float weight becomes, unit by unit, relays included.

Units that share a layer share its integer threshold. Their float thresholds differ in general, so
that each has a scale of its own, at which its threshold is the layer's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor, prod

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.fixed_point import DECAY_UNITY, current_decay, quantize_threshold
from sdcl_neuro.network.scales import choose_scale, clear_of_powers

from .prices import Cure, Price, price
from .relays import RELAY_THRESHOLD_MAX
from .schedule import Schedule, schedule
from .units import Unit, Units

HEADROOM = 1.5
"""Currents and membranes may go so much further than on the calibration data."""

Scales = dict[str, tuple[float, str]]
"""Unit to its scale, and in words where that comes from."""


def members_of(units: Units, plan: Schedule) -> list[list[Unit]]:
    """Return the units of each layer, in order."""
    return [
        [unit for unit, level in zip(units.units, plan.levels, strict=True) if level == k + 1]
        for k in range(plan.depth)
    ]


def choose_scales(
    units: Units,
    plan: Schedule,
    *,
    peaks: Mapping[str, float] | None = None,
    cure: Cure = "auto",
    margin: float = 1.0,
) -> tuple[Scales, list[tuple[int, Price]]]:
    """Return the scale of every unit, and per layer of the plan that relays what both cures cost.

    Args:
        units: the reduced graph; units with a scale of training keep it.
        plan: where its units lie.
        peaks: see `rounding.round_units`.
        cure: how relays pass thresholds above 253; see `prices`.
        margin: room for weights that will grow in training, 1 for none.
    """
    prices: list[tuple[int, Price]] = []
    scales: Scales = {}
    for index, group in enumerate(members_of(units, plan)):
        found = _scale_group(group, peaks, margin)
        relaying = bool(plan.relays[index]) or any(unit.kind == "or" for unit in group)
        found = _cured(units, plan, index, group, found, relaying, cure, prices)
        scales |= _unit_scales(group, *found)
    return scales, prices


def training_scales(
    units: Units,
    *,
    peaks: Mapping[str, float] | None = None,
    cure: Cure = "auto",
    margin: float = 1.0,
) -> dict[str, float]:
    """Return one scale per node, to train at: layers that will be shared keep one integer
    threshold.

    A population whose decays differ lies in several layers and still has one scale, the smallest
    of them; whatever shares a layer with it follows.

    Args:
        units: the reduced graph; scales that it has are chosen again.
        peaks, cure, margin: see `choose_scales`.
    """
    free = replace(units, units=tuple(replace(unit, scale=None) for unit in units.units))
    plan = schedule(free)
    scales, _ = choose_scales(free, plan, peaks=peaks, cure=cure, margin=margin)
    groups = [[u for u in group if u.kind != "or"] for group in members_of(free, plan)]
    clusters: list[list[Unit]] = []
    for group in groups:
        nodes = {unit.node for unit in group}
        joined = [each for each in clusters if nodes & {unit.node for unit in each}]
        clusters = [each for each in clusters if each not in joined]
        clusters.append([*group, *(unit for each in joined for unit in each)])
    found: dict[str, float] = {}
    for cluster in clusters:
        # At a common integer threshold a unit's scale is that threshold over its own.
        reach = {unit.name: unit.neuron.threshold or 1.0 for unit in cluster}
        lowest = min((scales[unit.name][0] * reach[unit.name] for unit in cluster), default=0.0)
        if lowest > 1 and any(unit.neuron.threshold for unit in cluster):
            lowest = floor(lowest)  # so that all their thresholds round to the same integer
        found |= {unit.node: float(np.float32(lowest / reach[unit.name])) for unit in cluster}
    return found


def _scale_group(
    group: Sequence[Unit], peaks: Mapping[str, float] | None, margin: float
) -> tuple[float, str]:
    """Return one scale for all units of a layer, in units of the first one's weights.

    Their float thresholds differ in general. The largest is everyone's, with weights multiplied
    accordingly (`_gain`).
    """
    free = [unit for unit in group if unit.kind != "or" and unit.scale is None]
    if not free:
        return 1.0, "weights"
    threshold = _common_threshold(free)
    gains = [_gain(unit, threshold) for unit in free]
    weights = np.concatenate([values_of(u) * g for u, g in zip(free, gains, strict=True)])
    biases = [u.bias.ravel() * g for u, g in zip(free, gains, strict=True) if u.bias is not None]
    peak = None
    if peaks is not None:
        peak = HEADROOM * max(peaks.get(u.name, 0.0) * g for u, g in zip(free, gains, strict=True))
    scale = choose_scale(
        weights,
        threshold=threshold,
        bias=np.concatenate(biases) if biases else None,
        peak=peak,
        margin=margin,
    )
    scale = clear_of_powers(weights, scale)
    return scale, "weights" if peaks is None else "calibration"


def _unit_scales(group: Sequence[Unit], scale: float, origin: str) -> dict[str, tuple[float, str]]:
    """Return each unit's own scale: that of the layer, times what makes its threshold
    everyone's.
    """
    free = [unit for unit in group if unit.kind != "or" and unit.scale is None]
    common = _common_threshold(free) if free else 0.0
    found = {unit.name: (scale * _gain(unit, common), origin) for unit in free}
    for unit in group:
        if unit.scale is not None:
            found[unit.name] = unit.scale, "training"
        elif unit.kind == "or":
            found[unit.name] = 1.0, "weights"
    return found


def _common_threshold(group: Sequence[Unit]) -> float:
    return max(unit.neuron.threshold for unit in group)


def _gain(unit: Unit, threshold: float) -> float:
    own = unit.neuron.threshold
    return threshold / own if own > 0 and unit.kind == "spiking" else 1.0


def _cured(
    units: Units,
    plan: Schedule,
    index: int,
    group: Sequence[Unit],
    found: tuple[float, str],
    relaying: bool,
    cure: Cure,
    prices: list[tuple[int, Price]],
) -> tuple[float, str]:
    """Return the scale of a layer that relays, lowered where that is the cheaper cure."""
    spiking = [unit for unit in group if unit.kind == "spiking"]
    if not relaying or not spiking:
        return found
    fixed = [u for u in spiking if u.scale is not None]
    if fixed:
        scale = fixed[0].scale or 1.0
        threshold, each = quantize_threshold(fixed[0].neuron.threshold, scale), fixed
    else:
        scale, each = found[0], spiking
        threshold = quantize_threshold(_common_threshold(spiking), scale)
    if threshold <= RELAY_THRESHOLD_MAX:
        return found
    common = _common_threshold(each)
    gains = [1.0 if fixed else _gain(unit, common) for unit in each]
    values = np.concatenate([values_of(u) * g for u, g in zip(each, gains, strict=True)])
    copied, synapses = _to_copy(units, plan, index, group)
    slow = current_decay(spiking[0].neuron.alpha) != DECAY_UNITY
    wanted: Cure = "copies" if fixed else "ceiling" if slow else cure
    verdict = price(
        threshold=threshold,
        weights=int(np.count_nonzero(values)),
        largest=float(np.abs(values).max(initial=0)) * scale,
        copied=copied,
        synapses=synapses,
        cure=wanted,
    )
    prices.append((index, verdict))
    if verdict.chosen == "copies":
        return found
    lowered = np.float32(RELAY_THRESHOLD_MAX / common)
    return float(lowered), f"{found[1]}, lowered for relays"


def _to_copy(units: Units, plan: Schedule, index: int, group: Sequence[Unit]) -> tuple[int, int]:
    """Return neurons of the layer before that copies would repeat, and the synapses they
    receive.
    """
    lines = {(node, c) for node, cs in plan.relays[index].items() for c in cs}
    lines |= {
        (a.source, int(c)) for u in group if u.kind == "or" for a in u.afferents for c in a.of
    }
    neurons = sum(prod(units.senders[node].size[1:]) for node, _ in lines)
    synapses = neurons
    for unit, level in zip(units.units, plan.levels, strict=True):
        if level != index:
            continue
        share = sum((unit.node, int(c)) in lines for c in unit.channels) / len(unit.channels)
        each = sum(int(np.count_nonzero(a.weight)) for a in unit.afferents)
        synapses += round(share * each * prod(unit.size))
    return neurons, synapses


def values_of(unit: Unit) -> NDArray[np.float64]:
    """Return all its weights in one row."""
    arrays = [a.weight.ravel() for a in unit.afferents]
    if unit.recurrent is not None:
        arrays.append(unit.recurrent.ravel())
    return np.concatenate(arrays)
