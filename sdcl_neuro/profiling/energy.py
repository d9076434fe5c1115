"""Energy of one sample: counts times constants, as intervals, part by part.

``part = sum over layers of count * constant``. A profile with several sets of constants gives,
for each part, the interval over all of them; the whole is the interval over each set's own sum,
since constants of one set belong together, plus what all sets share. What no source prices is
listed as not modelled and is not part of the sum; a barrier is: its energy is an open upper end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from sdcl_neuro.errors import number_of
from sdcl_neuro.hardware import HardwareProfile, Variant
from sdcl_neuro.hardware.placement import Fit

from .cost import Constant, citations, find, messages, path, static_power, synop, why_not
from .energy_result import Energy, EnergyPart, VariantEnergy, uj_dict
from .interval import ONE, ZERO, Interval, figure, hull, total
from .latency import Latency
from .placed import messages_between_chips, placed_hops, placed_messages
from .workload import Workload

__all__ = ["PJ_PER_UJ", "SPIKE_PARTS", "Energy", "EnergyPart", "VariantEnergy", "energy", "uj_dict"]

PJ_PER_UJ = 1e6
OPEN = Interval(0.0, math.inf)
"""A cost that is there and that no one has published."""
SPIKE_PARTS = ("synaptic_operations", "spike_traffic", "all_in")
"""The parts in proportion to the spikes."""


def energy(
    work: Workload,
    hw: HardwareProfile,
    latency: Latency,
    *,
    fit: Fit | None = None,
    stream: bool = False,
) -> Energy:
    """Return energy of one sample on a neuromorphic target.

    Args:
        work: counts of one sample.
        hw: the target's profile.
        latency: of the same work there; static power runs as long as it says.
        fit: of the network there; its placement says where spikes go, without one it is open.
        stream: of a sample in a stream, whose pipeline is full, instead of one by itself: neurons
            are updated, barriers passed and static power drawn for the steps that it costs there.
    """
    steps = work.stream_steps if stream else work.run_steps
    us = latency.stream_us if stream else latency.us
    lasting = work.over(steps)
    variants = {name: _variant(variant, lasting, hw, fit) for name, variant in hw.variants.items()}
    known = {name: variant for name, variant in variants.items() if variant.parts}
    if not known:
        running = _running(lasting, hw, us, fit)
        if running is not None:
            missing = {"host_transfer": _NO_HOST}
            return Energy({"running": running}, {}, missing, steps=steps)
        missing = _reasons(variants)
        reason = next(iter(missing.values()), "the profile has no energy")
        return Energy({}, {}, {}, reason=reason)
    names = dict.fromkeys(name for variant in known.values() for name in variant.parts)
    parts = {
        name: _joined([v.parts[name] for v in known.values() if name in v.parts]) for name in names
    }
    missing = _reasons(known, but=parts)
    static, why = _static(lasting, hw, latency, us, fit)
    if static is None:
        missing["static"] = why
    else:
        parts["static"] = static
    between = _between_chips(work, hw, fit)
    if between:
        missing["between_chips"] = between
    missing["host_transfer"] = _NO_HOST
    return Energy(parts, known, missing, bound=_bound(work, hw), steps=steps)


def spike_energy(work: Workload, hw: HardwareProfile, fit: Fit | None) -> Interval:
    """Return energy in uJ of what neurons and spikes do, whatever the time: no static power, no
    barrier.

    `work` says for how many steps it lasts. Nothing is priced at zero where no constants are known.
    """
    known = [_variant(variant, work, hw, fit) for variant in hw.variants.values()]
    sums = [variant.bounded_uj for variant in known if variant.parts]
    return hull(sums) if sums else ZERO


_NO_HOST = "no energy of moving spikes to and from the host is published"


def _reasons(
    variants: Mapping[str, VariantEnergy], *, but: Mapping[str, EnergyPart] | None = None
) -> dict[str, str]:
    """Map a part to every reason why it is missing; a part that some variant does price is left
    out.
    """
    found: dict[str, dict[str, None]] = {}
    for variant in variants.values():
        for name, why in variant.not_modelled.items():
            if name not in (but or {}):
                found.setdefault(name, {})[why] = None
    return {name: "; ".join(whys) for name, whys in found.items()}


def _variant(
    variant: Variant, work: Workload, hw: HardwareProfile, fit: Fit | None
) -> VariantEnergy:
    all_in = find(variant.energy, variant.name, "synop_all_in")
    if all_in is not None:
        count = sum(layer.chip_synops for layer in work.layers)
        whole = _with_error(_part(all_in.interval.scaled(count), all_in), variant)
        return VariantEnergy(variant.title, {"all_in": whole})
    parts: dict[str, EnergyPart] = {}
    missing: dict[str, str] = {}
    for name, model in _PARTS.items():
        part = model(variant, work, hw, fit)
        if isinstance(part, EnergyPart):
            parts[name] = _with_error(part, variant)
        else:
            missing[name] = part
    if "synaptic_operations" not in parts:
        return VariantEnergy(variant.title, {}, missing)
    hops = variant.energy.get("hop_east_west")
    if hops is not None and (hops.unknown or hops.text):
        missing["mesh_hops"] = hops.unknown or hops.text
    return VariantEnergy(variant.title, parts, missing)


def _synops(variant: Variant, work: Workload, *_: object) -> EnergyPart | str:
    priced = [(layer, synop(variant.energy, variant.name, layer)) for layer in work.layers]
    known = [(layer, constant) for layer, constant in priced if constant is not None]
    if len(known) < len(priced):
        return why_not(variant.energy, "synop", "synop_conv", "synop_dense")
    return _part(
        total(constant.interval.scaled(layer.chip_synops) for layer, constant in known),
        *dict.fromkeys(constant for _, constant in known),
    )


def _updates(variant: Variant, work: Workload, *_: object) -> EnergyPart | str:
    """Return updates: a spiking one is active; of others it is not counted, hence the interval."""
    updates = sum(layer.updates for layer in work.layers)
    spiking = sum(layer.spikes_out for layer in work.layers)
    one = find(variant.energy, variant.name, "neuron_update")
    if one is not None:
        return _part(one.interval.scaled(updates), one)
    active = find(variant.energy, variant.name, "neuron_update_active")
    inactive = find(variant.energy, variant.name, "neuron_update_inactive")
    if active is None or inactive is None:
        return why_not(variant.energy, "neuron_update", "neuron_update_active")
    low = inactive.interval.scaled(updates - spiking) + active.interval.scaled(spiking)
    high = active.interval.scaled(updates)
    return _part(Interval(low.low, max(low.high, high.high)), inactive, active)


def _traffic(
    variant: Variant, work: Workload, hw: HardwareProfile, fit: Fit | None
) -> EnergyPart | str:
    """Return messages of a placement if there is one; the input enters the mesh at an unknown
    place.
    """
    way, used = path(variant.energy, variant.name, hw)
    if fit is None or fit.placement is None:
        outside, inner = messages(work, hw)
        cost = way * (outside + inner)
    else:
        outside, inner = placed_messages(work, fit.placement)
        cost, used_hops = placed_hops(work, fit.placement, variant.energy, variant.name)
        local = find(variant.energy, variant.name, "spike_in_tile")
        cost += way * outside + (ZERO if local is None else local.interval * inner)
        used = list(dict.fromkeys([*used, *used_hops]))
    # A spike that comes in was sent by somebody: it pays what the others pay.
    sent = work.layers[0].spikes_in + sum(layer.spikes_out for layer in work.layers)
    every = outside + inner
    counts = {"spike_out": Interval(sent, sent), "axon_out": every, "axon_in": every}
    for name, count in counts.items():
        constant = find(variant.energy, variant.name, name)
        if constant is not None:
            cost += constant.interval * count
            used.append(constant)
    return _part(cost, *used) if used else why_not(variant.energy, "spike_in_tile", "axon_out")


def _synchronisation(variant: Variant, work: Workload, *_: object) -> EnergyPart | str:
    """Return a barrier for each step; one whose energy is unknown leaves the upper end open."""
    barrier = find(variant.energy, variant.name, "synchronisation")
    if barrier is None:
        reason = why_not(variant.energy, "synchronisation")
        declared = variant.energy.get("synchronisation")
        if declared is not None and declared.unknown:
            return EnergyPart(OPEN, (), reason, reason=reason)
        return reason
    return _part(barrier.interval.scaled(work.lasting), barrier)


_PARTS: dict[str, Callable[[Variant, Workload, HardwareProfile, Fit | None], EnergyPart | str]] = {
    "synaptic_operations": _synops,
    "neuron_updates": _updates,
    "spike_traffic": _traffic,
    "synchronisation": _synchronisation,
}


def _between_chips(work: Workload, hw: HardwareProfile, fit: Fit | None) -> str:
    """Explain why traffic between chips is not in the sum; empty if it is."""
    if fit is not None and fit.placement is not None:
        sent = messages_between_chips(work, fit.placement)
        if fit.placement.chips > 1:
            return f"no energy of a link is at hand; about {figure(sent)} messages leave their chip"
        return ""
    many = (work.chips_needed(hw) or 1) > 1
    return "spikes between chips need a placement" if many else ""


def _running(
    work: Workload, hw: HardwareProfile, us: Interval | None, fit: Fit | None
) -> EnergyPart | None:
    """Return power at work over the time of a sample, for chips that publish it in place of
    energies.
    """
    power = find(hw.power, "", "running")
    if power is None or us is None:
        return None
    chips = (None if fit is None else fit.chips) or 1
    source = f"{citations([power])}; over {us} us on {number_of(chips, 'chip')}"
    return EnergyPart((power.interval * us).scaled(chips * 1e-3), (power,), source)


def _static(
    work: Workload,
    hw: HardwareProfile,
    latency: Latency,
    us: Interval | None,
    fit: Fit | None,
) -> tuple[EnergyPart | None, str]:
    """Return static power of the chips over the run, 1 mW for 1 us being 1 nJ."""
    found = static_power(work, hw, placed=None if fit is None else fit.chips)
    if isinstance(found, str):
        return None, found
    if us is None:
        return None, f"no step time: {latency.reason}"
    power, chips = found
    uj = (power.interval * us).scaled(chips * 1e-3)
    source = f"{citations([power])}; over {work.lasting} steps on {number_of(chips, 'chip')}"
    return EnergyPart(uj, (power,), source), ""


def _bound(work: Workload, hw: HardwareProfile) -> EnergyPart | None:
    constant = find(hw.bounds, "", "synop_all_in")
    if constant is None:
        return None
    return _part(
        constant.interval.scaled(sum(layer.chip_synops for layer in work.layers)), constant
    )


def _part(pj: Interval, *constants: Constant) -> EnergyPart:
    return EnergyPart(pj.scaled(1 / PJ_PER_UJ), constants, citations(constants))


def _with_error(part: EnergyPart, variant: Variant) -> EnergyPart:
    """Return a part of a set of constants with the set's stated error."""
    factor = find(variant.energy, variant.name, "model_factor")
    if factor is None or factor.interval == ONE:
        return part
    used = (*part.constants, factor) if part.constants else ()
    return EnergyPart(part.uj * factor.interval, used, part.source, reason=part.reason)


def _joined(parts: list[EnergyPart]) -> EnergyPart:
    constants = tuple(dict.fromkeys(constant for part in parts for constant in part.constants))
    open_ = next((part.reason for part in parts if part.reason), "")
    source = citations(constants) or parts[0].source
    return EnergyPart(hull(part.uj for part in parts), constants, source, reason=open_)
