"""Sections of a profile's page: NeuroBench's metrics, and the mean power at a rate."""

from __future__ import annotations

from ..neurobench import HARNESS
from ..profile_text import amount
from ..rate import Power
from ..result import Profile
from .page import Section, join
from .tables import Cell, Number, Unknown, bullets, table


def neurobench_section(profile: Profile) -> Section:
    """Return the harness's metrics under its names."""
    rows: list[list[Cell]] = [
        [
            name,
            Unknown(reason) if value is None else Number(value, amount(value, unit)),
            "" if unit == "1" else unit,
        ]
        for name, value, unit, reason in profile.neurobench.rows()
    ]
    shown = table(["metric", "value", "unit"], rows, tags={"value": "emulated"})
    sizes = profile.neurobench.footprint
    remark = (
        f"The footprint is that of the chip's integers, without {sizes.states:,} bytes of one "
        f"sample's states; in float32 the weights and biases take {sizes.float32:,} bytes."
    )
    lead = f"Under the names and by the definitions of NeuroBench's harness {HARNESS}."
    return Section("NeuroBench", join(shown, bullets([remark])), lead)


def power_section(profile: Profile) -> Section:
    """Mean power of every target at the rate that was asked for."""
    rows = [
        _power(name, target.power)
        for name, target in profile.targets.items()
        if target.power is not None
    ]
    head = ["target", "mean power (µW)", "inferences (µW)", "static (µW)", "busy (%)", "keeps up"]
    shown = table(head, rows, tags=dict.fromkeys(head[1:5], "modelled"))
    lead = (
        f"At {profile.rate_hz:,.12g} inferences a second. Static power is drawn all the time; a "
        "target keeps up if an inference is done before the next one starts."
    )
    return Section("Power at a rate", shown, lead)


def _power(name: str, power: Power) -> list[Cell]:
    reasons = power.reasons
    return [
        name,
        power.uw or Unknown(reasons.get("power", "")),
        power.dynamic_uw or Unknown(reasons.get("dynamic", "")),
        power.static_uw or Unknown(reasons.get("static", "")),
        Unknown(reasons["feasible"]) if power.busy is None else power.busy.scaled(100),
        power.verdict(),
    ]
