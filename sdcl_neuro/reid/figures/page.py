"""The figures in a report: sections with the pictures inside, and a page of its own."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sdcl_neuro.profiling.report import Section, bullets, join, page, table

from .drawing import figure_bytes

CAPTIONS = {
    "figure2": (
        "Figure 2: what each part sees",
        "Frames and events of one tracklet, and how long each cell's feature vector is in the "
        "event branch, in the frame network, and where the two are joined; brightest is the "
        "longest of the row.",
    ),
    "figure4": (
        "Figure 4: spikes by depth",
        "Spikes of one frame in each layer, and rates over several tracklets, by plain "
        "convolutions and with every tap at the nearest spikes, the same weights for both. Layers "
        "that the model lacks have fresh weights, as before training.",
    ),
    "figure5": (
        "Figure 5: cost and accuracy",
        "mAP over parameters and over operations a frame, two for each multiply-accumulate, "
        "events as a dense machine would compute them.",
    ),
}


def svg_figure(svg: bytes, *, alt: str) -> Markup:
    """Return an SVG as a picture of a page."""
    coded = b64encode(svg).decode("ascii")
    return Markup(
        '<figure class="picture"><img src="data:image/svg+xml;base64,{}" alt="{}" '
        'style="max-width:100%;background:#fff"></figure>'
    ).format(coded, alt)


def figure_sections(folder: Path, files: Sequence[str]) -> Iterator[Section]:
    """Yield a section for each kind of figure among the files of a folder."""
    for kind, (title, lead) in CAPTIONS.items():
        own = [name for name in files if name.startswith(kind) and name.endswith(".svg")]
        if own:
            pictures = [
                svg_figure((folder / name).read_bytes(), alt=f"{title}, {name}") for name in own
            ]
            yield Section(title, join(*pictures), lead)


def drawn_section(kind: str, figure: Any) -> Section:
    """Return a figure of one of `CAPTIONS` as a section of any report."""
    title, lead = CAPTIONS[kind]
    return Section(
        title.partition(": ")[2].capitalize(),
        svg_figure(figure_bytes(figure, "svg"), alt=title),
        lead,
    )


def figures_page(folder: Path, files: Sequence[str], numbers: dict[str, Any]) -> str:
    """Return the page of a folder of figures."""
    sections = list(figure_sections(folder, files))
    if numbers["cost"]:
        rows = [
            [
                one["name"],
                one["inputs"].upper(),
                one["parameters"],
                one["operations"] / 1e9,
                100 * one["mean_ap"],
            ]
            for one in numbers["cost"]
        ]
        head = ["model", "input", "parameters", "G operations a frame", "mAP (%)"]
        sections.append(Section("Figures of figure 5", table(head, rows)))
    said = [f"{name}: {one['data']}" for name, one in numbers["models"].items()]
    said += [
        f"{name}: no figure 4, {one['no_figure_4']}"
        for name, one in numbers["models"].items()
        if "no_figure_4" in one
    ]
    sections.append(Section("Data and notes", bullets([*said, *numbers["notes"]])))
    return page("The poster's figures", sections, eyebrow="sdcl-neuro figures", lead="", tiles=[])
