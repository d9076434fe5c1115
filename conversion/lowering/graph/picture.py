"""A graph as nodes of a picture."""

from __future__ import annotations

from sdcl_neuro.network.graph_picture import PictureNode

from .nodes import FloatGraph
from .shapes import shapes_of
from .table import kind_of


def picture_nodes(graph: FloatGraph) -> tuple[PictureNode, ...]:
    """Return every node, with its weights or its number among the user's layers in its note."""
    shapes = shapes_of(graph)
    numbers = {node.name: f"layer_{k}" for k, node in enumerate(graph.populations)}
    numbers |= {node.name: f"readout_{k}" for k, node in enumerate(graph.readouts)}
    found = []
    for node in graph.nodes:
        weight = getattr(node, "weight", None)
        note = numbers.get(node.name, "" if weight is None else f"{weight.size:,} weights")
        found.append(PictureNode(node.name, kind_of(node), node.inputs, shapes[node.name], note))
    return tuple(found)
