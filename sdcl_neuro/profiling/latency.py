"""Latency and throughput of a chip whose steps end in a barrier.

``step = barrier + slowest core`` (`step_time`). One sample takes its T steps and one more for
every layer; in a stream a sample costs T steps once the pipeline of layers is full. The time of a
host that feeds the chip is unknown unless it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sdcl_neuro.hardware import HardwareProfile, Quantity
from sdcl_neuro.hardware.placement import Fit

from .cost import Constant, citations, find
from .interval import Interval, finite, hull
from .placed import mean_loads
from .step_time import StepModel, step_model
from .steps import LayerLoads, in_chip_steps
from .workload import Workload

US_PER_S = 1e6
UNEVEN = 1.3
"""How many times the mean load the slowest core may have where only means are known.

In the one open run on Loihi 2 (PilotNet) it had 1.14 times the mean of the full cores.
"""
NO_PLACEMENT = "neurons over cores by division, no placement"
PLACED = "the slowest core of the placement"
EVEN = f"spikes even over cores and steps, at the high end {UNEVEN} times that"
COUNTED = "spikes counted core by core and step by step"
IN_TURN = (
    "; where messages have a price, at the high end a sender waits for each of its receivers in "
    "turn, as in a full mesh"
)


@dataclass(frozen=True)
class Latency:
    """Latency of one sample, first input to last output, and time per sample in a stream.

    Attributes:
        us: microseconds of one sample by itself, None if unknown.
        step_us: its mean step.
        steps: its steps, the pipeline's included.
        stream_step_us: mean step of a stream of such samples.
        stream_steps: steps that a sample costs there.
        variants: set of constants to its own `us`.
        reason: why it is unknown; empty if it is known.
        stated: whether the caller gave the step time.
        host_us: what the host adds to every step, as the caller says; None if unknown.
        host_note: what is known of the host's time.
        assumption: what the model takes for granted.
    """

    us: Interval | None = None
    step_us: Interval | None = None
    steps: int = 0
    constants: tuple[Constant, ...] = ()
    variants: Mapping[str, Interval] = field(default_factory=dict)
    reason: str = ""
    stated: bool = False
    stream_step_us: Interval | None = None
    stream_steps: int = 0
    host_us: float | None = None
    host_note: str = ""
    assumption: str = ""

    @property
    def stream_us(self) -> Interval | None:
        """Return what a sample costs in a stream; None if unknown."""
        return (
            None if self.stream_step_us is None else self.stream_step_us.scaled(self.stream_steps)
        )

    @property
    def throughput_hz(self) -> Interval | None:
        """Samples a second in a stream; None if unknown."""
        if self.stream_us is None:
            return None
        ends = (self.stream_us.high, self.stream_us.low)
        return Interval(*(US_PER_S / end if end else np.inf for end in ends))

    @property
    def host_known(self) -> bool:
        """Return whether the host's time is in the figures."""
        return self.stated or self.host_us is not None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; unknown is null with a reason."""
        host = {
            "us": self.host_us,
            **({} if self.host_known else {"reason": self.host_note}),
        }
        if self.us is None or self.step_us is None:
            return {
                "low_us": None, "high_us": None, "tag": "modelled", "reason": self.reason,
                "host": host,
            }  # fmt: skip
        return {
            "low_us": self.us.low,
            "high_us": finite(self.us.high),
            "tag": "modelled",
            "step_low_us": self.step_us.low,
            "step_high_us": finite(self.step_us.high),
            "steps": self.steps,
            "throughput": self._throughput(),
            "host": host,
            "source": "stated by the caller" if self.stated else citations(self.constants),
            "assumption": self.assumption,
            "variants": {
                name: {"low_us": us.low, "high_us": finite(us.high)}
                for name, us in self.variants.items()
            },
            "constants": [constant.to_dict() for constant in self.constants],
        }

    def _throughput(self) -> dict[str, Any]:
        rate, step = self.throughput_hz, self.stream_step_us
        if rate is None or step is None:
            return {"low_hz": None, "high_hz": None, "reason": self.reason}
        return {
            "low_hz": rate.low,
            "high_hz": finite(rate.high),
            "steps_per_sample": self.stream_steps,
            "step_low_us": step.low,
            "step_high_us": finite(step.high),
        }


def latency(
    work: Workload,
    hw: HardwareProfile,
    *,
    step_us: float | None = None,
    host_us: float | None = None,
    fit: Fit | None = None,
    loads: Sequence[LayerLoads] | None = None,
) -> Latency:
    """Return latency of one sample, over every set of constants that has times.

    Args:
        work: counts of one sample.
        hw: the target's profile.
        step_us: the step time, if the caller knows it; it goes before the model and has the
            host's time in it.
        host_us: what the host adds to every step, if the caller knows it.
        fit: of the network there; with a placement the slowest core is its slowest.
        loads: what every core did in every step (`steps.layer_loads`); None spreads the counts
            evenly.
    """
    if step_us is not None:
        step = Interval(step_us, step_us)
        return _made(work, {"stated": (step, step)}, stated=True)
    host = 0.0 if host_us is None else host_us
    kinds = [layer.kind for layer in work.layers]
    found: dict[str, tuple[Interval, Interval]] = {}
    used: list[Constant] = []
    reasons: list[str] = []
    for name, variant in hw.variants.items():
        fixed = find(variant.time, name, "step")
        if fixed is not None:
            step = fixed.interval.scaled(1e-3) + Interval(host, host)
            found[name] = (step, step)
            used.append(fixed)
            continue
        chips = work.chips_needed(hw) if fit is None or fit.chips is None else fit.chips
        model = step_model(variant, hw, kinds, chips=chips or 1)
        if isinstance(model, str):
            reasons.append(model)
            continue
        if chips is None:
            reasons.append("the profile does not say how many neurons and cores a chip has")
            continue
        single, stream = _steps(model, work, hw, fit, loads)
        found[name] = tuple(  # type: ignore[assignment]
            step.scaled(1e-3) + Interval(host, host) for step in (single, stream)
        )
        used += model.constants
    if not found:
        telling = [reason for reason in reasons if reason != "no times"]
        reason = telling[0] if telling else "the profile has no times"
        return Latency(reason=reason, host_note=_host_note(hw))
    where = PLACED if fit is not None and fit.placement is not None else NO_PLACEMENT
    how = COUNTED + IN_TURN if loads is not None else EVEN
    return _made(
        work,
        found,
        constants=tuple(dict.fromkeys(used)),
        host_us=host_us,
        host_note=_host_note(hw),
        assumption=f"{where}, {how}; one step more for every layer",
    )


def times_of(hw: HardwareProfile) -> bool:
    """Return whether any set of constants prices the work of a core."""
    return any("synop" in name for variant in hw.variants.values() for name in variant.time)


def _made(work: Workload, steps: Mapping[str, tuple[Interval, Interval]], **fields: Any) -> Latency:
    """Return a latency from each set's step of one sample and step of a stream, in microseconds."""
    single = hull(step for step, _ in steps.values())
    variants = (
        {}
        if fields.get("stated")
        else {name: step.scaled(work.run_steps) for name, (step, _) in steps.items()}
    )
    return Latency(
        us=single.scaled(work.run_steps),
        step_us=single,
        steps=work.run_steps,
        stream_step_us=hull(step for _, step in steps.values()),
        stream_steps=work.stream_steps,
        variants=variants,
        **fields,
    )


def _steps(
    model: StepModel,
    work: Workload,
    hw: HardwareProfile,
    fit: Fit | None,
    loads: Sequence[LayerLoads] | None,
) -> tuple[Interval, Interval]:
    """Mean step in ns of one sample by itself, and of a stream."""
    kinds = [layer.kind for layer in work.layers]
    if loads is not None:
        drains = work.stream_steps == work.run_steps
        single = _mean(model.step(kinds, in_chip_steps(loads, stream=False)))
        stream = single if drains else _mean(model.step(kinds, in_chip_steps(loads, stream=True)))
        return single, stream
    even = mean_loads(work, hw, None if fit is None else fit.placement)
    # By itself a sample spreads the same work over the steps of filling and draining, too.
    thin = model.step(kinds, _thinned(even, work.steps / work.run_steps))[0]
    low, high = model.step(kinds, even, uneven=UNEVEN)
    return (
        Interval(float(thin.mean()), float(high.mean())),
        Interval(float(low.mean()), float(high.mean())),
    )


def _thinned(loads: Sequence[LayerLoads], share: float) -> Iterator[LayerLoads]:
    for load in loads:
        counts = {
            name: value * share
            for name, value in vars(load).items()
            if name != "neurons" and value is not None
        }
        yield LayerLoads(neurons=load.neurons, **counts)


def _mean(times: tuple[np.ndarray, np.ndarray]) -> Interval:
    return Interval(*(float(time.mean()) for time in times))


def _host_note(hw: HardwareProfile) -> str:
    """Say why the host's time is not in the figures."""
    measured: Quantity | None = hw.chip.get("host_step")
    known = ""
    if measured is not None and not measured.unknown:
        known = f"; {measured} a step were measured where it feeds every step ({measured.source})"
    return (
        f"the time of a host that feeds the chip is unknown and not included{known}; give "
        "--host-us for what it adds to a step (0 if there is none), or --step-us for the whole"
    )
