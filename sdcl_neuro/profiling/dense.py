"""The same topology as a quantised dense network, and the sparsity at which the two cost the same.

The dense network makes one pass a sample: every synapse is one multiply-accumulate, whatever the
input. Its energy is arithmetic alone, and arithmetic with memory traffic between "every byte
moved once" and "a weight and an activation read from a large memory for every operation".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sdcl_neuro.hardware import HardwareProfile

from .cost import Constant, citations, find, why_not
from .energy import PJ_PER_UJ, SPIKE_PARTS, Energy, EnergyPart, uj_dict
from .interval import Interval, total
from .workload import Workload

REFERENCE = "dense45nm"
"""The packaged profile whose constants price the dense network."""


@dataclass(frozen=True)
class Crossing:
    """Sparsity above which the spiking network costs less, between two ends, or why there is none.

    `low` and `high` are parts of all synapses that receive nothing in a mean step; None if the
    spiking network never costs less (at that end of the intervals).
    """

    low: float | None
    high: float | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; unknown is null with a reason."""
        ends = {"sparsity_low": self.low, "sparsity_high": self.high, "tag": "modelled"}
        return ends | ({"reason": self.reason} if self.reason else {})

    def __str__(self) -> str:
        if self.low is None:
            return f"none: {self.reason}"
        if self.high is None:
            return f"above {_percent(self.low)} at best ({self.reason})"
        return f"above {_percent(self.low)} to {_percent(self.high)}"


@dataclass(frozen=True)
class DenseTwin:
    """The dense network compared with the spiking one.

    Attributes:
        macs: multiply-accumulates of one pass.
        arithmetic, memory: their energies for one sample.
        sparsity: of the spiking network as it ran, the same measure as in `crossings`.
        crossings: target to {"arithmetic": ..., "with_memory": ...}.
    """

    macs: int
    arithmetic: EnergyPart
    memory: EnergyPart
    sparsity: float
    crossings: Mapping[str, Mapping[str, Crossing]] = field(default_factory=dict)

    @property
    def with_memory(self) -> Interval:
        """Arithmetic and memory together, in microjoules."""
        return self.arithmetic.uj + self.memory.uj

    def sentence(self, target: str, energy: Energy) -> str:
        """Say which of the two is modelled cheaper on a target, and whether they ever cross.

        Args:
            target: its name, a key of `crossings` where its energy is known.
            energy: of the spiking network on it; static power is left out on both sides.
        """
        spiking, dense = energy.bounded_dynamic_uj, self.with_memory
        if spiking is None or target not in self.crossings:
            return f"On {target} the two cannot be compared: {energy.reason or 'no energy'}."
        found = self.crossings[target]["with_memory"]
        figures = f"{dense} µJ with its memory, against {spiking} µJ{energy.left_out}"
        if spiking.high < dense.low:
            said = f"The spiking network on {target} is modelled cheaper than the dense twin"
        elif dense.high < spiking.low:
            said = f"The dense twin is modelled cheaper than the spiking network on {target}"
        else:
            said = f"Which is cheaper on {target} is not decided: the two intervals overlap"
        if found.low is None:
            return f"{said} ({figures}); no sparsity would change that: {found.reason}."
        now = _percent(self.sparsity)
        return (
            f"{said} ({figures}); spiking would cost less at a synaptic sparsity {found}; it ran "
            f"at {now}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "reference": REFERENCE,
            "what": "the same topology in int8, one dense pass a sample",
            "macs": self.macs,
            "arithmetic": self.arithmetic.to_dict(),
            "memory": self.memory.to_dict(),
            "with_memory": {**uj_dict(self.with_memory), "tag": "modelled"},
            "synaptic_sparsity": self.sparsity,
            "crossings": {
                target: {against: crossing.to_dict() for against, crossing in found.items()}
                for target, found in self.crossings.items()
            },
        }


def dense_twin(
    work: Workload, reference: HardwareProfile, energies: Mapping[str, Energy]
) -> DenseTwin:
    """Price the dense network and find where each target's energy crosses it."""
    (variant,) = reference.variants.values()
    mac = _need(reference, "mac_int8")
    byte = _need(reference, "sram_byte")
    parameters = sum(layer.parameters for layer in work.layers)
    once = parameters + work.inputs + 2 * sum(layer.neurons for layer in work.layers)
    bytes_moved = Interval(min(once, 2 * work.synapses), 2 * work.synapses)
    arithmetic = _part(mac.interval.scaled(work.synapses), mac)
    memory = _part(byte.interval * bytes_moved, byte)
    accumulate = find(variant.energy, variant.name, "accumulate_int")
    twin = DenseTwin(work.synapses, arithmetic, memory, 1 - work.density)
    crossings: dict[str, dict[str, Crossing]] = {}
    if accumulate is not None:
        spiking = accumulate.interval.scaled(sum(layer.chip_synops for layer in work.layers))
        spiking = spiking.scaled(1 / PJ_PER_UJ)
        same = crossing(work.density, spiking, Interval(0, 0), arithmetic.uj)
        crossings[REFERENCE] = {"arithmetic": same}
    for name, energy in energies.items():
        crossings[name] = {
            "arithmetic": _against(work, energy, twin.arithmetic.uj),
            "with_memory": _against(work, energy, twin.with_memory),
        }
    return DenseTwin(twin.macs, arithmetic, memory, twin.sparsity, crossings)


def dense_energy(work: Workload, hw: HardwareProfile) -> Energy:
    """Return energy of the dense network, one pass a sample, on a dense target."""
    names = ("mac_int8", "mac_fp16", "mac", "mac_fp32")
    for variant in hw.variants.values():
        constant = find(variant.energy, variant.name, *names)
        if constant is not None:
            part = _part(constant.interval.scaled(work.synapses), constant)
            missing = {"memory": "only the 45 nm reference prices it"}
            return Energy({"dense_macs": part}, {}, missing)
    reasons = [why_not(variant.energy, *names) for variant in hw.variants.values()]
    return Energy({}, {}, {}, reason=reasons[0])


def crossing(density: float, spikes: Interval, fixed: Interval, dense: Interval) -> Crossing:
    """Return sparsity at which ``fixed + spikes * (its density / density now)`` equals `dense`.

    Args:
        density: part of all synapses reached in a mean step, now.
        spikes: energy in proportion to that density, now.
        fixed: energy that stays whatever the input is.
        dense: energy of the dense network.
    """
    if density == 0 or spikes.low == 0:
        return Crossing(None, None, "there are no spikes to scale")
    best = _sparsity(density, spikes.low, dense.high - fixed.low)
    worst = _sparsity(density, spikes.high, dense.low - fixed.high)
    stays = f"{fixed} µJ are spent without any spike"
    if best is None:
        return Crossing(None, None, f"{stays}, the dense network takes {dense} µJ")
    return Crossing(best, worst, stays if worst is None else "")


def _sparsity(density: float, spikes: float, budget: float) -> float | None:
    """Return sparsity that spends exactly `budget`; 0 where even full density costs less, None
    never.
    """
    if budget <= 0 or math.isinf(spikes):
        return None
    return max(0.0, 1 - density * budget / spikes)


def _against(work: Workload, energy: Energy, dense: Interval) -> Crossing:
    """Return the crossing over all sets of constants, each by itself: its constants belong
    together.
    """
    if not energy.known:
        return Crossing(None, None, f"no energy: {energy.reason}")
    sets = [variant.parts for variant in energy.variants.values()] or [energy.parts]
    found = []
    for priced in sets:
        parts = {
            name: part.uj for name, part in priced.items() if name != "static" and not part.open
        }
        spikes = total(uj for name, uj in parts.items() if name in SPIKE_PARTS)
        fixed = total(uj for name, uj in parts.items() if name not in SPIKE_PARTS)
        found.append(crossing(work.density, spikes, fixed, dense))
    lows = [one.low for one in found if one.low is not None]
    if not lows:
        return found[0]
    highs = [one.high for one in found]
    if None in highs:
        reason = next(one.reason for one in found if one.high is None)
        return Crossing(min(lows), None, reason)
    return Crossing(min(lows), max(high for high in highs if high is not None))


def _need(reference: HardwareProfile, name: str) -> Constant:
    (variant,) = reference.variants.values()
    constant = find(variant.energy, variant.name, name)
    if constant is None:
        raise LookupError(f"the packaged profile {REFERENCE} has lost '{name}'")
    return constant


def _part(pj: Interval, constant: Constant) -> EnergyPart:
    return EnergyPart(pj.scaled(1 / PJ_PER_UJ), (constant,), citations([constant]))


def _percent(value: float) -> str:
    return f"{100 * value:.4g} %"
