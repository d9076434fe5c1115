"""Latency of one sample on a chip whose steps end in a barrier.

``step = barrier + slowest core``; a core's time is its neuron updates, synaptic operations and
spike messages, one after another. Spikes are even over a layer's neurons and over the steps: real
steps are uneven. Without a placement a layer is spread over cores by neurons alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdcl_neuro.hardware import HardwareProfile, Variant
from sdcl_neuro.hardware.placement import Fit

from .cost import Constant, citations, destinations, find, path, synop, why_not
from .interval import ZERO, Interval, finite, hull
from .placed import CoreLoad, core_loads
from .workload import Workload

ASSUMPTION = (
    "neurons over cores by division, spikes even over cores and steps, no placement; "
    "one step more for every layer"
)
PLACED = (
    "the slowest core of the placement, spikes even over a layer's neurons and over the steps; "
    "one step more for every layer"
)


@dataclass(frozen=True)
class Latency:
    """From the first input to the last output of one sample.

    Attributes:
        us: microseconds, None if unknown.
        step_us: of one step.
        steps: steps run, the pipeline's included.
        variants: set of constants to its own `us`.
        reason: why it is unknown; empty if it is known.
        stated: whether the caller gave the step time.
        placed: whether a placement said what each core does.
    """

    us: Interval | None = None
    step_us: Interval | None = None
    steps: int = 0
    constants: tuple[Constant, ...] = ()
    variants: Mapping[str, Interval] = field(default_factory=dict)
    reason: str = ""
    stated: bool = False
    placed: bool = False

    @property
    def assumption(self) -> str:
        """What the model takes for granted; nothing where the caller gave the step time."""
        if self.stated:
            return ""
        return PLACED if self.placed else ASSUMPTION

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; unknown is null with a reason."""
        if self.us is None or self.step_us is None:
            return {"low_us": None, "high_us": None, "tag": "modelled", "reason": self.reason}
        return {
            "low_us": self.us.low,
            "high_us": finite(self.us.high),
            "tag": "modelled",
            "step_low_us": self.step_us.low,
            "step_high_us": finite(self.step_us.high),
            "steps": self.steps,
            "source": "stated by the caller" if self.stated else citations(self.constants),
            "assumption": self.assumption,
            "variants": {
                name: {"low_us": us.low, "high_us": finite(us.high)}
                for name, us in self.variants.items()
            },
            "constants": [constant.to_dict() for constant in self.constants],
        }


def latency(
    work: Workload, hw: HardwareProfile, *, step_us: float | None = None, fit: Fit | None = None
) -> Latency:
    """Latency of one sample, over every set of constants that has times.

    Args:
        work: counts of one sample.
        hw: the target's profile.
        step_us: the step time, if the caller knows it; it goes before the model.
        fit: of the network there; with a placement the slowest core is its slowest.
    """
    if step_us is not None:
        step = Interval(step_us, step_us)
        us = step.scaled(work.run_steps)
        return Latency(us, step, work.run_steps, stated=True)
    steps: dict[str, Interval] = {}
    used: list[Constant] = []
    reason = "the profile has no times"
    for name, variant in hw.variants.items():
        found = _step(variant, work, hw, fit)
        if isinstance(found, str):
            reason = found
            continue
        steps[name] = found[0].scaled(1e-3)
        used += found[1]
    if not steps:
        return Latency(reason=reason)
    step = hull(steps.values())
    return Latency(
        us=step.scaled(work.run_steps),
        step_us=step,
        steps=work.run_steps,
        constants=tuple(dict.fromkeys(used)),
        variants={name: s.scaled(work.run_steps) for name, s in steps.items()},
        placed=fit is not None and fit.placement is not None,
    )


def _step(
    variant: Variant, work: Workload, hw: HardwareProfile, fit: Fit | None
) -> tuple[Interval, list[Constant]] | str:
    """One step in ns with the constants used, or why there is none."""
    fixed = find(variant.time, variant.name, "step")
    if fixed is not None:
        return fixed.interval, [fixed]
    unknown = variant.time.get("synop")
    if unknown is not None and unknown.unknown:
        return unknown.unknown
    chips = work.chips_needed(hw) if fit is None or fit.chips is None else fit.chips
    if chips is None:
        return "the profile does not say how many neurons and cores a chip has"
    wide = chips > 1 and find(variant.time, variant.name, "barrier_many_chips")
    barrier = find(variant.time, variant.name, "barrier")
    if barrier is None:
        return why_not(variant.time, "synop", "barrier")
    wait, used = barrier.interval, [barrier]
    if wide:
        wait, used = hull([wait, wide.interval]), [barrier, wide]
    slowest = ZERO
    for index in range(len(work.layers)):
        core = _core(index, variant, work, _loads(index, work, hw, fit))
        if isinstance(core, str):
            return core
        slowest = Interval(max(slowest.low, core[0].low), max(slowest.high, core[0].high))
        used += core[1]
    way, hops = path(variant.time, variant.name, hw)
    return wait + slowest + way, [*used, *hops]


def _loads(index: int, work: Workload, hw: HardwareProfile, fit: Fit | None) -> list[CoreLoad]:
    """What the cores of a layer do in a mean step; without a placement all do the same."""
    if fit is not None and fit.placement is not None:
        return core_loads(work, fit.placement, index)
    layer = work.layers[index]
    share = 1 / ((layer.cores(hw) or 1) * work.steps)
    last = index + 1 == len(work.layers)
    sent_to = 1 if last else destinations(work.layers[index + 1], hw)
    return [
        CoreLoad(
            layer.updates * share,
            layer.synops * share,
            layer.spikes_out * share,
            Interval(1, destinations(layer, hw)).scaled(layer.spikes_in * share),
            Interval(1, sent_to).scaled(layer.spikes_out * share),
        )
    ]


def _core(
    index: int, variant: Variant, work: Workload, loads: Sequence[CoreLoad]
) -> tuple[Interval, list[Constant]] | str:
    """Time in ns that the slowest of a layer's cores works in a mean step."""
    table, name = variant.time, variant.name
    operation = synop(table, name, work.layers[index])
    active = find(table, name, "neuron_update_active", "neuron_update")
    inactive = find(table, name, "neuron_update_inactive", "neuron_update")
    if operation is None or active is None or inactive is None:
        return why_not(table, "synop", "neuron_update", "neuron_update_active")
    update = Interval(inactive.interval.low, active.interval.high)
    per_message = {key: find(table, name, key) for key in ("axon_in", "axon_out", "spike_out")}
    slowest = ZERO
    for load in loads:
        time = update.scaled(load.updates) + operation.interval.scaled(load.synops)
        counts = (load.messages_in, load.messages_out, Interval(load.spikes, load.spikes))
        for constant, count in zip(per_message.values(), counts, strict=True):
            if constant is not None:
                time += constant.interval * count
        slowest = Interval(max(slowest.low, time.low), max(slowest.high, time.high))
    used = [operation, inactive, active]
    return slowest, [*used, *(constant for constant in per_message.values() if constant)]
