"""A graph of units in float rounded to a chip's integers, and laid out as a chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.fixed_point import (
    DECAY_UNITY,
    THRESHOLD_MAX,
    WEIGHT_MAX,
    WEIGHT_MIN,
    current_decay,
    quantize_bias,
    quantize_threshold,
    quantize_weight,
    voltage_decay,
)
from sdcl_neuro.network.scales import CURRENT_MAX
from sdcl_neuro.network.spec import IntNeuron

from .build import LONE, Chain, Level, build_chain
from .prices import Cure, Price
from .relays import RELAY_THRESHOLD_MAX
from .scaling import choose_scales, members_of, values_of
from .schedule import schedule
from .units import Unit, Units


@dataclass(frozen=True)
class Rounded:
    """The chain of a graph, and how it came about.

    Attributes:
        units: the integer units, in the order of `Units.units`.
        levels: what each layer holds.
        chain: the layers.
        notes: per unit, scale and errors, as `conversion.quantize` notes them for a layer.
        prices: per layer that relays above its threshold, both cures; layers counted from 0.
    """

    units: tuple[Unit, ...]
    levels: tuple[Level, ...]
    chain: Chain
    notes: tuple[Mapping[str, Any], ...]
    prices: tuple[tuple[int, Price], ...]


def round_units(
    units: Units,
    *,
    peaks: Mapping[str, float] | None = None,
    cure: Cure = "auto",
    keep_outputs: bool = True,
) -> Rounded:
    """Round, schedule and build.

    Args:
        units: the reduced graph.
        peaks: unit to the largest current or depth of its membrane met on calibration data, in
            units of its weights; for a read-out, of its membrane; None bounds nothing by data.
        cure: how relays pass thresholds above 253; see `prices`.
        keep_outputs: see `schedule`.

    Raises:
        NetworkRefused: with every reason why the chip cannot hold it.
    """
    reasons = [reason for unit in units.units for reason in _reasons(unit)]
    if reasons:
        raise NetworkRefused(reasons)
    plan = schedule(units, keep_outputs=keep_outputs)
    members = members_of(units, plan)
    relays = [dict(relayed) for relayed in plan.relays]
    scales, prices = choose_scales(units, plan, peaks=peaks, cure=cure)
    rounded = {unit.name: round_unit(unit, scales[unit.name][0]) for unit in units.units}
    levels = _levels(units, members, relays, rounded)
    offset = len(levels) - plan.depth
    chain = build_chain(units, levels)
    notes = tuple(
        _note(unit, rounded[unit.name], *scales[unit.name])
        for unit in units.units
        if unit.kind != "or"
    )
    return Rounded(
        units=tuple(rounded[unit.name] for unit in units.units),
        levels=levels,
        chain=chain,
        notes=notes,
        prices=tuple((index + offset, found) for index, found in prices),
    )


def _reasons(unit: Unit) -> Iterator[Refusal]:
    """Yield why a unit has no integers at all."""
    where = f"node {unit.node}"
    arrays = [a.weight for a in unit.afferents]
    arrays += [a for a in (unit.bias, unit.recurrent) if a is not None]
    if not all(np.isfinite(array).all() for array in arrays):
        yield Refusal(where, "a weight or bias is not finite", "train it again")
    beta, alpha = unit.neuron.beta, unit.neuron.alpha
    if beta < 1 and voltage_decay(beta) == 0:
        what = f"a membrane decay that rounds to nothing: beta {beta:.7g}, in steps of 1/4096"
        yield Refusal(where, what, f"use at most {1 - 1 / DECAY_UNITY:.5f}, or 1 for no leak")
    if unit.kind == "spiking" and voltage_decay(beta) >= DECAY_UNITY:
        what = f"beta {beta:g}: vDecay {DECAY_UNITY} does not fit 12 bits"
        yield Refusal(where, what, f"use at least {1 / DECAY_UNITY:.5f}")
    if current_decay(alpha) == 0:
        what = f"a current decay that rounds to nothing: alpha {alpha:.7g}"
        yield Refusal(where, what, f"use at most {1 - 1 / DECAY_UNITY:.5f}")
    if unit.scale is None:
        return
    if not (np.isfinite(unit.scale) and unit.scale > 0):
        yield Refusal(where, f"weight scale {unit.scale}", "give a positive one, or none")
        return
    if unit.clips:
        return
    scaled = np.rint(values_of(unit) * unit.scale)
    low, high = scaled.min(initial=0), scaled.max(initial=0)
    if low < WEIGHT_MIN - 1 or high > WEIGHT_MAX + 1:
        worst = low if low < WEIGHT_MIN - 1 else high
        what = (
            f"weights on one synapse add up to {worst:g} at the scale of training, "
            f"{unit.scale:g}; the chip holds {WEIGHT_MIN} to {WEIGHT_MAX}"
        )
        yield Refusal(where, what, "train at a lower scale, or pool less before it")


def round_unit(unit: Unit, scale: float) -> Unit:
    """Return the unit's integers; its neuron's threshold stays float, the level has the integer."""
    if unit.kind == "or":
        return unit
    afferents = tuple(replace(a, weight=quantize_weight(a.weight, scale)) for a in unit.afferents)
    return replace(
        unit,
        afferents=afferents,
        bias=None if unit.bias is None else quantize_bias(unit.bias, scale),
        recurrent=None if unit.recurrent is None else quantize_weight(unit.recurrent, scale),
        scale=scale,
    )


def _levels(
    units: Units,
    members: Sequence[Sequence[Unit]],
    relays: Sequence[dict[str, tuple[int, ...]]],
    rounded: Mapping[str, Unit],
) -> tuple[Level, ...]:
    """Return every layer with its neuron; a layer of copies in front where the first one needs
    them.
    """
    levels = []
    for group, relayed in zip(members, relays, strict=True):
        integer = tuple(rounded[unit.name] for unit in group)
        levels.append(Level(integer, relayed, _neuron(integer)))
    first = levels[0]
    if first.relaying and first.neuron.threshold > RELAY_THRESHOLD_MAX:
        read: dict[str, set[int]] = {node: set(cs) for node, cs in first.relays.items()}
        for unit in first.units:
            for afferent in unit.afferents:
                read.setdefault(afferent.source, set()).update(int(c) for c in afferent.of)
        front = {node: tuple(sorted(channels)) for node, channels in read.items()}
        levels.insert(0, Level((), front, LONE))
    return tuple(levels)


def _neuron(group: Sequence[Unit]) -> IntNeuron:
    """Return the neuron of a layer: of its spiking units, or its read-outs, or of relays alone."""
    for unit in group:
        if unit.kind == "or":
            continue
        threshold = THRESHOLD_MAX
        if unit.kind == "spiking":
            threshold = quantize_threshold(unit.neuron.threshold, unit.scale or 1.0)
        neuron = unit.neuron
        return IntNeuron(current_decay(neuron.alpha), voltage_decay(neuron.beta), threshold)
    return LONE


def _note(unit: Unit, integer: Unit, scale: float, origin: str) -> dict[str, Any]:
    """Return what rounding did to a unit, in float units; plain JSON."""
    floats, whole = values_of(unit), values_of(integer)
    errors = whole / scale - floats
    bias_error = 0.0
    if unit.bias is not None and integer.bias is not None:
        bias_error = float(np.abs(integer.bias / scale - unit.bias).max(initial=0.0))
    reach = sum(np.maximum(a.weight, 0).sum((1, 2, 3)) for a in integer.afferents)
    below = sum(np.maximum(-a.weight, 0).sum((1, 2, 3)) for a in integer.afferents)
    kept = current_decay(unit.neuron.alpha) / DECAY_UNITY
    threshold = quantize_threshold(unit.neuron.threshold, scale)
    return {
        "name": unit.name,
        "scale": float(scale),
        "scale_from": origin,
        "weight_error_max": float(np.abs(errors).max(initial=0.0)),
        "weight_error_rms": float(np.sqrt(np.mean(errors**2))) if errors.size else 0.0,
        "weights_clipped": int((2 * np.rint(floats * scale / 2) != whole).sum()),
        "beta_error": 1 - voltage_decay(unit.neuron.beta) / DECAY_UNITY - unit.neuron.beta,
        "alpha_error": 1 - current_decay(unit.neuron.alpha) / DECAY_UNITY - unit.neuron.alpha,
        "threshold_error": threshold / scale - unit.neuron.threshold,
        "bias_error_max": bias_error,
        "may_wrap": bool(np.maximum(reach, below).max() / kept > CURRENT_MAX),
    }


def price_notes(prices: Sequence[tuple[int, Price]]) -> list[dict[str, Any]]:
    """Return the prices as plain JSON."""
    return [{"layer": index, **asdict(found)} for index, found in prices]
