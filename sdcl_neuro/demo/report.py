"""The demonstration's report: one HTML file, everything inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sdcl_neuro.conversion.parity.certificate import Certificate, PairParity
from sdcl_neuro.files import atomic_path
from sdcl_neuro.hybrid.sdcl_checkpoint import load_sdcl
from sdcl_neuro.network.backend_names import labels
from sdcl_neuro.profiling.profile_text import Sources
from sdcl_neuro.profiling.report import (
    CertificateRow,
    Headline,
    Section,
    activity_section,
    certificate_table,
    constants_section,
    dense_section,
    energy_section,
    fits_section,
    glossary_section,
    heading,
    join,
    latency_section,
    note,
    page,
    paragraph,
    raster,
    table,
    verdict,
)
from sdcl_neuro.profiling.report.glossary import REID, WORDS
from sdcl_neuro.profiling.report.tables import Cell
from sdcl_neuro.reid.figures import (
    depth_figure,
    drawn_section,
    feature_maps,
    maps_figure,
    spikes_by_depth,
)
from sdcl_neuro.reid.pipeline.glimpse import Glimpse
from sdcl_neuro.reid.pipeline.sections import ledger_section, pictures_section, ranked_section
from sdcl_neuro.snn.event_branch import EventBranch

from .demonstration import DemoResult
from .parity import KEPT
from .summary import DEMONSTRATION, headline


def write_report(story: DemoResult) -> Path:
    """Write ``report.html`` into the demonstration's folder; returns its path."""
    path = story.settings.out / "report.html"
    text = report_page(story)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def report_page(story: DemoResult) -> str:
    """Return the whole page as HTML text."""
    sources = Sources()
    profile = story.session.profile
    sections = [
        pictures_section(
            _one_of_each_person(story),
            lead="One tracklet of each person as they come in: a frame, and the events of the "
            "interval before it, simulated from the video.",
        ),
        _training_section(story),
        _conversion_section(story),
        _parity_section(story),
        _raster_section(story),
        *_figure_sections(story),
        activity_section(profile),
        ledger_section(story.session),
        energy_section(profile, sources),
        latency_section(profile),
        fits_section(profile),
        dense_section(profile, sources),
        ranked_section(
            story.session,
            story.ranked,
            story.queries,
            story.gallery,
            title="Ranked lists",
            lead="Queries are persons who come in, the gallery is persons who leave. Green is "
            "right, red is wrong; the number is the cosine of the two embeddings.",
            accuracy=True,
        ),
        constants_section(profile, sources),
        glossary_section((WORDS, REID)),
    ]
    return page(
        "From a spiking network in snnTorch to the chip, and back into one embedding",
        sections,
        eyebrow="sdcl-neuro demo",
        lead=DEMONSTRATION,
        tiles=[Headline(*entry) for entry in headline(story)],
        footer=[
            "Video: see ATTRIBUTION.md next to the packaged clip (Creative Commons Attribution "
            "4.0); cut and re-encoded.",
            ", ".join(f"{name} {value}" for name, value in _versions(story).items()),
        ],
    )


def _one_of_each_person(story: DemoResult) -> list[Glimpse]:
    arriving = [story.session.tracklets[n] for n in story.queries]
    first = {tracklet.person: tracklet for tracklet in reversed(arriving)}
    return [first[person] for person in sorted(first)]


def _training_section(story: DemoResult) -> Section:
    rows: list[list[Cell]] = []
    for mode, name in (("float", "float"), ("int", "chip integers")):
        steps = [step for step in story.log if step["mode"] == mode]
        if not steps:
            continue
        first, last = steps[0], steps[-1]
        rates = ", ".join(f"{100 * rate:.1f}" for rate in last["rates"])
        rows.append([name, len(steps), first["loss"], last["loss"], 100 * last["accuracy"], rates])
    head = [
        "forward pass",
        "steps",
        "first loss",
        "last loss",
        "last batch right (%)",
        "firing (%)",
    ]
    frames = (
        "The frame branch (OSNet x0.25) learnt from the clip alone, from random weights."
        if story.settings.frame_weights is None
        else f"The frame branch has the weights of {story.settings.frame_weights.name}, at rest."
    )
    rates = (
        "Firing rates, one a layer, are those of the last batch, augmented tracklets of persons "
        "who stand; the section Activity counts the persons who come in and leave, who move more."
    )
    shown = table(head, rows, tags=dict.fromkeys(head[2:], "measured"))
    body = join(shown, paragraph(f"{frames} {rates}"))
    lead = (
        "In snnTorch, on tracklets of persons who stand: first in float, then with the chip's own "
        "integers in the forward pass, so that nothing is rounded afterwards."
    )
    return Section("Training", body, lead)


def _conversion_section(story: DemoResult) -> Section:
    net = story.network.need_integer()
    rows: list[list[Cell]] = [
        [
            layer.name,
            " x ".join(map(str, layer.out_shape)),
            " x ".join(map(str, layer.weight.shape)),
            f"{int(layer.weight.min())} to {int(layer.weight.max())}",
            layer.neuron.voltage_decay,
            layer.neuron.threshold,
        ]
        for layer in net.layers
    ]
    written = [[name, path.name] for name, path in story.files.items()]
    body = join(
        table(["layer", "neurons", "weights", "weight range", "vDecay", "vThMant"], rows),
        table(["written", "file"], written),
    )
    return Section("Conversion", body, "What goes to the chip, in the chip's own numbers.")


def _parity_section(story: DemoResult) -> Section:
    blocks = []
    for name, certificate in story.certificates.items():
        exact = [pair for pair in certificate.pairs if pair.kind == "exact"]
        mismatches = sum(layer.mismatches for pair in exact for layer in pair.layers)
        blocks += [
            heading(name),
            paragraph(verdict(certificate.holds, f"{mismatches} mismatches in exact pairs")),
            *([paragraph(f"This certificate was {KEPT}.")] if certificate.cached else []),
            certificate_table(
                [row for pair in certificate.pairs for row in _rows(pair)],
                sha256=str(certificate.model["sha256"] or certificate.model["network_sha256"]),
            ),
            *(
                table([title, "reason"], [[entry.what, entry.reason] for entry in notes])
                for title, notes in (
                    ("not checked", certificate.not_checked),
                    ("assumed", certificate.assumed),
                )
                if notes
            ),
        ]
    if story.not_run:
        blocks.append(
            table(
                ["not run", "reason and remedy"],
                [[name, reason] for name, reason in story.not_run.items()],
            )
        )
    blocks.append(
        note(
            "The paper's network is calibrated on the clip and not trained: parity is about "
            "arithmetic. An agreement compares float with integers; it is a figure, no verdict."
        )
    )
    lead = (
        "The same spikes through snnTorch in chip integers, our engine, and Lava itself; every "
        "neuron of every layer at every step compared. Norse runs the float network."
    )
    return Section("Parity", join(*blocks), lead)


def _rows(pair: PairParity) -> list[CertificateRow]:
    rows = []
    for layer in pair.layers:
        first = layer.first
        where = "" if first is None else f"step {first.step}, neuron {first.neuron}"
        if first is not None and first.cause:
            where += f": {first.cause}"
        rows.append(
            CertificateRow(
                pair=labels(pair.backends, " = " if pair.kind != "agreement" else " ~ "),
                layer=layer.name,
                spikes=max(layer.spikes),
                mismatches=layer.mismatches,
                first=where,
                exact=pair.kind != "agreement",
                rounding=pair.kind == "float" and pair.holds is True,
            )
        )
    return rows


def _raster_section(story: DemoResult) -> Section:
    from sdcl_neuro.engine import run_network

    net = story.network.need_integer()
    name = story.session.tracklets[story.queries[0]].name
    query = next(tracklet for tracklet in story.tracklets if tracklet.name == name)
    record = run_network(net, query.spikes[:, None])
    blocks = [raster(query.spikes, caption="Input")]
    blocks += [
        raster(np.asarray(record.spikes[index])[:, 0], caption=layer.name)
        for index, layer in enumerate(net.layers)
    ]
    lead = f"One tracklet, {query.name}, through the event branch, in the integer engine."
    return Section("Spikes", join(*blocks), lead)


def _figure_sections(story: DemoResult) -> list[Section]:
    """Return the poster's figures 2 and 4, of the demonstration's own model."""
    model = load_sdcl(story.files["checkpoint"]).model
    whole = {tracklet.name: tracklet for tracklet in story.tracklets}
    query = whole[story.session.tracklets[story.queries[0]].name]
    shown = [whole[story.session.tracklets[n].name] for n in story.gallery[:16]]
    sections = [drawn_section("figure2", maps_figure(feature_maps(model, query)))]
    if isinstance(model.event_branch, EventBranch):
        curve = spikes_by_depth(model.event_branch, shown)
        sections.append(drawn_section("figure4", depth_figure(curve)))
    return sections


def _versions(story: DemoResult) -> dict[str, str]:
    found: dict[str, str] = {}
    for certificate in story.certificates.values():
        found |= _installed(certificate)
    return found


def _installed(certificate: Certificate) -> dict[str, str]:
    return {name: value for name, value in certificate.versions.items() if value is not None}
