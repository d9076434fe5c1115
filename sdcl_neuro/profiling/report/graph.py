"""The section that shows the graph which a chain came from."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from sdcl_neuro.network.graph_picture import PictureNode, graph_svg

from .page import Section


def graph_section(nodes: Sequence[PictureNode]) -> Section:
    """Return the picture, below what it shows."""
    lead = (
        "The network as it was described, a row for each node. What a node sends runs down as a "
        "line until its last reader; a line that passes other neurons is relayed on the chip."
    )
    # `graph_svg` escapes every text.
    return Section("Graph", Markup('<figure class="chart">{}</figure>').format(_svg(nodes)), lead)


def _svg(nodes: Sequence[PictureNode]) -> Markup:
    return Markup(graph_svg(nodes))
