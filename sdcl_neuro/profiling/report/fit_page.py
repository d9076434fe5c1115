"""The page of a fit: the verdict, the layers, the picture, what is exceeded and unknown."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from sdcl_neuro.hardware.placement import Fit
from sdcl_neuro.hardware.placement.fit_text import verdict as verdict_text
from sdcl_neuro.hardware.placement.usage import RESOURCES
from sdcl_neuro.network.graph_picture import PictureNode

from .graph import graph_section
from .page import Headline, Section, join, page
from .placement_chart import placement_chart
from .tables import Cell, Number, Unknown, bullets, paragraph, table, verdict


def fit_page(fit: Fit, *, graph: Sequence[PictureNode] = (), relays: str = "") -> str:
    """Return one self-contained page.

    Args:
        fit: of a network.
        graph: nodes of the graph that it came from; none for a chain.
        relays: what the relays of that graph cost, as text.
    """
    sections = [fit_section(fit), limits_section(fit)]
    if relays:
        lines = relays.splitlines()
        title, lead = "Relays", f"{lines[0][0].upper()}{lines[0][1:]}"
        sections.append(Section(title, bullets(line.strip() for line in lines[1:]), lead))
    if graph:
        sections.append(graph_section(graph))
    return page(
        f"Does it fit on {fit.title}?",
        sections,
        eyebrow="sdcl-neuro hw fit",
        lead=f"Input {' x '.join(map(str, fit.input_shape))}: {verdict_text(fit)}.",
        tiles=_tiles(fit),
    )


def fit_section(fit: Fit, *, rates: list[float] | None = None) -> Section:
    """Return layers on cores, and the picture."""
    lead = "Layers cut over cores, each tile within every known limit of a core."
    return Section("Placement", join(layers_table(fit), placement_chart(fit, rates=rates)), lead)


def limits_section(fit: Fit) -> Section:
    """Return what is exceeded, what no one knows, and how it was counted."""
    blocks = [fit_verdict(fit)]
    if fit.broken:
        rows: list[list[Cell]] = [
            [entry.where, entry.limit.replace("_", " "), entry.value, _allowed(entry.allowed),
             entry.unit, entry.hint]
            for entry in fit.broken
        ]  # fmt: skip
        head = ["where", "limit", "needed", "there is", "unit", "remedy"]
        blocks.append(table(head, rows))
    lines = [
        f"Unknown: {entry.limit.replace('_', ' ')}: {entry.reason}." for entry in fit.unchecked
    ]
    lines += [f"{note[0].upper()}{note[1:]}." for note in fit.notes]
    if lines:
        blocks.append(bullets(lines))
    return Section("Limits", join(*blocks))


def layers_table(fit: Fit) -> Markup:
    """Return one row a layer: cores, the largest tile, the fullest core's share of each limit."""
    names = [name for name in dict.fromkeys(n for layer in fit.layers for n in layer.loads)
             if name != "synapses"]  # fmt: skip
    head = ["layer", "kind", "neurons", "synapses", "cores", "largest tile"]
    rows: list[list[Cell]] = []
    for layer in fit.layers:
        row: list[Cell] = [layer.name, layer.kind, layer.neurons, layer.synapses]
        row.append(Unknown(fit.reason) if layer.cores is None else layer.cores)
        row.append("" if layer.largest is None else " x ".join(map(str, layer.largest)))
        for name in names:
            load = layer.loads.get(name)
            if load is None:
                row.append("")
                continue
            share = "" if load.share is None else f" ({100 * load.share:.1f} %)"
            row.append(Number(load.most, f"{load.most:,.10g}{share}"))
        rows.append(row)
    per = [f"{n.replace('_', ' ')}/core" if n in RESOURCES else n.replace("_", " ") for n in names]
    return table([*head, *per], rows, caption="The fullest core of each layer, share of its limit")


def fit_verdict(fit: Fit) -> Markup:
    """Return a badge where there is a verdict, a sentence where there is none."""
    if fit.fits is None:
        return paragraph(f"Unknown whether it fits: {fit.reason}.")
    return paragraph(verdict(fit.fits, verdict_text(fit)))


def _tiles(fit: Fit) -> list[Headline]:
    found = [Headline("Neurons", f"{sum(layer.neurons for layer in fit.layers):,}")]
    if fit.cores is not None:
        found.append(Headline("Cores", f"{fit.cores:,}"))
    if fit.chips is not None:
        found.append(Headline("Chips", f"{fit.chips:,}"))
    shares = [load.share or 0 for layer in fit.layers for load in layer.loads.values()]
    if any(shares):
        found.append(Headline("Fullest limit of a core", f"{100 * max(shares):.1f} %"))
    return found


def _allowed(allowed: float | str) -> Cell:
    return allowed if isinstance(allowed, str) else Number(allowed, f"{allowed:,.10g}")
