"""Mean power at a given rate of inferences, and whether the target keeps up with it.

``power = energy of an inference without static power x rate + static power``, the latter all the
time, idle or not: no profile knows a power of its own for idling. A target keeps up if
``time of a sample in a stream x rate <= 1``: layers are a pipeline, so the next sample may enter
before the one before has left. That is the chip alone: what a host adds is unknown unless given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.hardware.placement import Fit
from sdcl_neuro.network.arguments import need_number

from .cost import Constant, citations, static_power
from .energy import Energy
from .interval import Interval, figure, finite, hull
from .latency import Latency
from .workload import Workload

UW_PER_MW = 1e3
US_PER_S = 1e6
NO_RATE = "no rate was given"


@dataclass(frozen=True)
class Power:
    """Mean power of one target at one rate.

    Attributes:
        rate_hz: inferences a second; an inference is one sample.
        dynamic_uw: of the inferences, in microwatts; None if unknown.
        static_uw: of the chips with nothing to do, all the time; None if unknown.
        busy: part of the time spent on inferences in a stream; None if unknown.
        host: what is not known of the host that feeds the chip; empty if its time was given.
        reasons: ``power``, ``dynamic``, ``static`` or ``feasible`` to why it is unknown.
        chips: that draw static power; None if unknown.
        constants: behind the static power.
    """

    rate_hz: float
    dynamic_uw: Interval | None = None
    static_uw: Interval | None = None
    busy: Interval | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    chips: int | None = None
    constants: tuple[Constant, ...] = ()
    host: str = ""

    @property
    def uw(self) -> Interval | None:
        """Mean power in microwatts; None if a part is unknown or the target cannot keep up."""
        if self.dynamic_uw is None or self.static_uw is None:
            return None
        return self.dynamic_uw + self.static_uw

    @property
    def feasible(self) -> bool | None:
        """Whether the target keeps up; None if that is unknown or lies within the interval."""
        if self.busy is None or self.busy.low <= 1 < self.busy.high:
            return None
        return self.busy.high <= 1

    @property
    def greatest_hz(self) -> Interval | None:
        """The rate at which the target is always busy."""
        if self.busy is None:
            return None
        ends = (self.busy.high, self.busy.low)
        return Interval(*(self.rate_hz / end if end else math.inf for end in ends))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; unknown is null with a reason."""
        static = {
            **self._part("static", self.static_uw),
            "chips": self.chips,
            "source": citations(self.constants),
        }
        return {
            "rate_hz": self.rate_hz,
            **self._part("power", self.uw),
            "tag": "modelled",
            "parts": {"dynamic": self._part("dynamic", self.dynamic_uw), "static": static},
            "feasible": self.feasible,
            "feasible_with_host": self.feasible
            if not self.host or self.feasible is False
            else None,
            **({"host_reason": self.host} if self.host else {}),
            **({"feasible_reason": self.reasons["feasible"]} if "feasible" in self.reasons else {}),
            "busy_low": None if self.busy is None else self.busy.low,
            "busy_high": None if self.busy is None else finite(self.busy.high),
            "greatest_low_hz": None if self.greatest_hz is None else self.greatest_hz.low,
            "greatest_high_hz": None if self.greatest_hz is None else finite(self.greatest_hz.high),
        }

    def _part(self, name: str, uw: Interval | None) -> dict[str, Any]:
        if uw is None:
            return {"low_uw": None, "high_uw": None, "reason": self.reasons[name]}
        ends: dict[str, Any] = {"low_uw": uw.low, "high_uw": finite(uw.high)}
        if ends["high_uw"] is None:
            ends["reason"] = "a source or a model gives a lower bound only"
        return ends

    def __str__(self) -> str:
        if self.uw is None or self.dynamic_uw is None or self.static_uw is None:
            return f"unknown: {self.reasons['power']}"
        return f"{watts(self.uw)} ({watts(self.static_uw)} of it static)"

    def verdict(self) -> str:
        """Return whether the target keeps up, in words."""
        if self.busy is None:
            return f"unknown: {self.reasons['feasible']}"
        busy = f"busy {self.busy.scaled(100)} % of the time"
        word = {True: "yes", False: "no", None: "open"}[self.feasible]
        alone = ", the chip alone" if self.host else ""
        return f"{word}{alone}, {busy}; up to {self.greatest_hz} a second"


def check_rate(rate_hz: float | None) -> None:
    """Refuse a rate that is not a positive number.

    Raises:
        InputError: zero, negative, infinite or not a number.
    """
    if rate_hz is not None and not 0 < need_number(rate_hz, "rate", "give it in Hz") < math.inf:
        raise InputError(
            f"a rate of {rate_hz} inferences a second",
            where="rate",
            hint="give a positive number, in Hz",
        )


def power(
    work: Workload,
    hw: HardwareProfile,
    energy: Energy,
    latency: Latency,
    *,
    rate_hz: float,
    fit: Fit | None = None,
    stream: Energy | None = None,
) -> Power:
    """Mean power of a target at a rate.

    Args:
        work: counts of one sample.
        hw: the target's profile.
        energy, latency: of one inference there.
        rate_hz: inferences a second.
        fit: of the network there.
        stream: energy of an inference in a stream; the mean power lies between the two.
    """
    reasons: dict[str, str] = {}
    sample = latency.stream_us
    busy = None if sample is None else sample.scaled(rate_hz / US_PER_S)
    if busy is None:
        reasons["feasible"] = f"no latency: {latency.reason}"
    elif busy.low <= 1 < busy.high:
        due = figure(US_PER_S / rate_hz)
        reasons["feasible"] = f"an inference takes {sample} us, the next one is due in {due} us"
    each = [cost.dynamic_uj for cost in (energy, stream) if cost is not None]
    known = [uj for uj in each if uj is not None]
    dynamic = hull(known).scaled(rate_hz) if known else None
    if dynamic is None:
        reasons["dynamic"] = f"no energy: {energy.reason}"
    if busy is not None and busy.low > 1:
        dynamic = None
        most = figure(rate_hz / busy.low)
        reasons["dynamic"] = f"the target does at most {most} inferences a second"
    static = static_power(work, hw, placed=None if fit is None else fit.chips)
    if isinstance(static, str):
        reasons["static"] = f"no static power: {static}"
    missing = [reasons[name] for name in ("dynamic", "static") if name in reasons]
    if missing:
        reasons["power"] = "; ".join(missing)
    host = "" if latency.host_known else latency.host_note
    if isinstance(static, str):
        return Power(rate_hz, dynamic, None, busy, reasons, host=host)
    constant, chips = static
    drawn = constant.interval.scaled(chips * UW_PER_MW)
    return Power(rate_hz, dynamic, drawn, busy, reasons, chips, (constant,), host)


def watts(uw: Interval) -> str:
    """Return a power in microwatts, or in milliwatts or watts where that reads better."""
    size = uw.low if math.isinf(uw.high) else uw.high
    for unit, factor in (("W", 1e-6), ("mW", 1e-3)):
        if size * factor >= 1:
            return f"{uw.scaled(factor)} {unit}"
    return f"{uw} uW"
