"""A profile as one long table: every figure a row, with unit, tag and source."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .energy import uj_dict
from .interval import finite
from .rate import Power
from .result import COUNTS, NO_FIT, LayerFigures

if TYPE_CHECKING:
    from .result import Profile, TargetCost
    from .simulated import SideBySide

COLUMNS = (
    "section", "target", "name", "quantity", "low", "high", "unit", "tag", "source", "reason",
)  # fmt: skip
UNITS = {
    "neurons": "neurons",
    "synapses": "synapses",
    "spikes_in": "spikes",
    "spikes_out": "spikes",
    "synops": "synops",
    "synops_nonzero": "synops",
    "updates": "updates",
    "activation_sparsity": "1",
}


def csv_text(profile: Profile) -> str:
    """Return the rows as CSV; text that a spreadsheet would run as a formula is quoted by a
    space.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_harmless(row) for row in csv_rows(profile))
    return stream.getvalue()


def csv_rows(profile: Profile) -> Iterator[dict[str, object]]:
    """Yield one row a figure.

    Sections are layer, total, run, neurobench, energy, latency, power, fit, simulated and ann.
    """
    for layer in profile.layers:
        yield from _counts("layer", layer)
    yield from _counts("total", profile.totals)
    run: dict[str, object] = {
        "section": "run",
        "quantity": "elapsed",
        "unit": "s",
        "tag": "measured",
    }
    if profile.elapsed_s is None:
        yield run | {"reason": "not measured"}
    else:
        yield run | {"low": profile.elapsed_s, "high": profile.elapsed_s}
    for metric, value, unit, reason in profile.neurobench.rows():
        yield {
            "section": "neurobench", "quantity": metric, "low": _blank(value),
            "high": _blank(value), "unit": unit, "tag": "emulated", "reason": reason,
        }  # fmt: skip
    for name, target in profile.targets.items():
        yield from _target(name, target)
    if profile.simulated is not None:
        yield from _simulated(profile.simulated)
    ann = profile.ann
    for part in ("arithmetic", "memory"):
        entry = getattr(ann, part).to_dict()
        yield _energy_row("ann", "dense45nm", part, entry)
    for name, found in ann.crossings.items():
        for against, crossing in found.items():
            yield {
                "section": "ann",
                "target": name,
                "name": f"crossing, {against}",
                "quantity": "sparsity",
                "low": _blank(crossing.low),
                "high": _blank(crossing.high),
                "unit": "1",
                "tag": "modelled",
                "reason": crossing.reason,
            }


def _counts(section: str, layer: LayerFigures) -> Iterator[dict[str, object]]:
    for quantity in (*COUNTS, "activation_sparsity"):
        value = getattr(layer, quantity)
        yield {
            "section": section,
            "name": layer.name,
            "quantity": quantity,
            "low": _blank(value),
            "high": _blank(value),
            "unit": UNITS[quantity],
            "tag": "emulated",
            "reason": "not counted by this record" if value is None else "",
        }


def _target(name: str, target: TargetCost) -> Iterator[dict[str, object]]:
    energy, latency = target.energy, target.latency
    for part, value in energy.parts.items():
        yield _energy_row("energy", name, part, value.to_dict())
    whole = uj_dict(energy.uj, reason=energy.reason or energy.open_reason)
    yield _energy_row("energy", name, "total", whole)
    if energy.open_parts:
        yield _energy_row("energy", name, "bounded", uj_dict(energy.bounded_uj))
    if target.stream is not None and energy.known:
        yield _energy_row("energy", name, "stream", uj_dict(target.stream.bounded_uj))
    for part, reason in energy.not_modelled.items():
        yield _energy_row("energy", name, part, {"reason": reason})
    entry = latency.to_dict()
    yield {
        "section": "latency",
        "target": name,
        "quantity": "latency",
        "low": _blank(entry["low_us"]),
        "high": _blank(entry["high_us"]),
        "unit": "us",
        "tag": "modelled",
        "source": entry.get("source", ""),
        "reason": entry.get("reason", ""),
    }
    if latency.throughput_hz is not None:
        yield {
            "section": "latency", "target": name, "quantity": "throughput",
            "low": latency.throughput_hz.low, "high": _blank(finite(latency.throughput_hz.high)),
            "unit": "Hz", "tag": "modelled", "source": entry.get("source", ""),
        }  # fmt: skip
    if not latency.host_known:
        yield {
            "section": "latency", "target": name, "quantity": "host", "unit": "us",
            "tag": "modelled", "reason": latency.host_note or "a dense reference has no host",
        }  # fmt: skip
    if target.power is not None:
        yield from _power(name, target.power)
    yield from _fit(name, target)


def _power(name: str, power: Power) -> Iterator[dict[str, object]]:
    """Mean power and its parts, and the share of the time that is busy."""
    entry = power.to_dict()
    row: dict[str, object] = {"section": "power", "target": name, "tag": "modelled"}
    for part, found in (*entry["parts"].items(), ("total", entry)):
        yield row | {
            "name": part, "quantity": "power", "low": _blank(found["low_uw"]),
            "high": _blank(found["high_uw"]), "unit": "uW", "source": found.get("source", ""),
            "reason": found.get("reason", ""),
        }  # fmt: skip
    yield row | {
        "quantity": "busy", "low": _blank(entry["busy_low"]), "high": _blank(entry["busy_high"]),
        "unit": "1", "reason": entry.get("feasible_reason", ""),
    }  # fmt: skip


def _fit(name: str, target: TargetCost) -> Iterator[dict[str, object]]:
    """Yield whether it fits (1 or 0), and on how many cores and chips."""
    fit = target.fit
    row: dict[str, object] = {"section": "fit", "target": name, "unit": "1", "tag": "modelled"}
    verdict = None if fit is None or fit.fits is None else int(fit.fits)
    reason = NO_FIT if fit is None else fit.reason
    yield row | {
        "quantity": "fits", "low": _blank(verdict), "high": _blank(verdict), "reason": reason
    }  # fmt: skip
    for quantity in ("cores", "chips"):
        count = None if fit is None else getattr(fit, quantity)
        if count is not None:
            yield row | {"quantity": quantity, "low": count, "high": count, "unit": quantity}


def _simulated(side: SideBySide) -> Iterator[dict[str, object]]:
    """Yield a simulator's figures of the mean sample, each with the model's ends in a row of its
    own.
    """
    name = side.simulated.simulator
    for row in (*side.rows(), side.whole()):
        for quantity, unit, value, modelled in (
            ("time", "us", row.time_us, row.modelled_us),
            ("energy", "uJ", row.energy_uj, row.modelled_uj),
            ("messages", "messages", row.messages, row.modelled_messages),
        ):
            step = row.name if row.name == "sample" else f"step {row.name}"
            found: dict[str, object] = {
                "section": "simulated", "target": side.simulated.target, "quantity": quantity,
                "unit": unit, "tag": "modelled",
            }  # fmt: skip
            source = f"{name} {side.simulated.version}"
            yield found | {"name": f"{step}, {name}", "low": value, "high": value, "source": source}
            ends = {"low": modelled.low, "high": _blank(finite(modelled.high))}
            yield found | {"name": f"{step}, model", **ends}


def _energy_row(
    section: str, target: str, name: str, entry: dict[str, object]
) -> dict[str, object]:
    return {
        "section": section,
        "target": target,
        "name": name,
        "quantity": "energy",
        "low": _blank(entry.get("low_uj")),
        "high": _blank(entry.get("high_uj")),
        "unit": "uJ",
        "tag": "modelled",
        "source": entry.get("source", ""),
        "reason": entry.get("reason", ""),
    }


def _blank(value: object) -> object:
    return "" if value is None else value


def _harmless(row: dict[str, object]) -> dict[str, object]:
    return {
        key: f" {value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value
        for key, value in row.items()
    }
