"""A graph as a table."""

from __future__ import annotations

from math import prod
from typing import Any

from .nodes import FloatGraph, Input, Node, PopulationNode, ReadoutNode
from .shapes import shapes_of


def render(graph: FloatGraph) -> str:
    """Return one line a node: name, kind, what it reads, shape, neurons and weights."""
    shapes = shapes_of(graph)
    rows = [("node", "kind", "reads", "shape", "neurons", "weights")]
    for node in graph.nodes:
        neurons = isinstance(node, PopulationNode | ReadoutNode)
        weight = getattr(node, "weight", None)
        rows.append(
            (
                node.name,
                kind_of(node),
                ", ".join(node.inputs) or "-",
                "x".join(map(str, shapes[node.name])),
                f"{prod(shapes[node.name]):,}" if neurons else "-",
                "-" if weight is None else f"{weight.size:,}",
            )
        )
    widths = [max(len(row[k]) for row in rows) for k in range(6)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if k > 3 else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def kind_of(node: Node) -> str:
    """Return a node's kind in a word or two."""
    if isinstance(node, Input):
        return "input"
    kind = type(node).__name__.removesuffix("Node").lower()
    given: Any = node
    if kind == "pool":
        return f"{given.kind} pool"
    if kind == "convolution" and given.transposed:
        return "transposed convolution"
    return kind
