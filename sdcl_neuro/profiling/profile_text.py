"""A profile in plain text for a terminal or a log; sources are numbered and listed at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sdcl_neuro.errors import number_of
from sdcl_neuro.hardware.placement.fit_text import verdict
from sdcl_neuro.network.backend_names import label
from sdcl_neuro.network.record import silence

from . import simulated_text
from .cost import Constant
from .interval import figure
from .neurobench import HARNESS
from .rate import Power
from .result import NO_FIT, LayerFigures
from .simulated import SideBySide

if TYPE_CHECKING:
    from .result import Profile, TargetCost

WIDTH = 100


class Sources:
    """Numbers citations in order of appearance."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def cite(self, constants: Iterable[Constant]) -> str:
        """Return the numbers of the constants' sources, such as ``[1, 2]``."""
        seen = {
            self._numbers.setdefault(constant.quantity.source, len(self._numbers) + 1): None
            for constant in constants
        }
        return f"[{', '.join(map(str, seen))}]" if seen else ""

    def rows(self, target: TargetCost) -> list[tuple[str, ...]]:
        """Return a target's constants: for what, name, set, value, kind and number of the
        source.
        """
        return [
            (
                use,
                constant.name,
                constant.variant,
                str(constant.quantity),
                constant.quantity.kind,
                self.cite([constant]),
            )
            for use, used in (
                ("energy", target.energy.constants),
                ("time", target.latency.constants),
            )
            for constant in used
        ]

    def listed(self) -> list[tuple[int, str]]:
        """Return number and citation, in order."""
        return [(number, source) for source, number in self._numbers.items()]


def profile_text(profile: Profile) -> str:
    """Return layers, then each target with its parts and constants, then the dense network."""
    sources = Sources()
    silent = silence(profile.layers, profile.readout_names)
    lines = [
        f"Profile: {number_of(profile.samples, 'sample')} of {number_of(profile.steps, 'step')}, "
        f"input {list(profile.input_shape)}, {profile.input_spikes:,} input spikes, "
        f"backend {label(profile.backend)}",
        "",
        "Activity over the whole file [emulated]",
        *_layers(profile),
        "  synops_nonzero: those at weights that are not zero, which is what a chip counts",
        *([] if profile.step is None else _wrapped(f"step: {profile.step}")),
        *(line for said in silent for line in _wrapped(f"warning: {said}")),
        *(line for note in profile.assumed for line in _wrapped(f"assumed: {note}")),
        "",
        *_neurobench(profile),
    ]
    for name, target in profile.targets.items():
        lines += ["", f"{name} ({target.hw.title}), per sample [modelled]"]
        lines += _target(target, sources)
    if profile.simulated is not None:
        lines += ["", *_simulated(profile.simulated)]
    lines += ["", *_ann(profile, sources), "", _elapsed(profile), "", "Sources"]
    for number, source in sources.listed():
        lines += _wrapped(f"[{number}] {source}")
    return "\n".join(lines)


def columns(rows: Sequence[Sequence[str]], *, right: Sequence[bool]) -> list[str]:
    """Return rows of text aligned in columns, two spaces apart."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]


def amount(value: float, unit: str) -> str:
    """Return a metric's value: a share with its digits, a whole number in full."""
    if unit == "1":
        return f"{value:.4f}"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"


def _layers(profile: Profile) -> list[str]:
    head = (
        "layer", "kind", "neurons", "synapses", "in", "out", "synops", "synops_nonzero",
        "updates",
        "sparsity",
    )  # fmt: skip
    rows = [head, *(_layer(layer) for layer in (*profile.layers, profile.totals))]
    return columns(rows, right=[False, False, *[True] * 8])


def _neurobench(profile: Profile) -> Iterator[str]:
    yield f"NeuroBench's metrics, as its harness {HARNESS} defines them [emulated]"
    rows = [
        (name, "unknown" if value is None else amount(value, unit), "" if unit == "1" else unit)
        for name, value, unit, _ in profile.neurobench.rows()
    ]
    yield from columns(rows, right=[False, True, False])
    for name, reason in profile.neurobench.reasons.items():
        yield from _wrapped(f"{name} unknown: {reason}")


def _layer(layer: LayerFigures) -> tuple[str, ...]:
    counts = (
        layer.neurons, layer.synapses, layer.spikes_in, layer.spikes_out, layer.synops,
        layer.synops_nonzero, layer.updates,
    )  # fmt: skip
    sparsity = f"{100 * layer.activation_sparsity:.2f} %"
    shown = ("unknown" if count is None else f"{count:,}" for count in counts)
    return (layer.name, layer.kind, *shown, sparsity)


def _target(target: TargetCost, sources: Sources) -> Iterator[str]:
    yield from _energy(target, sources)
    latency = target.latency
    if latency.us is None or latency.step_us is None:
        yield from _wrapped(f"latency: unknown: {latency.reason}")
    else:
        made = "stated step" if latency.stated else "modelled step"
        yield from _wrapped(
            f"latency: {latency.us} us ({latency.steps} steps, {made} {latency.step_us} us)"
        )
        yield from _wrapped(
            f"throughput: {latency.throughput_hz} samples a second in a stream "
            f"({latency.stream_steps} steps a sample of {latency.stream_step_us} us)"
        )
        if latency.host_us is not None:
            yield from _wrapped(f"host: {figure(latency.host_us)} us in every step, as stated")
        elif not latency.host_known:
            yield from _wrapped(f"host: {latency.host_note}")
    if target.power is not None:
        yield from _power(target.power)
    yield from _fit(target)
    for note in target.hw.notes:
        yield from _wrapped(f"note: {note}")
    rows = sources.rows(target)
    if rows:
        yield "  constants"
        yield from (f"  {row}" for row in columns(rows, right=[False] * 6))


def _power(power: Power) -> Iterator[str]:
    rate = f"at {power.rate_hz:,.12g} inferences a second"
    yield from _wrapped(f"mean power {rate}: {power}")
    yield from _wrapped(f"keeps up {rate}: {power.verdict()}")


def _fit(target: TargetCost) -> Iterator[str]:
    if target.fit is None:
        yield from _wrapped(f"fit: unknown: {NO_FIT}")
        return
    yield from _wrapped(f"fit: {verdict(target.fit)}")
    for entry in target.fit.broken:
        yield from _wrapped(f"  exceeded: {entry}")
    if target.fit.fits is None:
        yield from _wrapped(f"  {target.fit.reason}")


def _energy(target: TargetCost, sources: Sources) -> Iterator[str]:
    energy = target.energy
    if energy.uj is None:
        yield from _wrapped(f"energy: unknown: {energy.reason}")
        return
    rows = [
        (
            name.replace("_", " "),
            f"unknown: {part.reason}" if part.open else f"{part.uj} µJ",
            sources.cite(part.constants),
        )
        for name, part in energy.parts.items()
    ]
    rows.append((f"energy of a sample by itself, {energy.steps} steps", f"{energy.uj} µJ", ""))
    if energy.open_parts:
        without = ", ".join(name.replace("_", " ") for name in energy.open_parts)
        rows.append((f"  without {without}", f"{energy.bounded_uj} µJ", ""))
    if "static" in energy.parts:
        rows.append(("  of which not static", f"{energy.bounded_dynamic_uj} µJ", ""))
    if target.stream is not None and target.stream.steps != energy.steps:
        name = f"energy in a stream, {target.stream.steps} steps a sample{energy.left_out}"
        rows.append((name, f"{target.stream.bounded_uj} µJ", ""))
    if len(energy.variants) > 1:
        rows += [
            (f"  by {name} alone, not static", f"{variant.bounded_uj} µJ", "")
            for name, variant in energy.variants.items()
        ]
    if energy.bound is not None:
        most = f"at most {figure(energy.bound.uj.high)} µJ"
        rows.append(("bound at full load, all in", most, sources.cite(energy.bound.constants)))
    yield from columns(rows, right=[False, False, False])
    for name, reason in energy.not_modelled.items():
        yield from _wrapped(f"not modelled: {name.replace('_', ' ')}: {reason}")


def _simulated(side: SideBySide) -> Iterator[str]:
    yield f"{simulated_text.title(side)} [modelled]"
    rows = [simulated_text.head(side), *simulated_text.rows(side)]
    yield from columns(rows, right=[False, *[True] * 7])
    for line in simulated_text.verdicts(side):
        yield from _wrapped(line)


def _ann(profile: Profile, sources: Sources) -> Iterator[str]:
    ann = profile.ann
    yield "The same topology in int8, one dense pass a sample [modelled]"
    rows = [("multiply-accumulates", f"{ann.macs:,}", "")]
    rows += [
        (name, f"{part.uj} µJ", sources.cite(part.constants))
        for name, part in (("arithmetic", ann.arithmetic), ("memory", ann.memory))
    ]
    rows.append(("synaptic sparsity of the spiking network", f"{100 * ann.sparsity:.3f} %", ""))
    yield from columns(rows, right=[False, False, False])
    for name in profile.targets:
        yield from _wrapped(ann.sentence(name, profile.targets[name].energy))
    yield "  sparsity from which the spiking network costs less, static power apart"
    for name, found in ann.crossings.items():
        for against, crossing in found.items():
            yield from _wrapped(f"  {name}, {against.replace('_', ' ')}: {crossing}")


def _elapsed(profile: Profile) -> str:
    if profile.elapsed_s is None:
        return "The run itself: not measured"
    return f"The run itself took {figure(profile.elapsed_s)} s on this machine [measured]"


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(
        line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
    )
