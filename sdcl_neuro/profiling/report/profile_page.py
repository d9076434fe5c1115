"""The page of a profile."""

from __future__ import annotations

from markupsafe import Markup

from sdcl_neuro.errors import number_of
from sdcl_neuro.network.backend_names import label
from sdcl_neuro.network.record import silence

from ..interval import Interval, figure
from ..latency import Latency
from ..profile_text import Sources
from ..result import CONVENTIONS, COUNTS, LayerFigures, Profile, TargetCost
from .charts import IntervalRow, bar_chart, interval_chart
from .fits import fits_section
from .glossary import glossary_section
from .graph import graph_section
from .metrics import neurobench_section, power_section
from .page import Headline, Section, join, page
from .simulated import simulated_section
from .tables import Cell, Number, Unknown, bullets, heading, note, paragraph, table


def profile_page(profile: Profile) -> str:
    """Return one self-contained page with everything the profile knows."""
    sources = Sources()
    sections = [
        activity_section(profile),
        neurobench_section(profile),
        energy_section(profile, sources),
        latency_section(profile),
        *([] if profile.rate_hz is None else [power_section(profile)]),
        *([] if profile.simulated is None else [simulated_section(profile.simulated)]),
        *([graph_section(profile.graph)] if profile.graph else []),
        fits_section(profile),
        dense_section(profile, sources),
        constants_section(profile, sources),
        glossary_section(),
    ]
    versions = ", ".join(f"{name} {version}" for name, version in profile.versions.items())
    return page(
        "What the network does, and what it costs",
        sections,
        eyebrow="sdcl-neuro profile",
        lead=(
            f"{number_of(profile.samples, 'sample')} of {number_of(profile.steps, 'step')}, input "
            f"{' x '.join(map(str, profile.input_shape))}, run by {label(profile.backend)}."
        ),
        tiles=tiles(profile),
        footer=[
            line
            for line in (
                CONVENTIONS["zero_weights"].capitalize() + ".",
                "" if profile.step is None else f"Step: {profile.step}.",
                *(f"Assumed: {note}." for note in profile.assumed),
                versions,
            )
            if line
        ],
    )


def tiles(profile: Profile) -> list[Headline]:
    """Return headline figures: activity, and the energy on each target that has one."""
    total = profile.totals
    found = [
        Headline(
            "Spikes in, per sample", figure(profile.input_spikes / profile.samples), "", "emulated"
        ),
        Headline(
            "Synaptic operations, per sample",
            figure(total.synops / profile.samples),
            "",
            "emulated",
        ),
        Headline("Activation sparsity", _percent(total.activation_sparsity), "", "emulated"),
    ]
    found += [
        Headline(_energy_title(name, target), _short(bounded), "µJ", "modelled")
        for name, target in profile.targets.items()
        if (bounded := target.energy.bounded_uj) is not None
    ]
    if profile.elapsed_s is not None:
        found.append(
            Headline("The run, on this machine", figure(1e3 * profile.elapsed_s), "ms", "measured")
        )
    return found


def activity_section(profile: Profile) -> Section:
    """Return counts of every layer with their sums, and the share of active neurons."""
    head = ["layer", "kind", *(name.replace("_", " ") for name in COUNTS), "sparsity"]
    counted = table(
        head,
        [_layer(layer) for layer in profile.layers],
        total=_layer(profile.totals),
        tags=dict.fromkeys(
            ("spikes in", "spikes out", "synops", "synops nonzero", "updates", "sparsity"),
            "emulated",
        ),
        caption="Counts over the whole file, all samples together",
    )
    rates = bar_chart(
        {layer.name: 100 * (1 - layer.activation_sparsity) for layer in profile.layers},
        unit="% of neuron steps",
        caption="Neuron steps with a spike, by layer",
        tag="emulated",
    )
    lead = (
        f"What the network did on {number_of(profile.samples, 'sample')}, counted spike by spike. "
        "A layer's rate is the share of its neuron steps with a spike; other samples have other "
        "rates."
    )
    silent = [note(f"Warning: {said}.") for said in silence(profile.layers, profile.readout_names)]
    return Section("Activity", join(counted, *silent, rates), lead)


def energy_section(profile: Profile, sources: Sources) -> Section:
    """Return all targets on one axis, then the parts of each."""
    rows = [
        IntervalRow(
            _bounded_name(name, target), target.energy.bounded_uj, "targets", target.energy.reason
        )
        for name, target in profile.targets.items()
    ]
    rows += [
        IntervalRow("int8 twin, arithmetic", profile.ann.arithmetic.uj, "dense twin, 45 nm"),
        IntervalRow("int8 twin, with memory", profile.ann.with_memory, "dense twin, 45 nm"),
    ]
    blocks = [
        interval_chart(
            rows, unit="µJ", caption="Energy per sample, lowest to highest", tag="modelled"
        )
    ]
    parts = [
        IntervalRow(f"{name}: {part.replace('_', ' ')}", value.uj, name)
        for name, target in profile.targets.items()
        for part, value in target.energy.parts.items()
        if len(target.energy.parts) > 1 and not value.open
    ]
    if parts:
        blocks.append(
            interval_chart(parts, unit="µJ", caption="Where it goes: the parts", tag="modelled")
        )
    for name, target in profile.targets.items():
        blocks += _target(name, target, sources)
    lead = (
        "Counts times published constants, as intervals over all sets of them; the whole is the "
        "interval over each set's own sum. Parts whose energy no one has published leave the "
        "upper end open; the charts show the rest."
    )
    return Section("Energy", join(*blocks), lead)


def latency_section(profile: Profile) -> Section:
    """Return section on latency, from the first input to the last output."""
    rows = []
    for name, target in profile.targets.items():
        latency = target.latency
        unknown = Unknown(latency.reason)
        how = "step stated by the caller" if latency.stated else latency.reason or "modelled step"
        rows.append(
            [
                name, latency.us or unknown, latency.step_us or unknown,
                latency.throughput_hz or unknown, how,
            ]
        )  # fmt: skip
    shown = table(
        ["target", "latency (µs)", "step (µs)", "samples a second", "how"],
        rows,
        tags=dict.fromkeys(("latency (µs)", "step (µs)", "samples a second"), "modelled"),
    )
    notes = bullets(
        f"{name}: {line}."
        for name, target in profile.targets.items()
        for line in (target.latency.assumption, _host(target.latency))
        if line
    )
    lead = (
        "Barrier and slowest core. A sample by itself takes its steps and one more for every "
        "layer; in a stream the next one enters before it has left."
    )
    return Section("Latency and throughput", join(shown, notes), lead)


def _host(latency: Latency) -> str:
    if latency.host_us is not None:
        return f"the host adds {figure(latency.host_us)} µs to every step, as stated"
    return "" if latency.host_known else latency.host_note


def _bounded_name(name: str, target: TargetCost) -> str:
    """Return a target's name, with what its figure leaves out."""
    return f"{name}{target.energy.left_out}"


def _energy_title(name: str, target: TargetCost) -> str:
    return f"Energy on {_bounded_name(name, target)}, per sample"


def dense_section(profile: Profile, sources: Sources) -> Section:
    """Return the same topology as a dense int8 network, which is cheaper, and where the two
    cross.
    """
    ann = profile.ann
    said = bullets(ann.sentence(name, target.energy) for name, target in profile.targets.items())
    rows: list[list[Cell]] = [
        ["multiply-accumulates", ann.macs, ""],
        ["arithmetic (µJ)", ann.arithmetic.uj, sources.cite(ann.arithmetic.constants)],
        ["memory (µJ)", ann.memory.uj, sources.cite(ann.memory.constants)],
    ]
    priced = table(
        ["one dense pass a sample", "value", "source"],
        rows,
        tags={"value": "modelled"},
        sources=["source"],
    )
    crossings = table(
        ["target", "against", "synaptic sparsity from which spiking costs less"],
        [
            [target, against.replace("_", " "), str(crossing)]
            for target, found in ann.crossings.items()
            for against, crossing in found.items()
        ],
        tags={"synaptic sparsity from which spiking costs less": "modelled"},
    )
    now = paragraph(
        f"As it ran, {_percent(ann.sparsity)} of all synapses received nothing in a mean step. "
        "Static power is left out on both sides."
    )
    lead = "The same topology in 8-bit integers, every synapse multiplied once a sample."
    return Section("Compared with a dense network", join(said, priced, now, crossings), lead)


def constants_section(profile: Profile, sources: Sources) -> Section:
    """Return every constant that went in, and every source."""
    rows: list[list[Cell]] = [
        [name, *row] for name, target in profile.targets.items() for row in sources.rows(target)
    ]
    head = ["target", "for", "constant", "set", "value", "kind", "source"]
    listed = Markup("").join(Markup("<li>{}</li>").format(source) for _, source in sources.listed())
    cited = Markup('<ol class="sources">{}</ol>').format(listed)
    lead = (
        "Code: read in the named file. Published: in the named paper or page. Derived: computed "
        "from other figures. Recalled: known from the literature, not read again. Own measurement: "
        "measured by whoever wrote the profile."
    )
    return Section("Constants and sources", join(table(head, rows), cited), lead)


def _layer(layer: LayerFigures) -> list[Cell]:
    sparsity = layer.activation_sparsity
    counts: list[Cell] = [
        Unknown("not counted by this record") if value is None else value
        for value in (getattr(layer, name) for name in COUNTS)
    ]
    return [layer.name, layer.kind, *counts, Number(sparsity, _percent(sparsity))]


def _target(name: str, target: TargetCost, sources: Sources) -> list[Markup]:
    energy = target.energy
    blocks = [heading(f"{name}: {target.hw.title}")]
    if energy.uj is None:
        return [*blocks, paragraph(f"Energy unknown: {energy.reason}.")]
    rows: list[list[Cell]] = [
        [
            part.replace("_", " "),
            Unknown(value.reason) if value.open else value.uj,
            sources.cite(value.constants),
        ]
        for part, value in energy.parts.items()
    ]
    parts = table(
        ["part", "µJ per sample", "source"],
        rows,
        total=["together", energy.uj, ""],
        tags={"µJ per sample": "modelled"},
        sources=["source"],
    )
    lines = [
        f"By {variant.title} alone, not static: {variant.bounded_uj} µJ."
        for variant in energy.variants.values()
        if len(energy.variants) > 1
    ]
    if energy.open_parts:
        lines.insert(
            0,
            f"The upper end is open ({energy.open_reason}); without that {energy.bounded_uj} µJ.",
        )
    if target.stream is not None and target.stream.steps != energy.steps:
        lines.insert(
            0,
            f"By itself, {energy.steps} steps; in a stream, {target.stream.steps} steps a sample: "
            f"{target.stream.bounded_uj} µJ.",
        )
    if energy.bound is not None:
        most = Interval(energy.bound.uj.high, energy.bound.uj.high)
        cite = sources.cite(energy.bound.constants)
        lines.append(f"Bound at full load, everything included: at most {most} µJ {cite}.")
        bounded = energy.bounded_uj
        if bounded is not None and bounded.high > most.high:
            lines.append(
                "That is below the upper end of the interval: the two come from different sources, "
                "and the interval is not cut to fit the bound."
            )
    lines += [
        f"Not modelled: {part.replace('_', ' ')}: {why}."
        for part, why in energy.not_modelled.items()
    ]
    remarks = bullets([*lines, *target.hw.notes])
    return [*blocks, Markup('<div class="grid2">{}{}</div>').format(parts, remarks)]


def _short(interval: Interval) -> str:
    return str(interval).replace(" to ", "\N{EN DASH}").replace("at least ", "≥ ")


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
