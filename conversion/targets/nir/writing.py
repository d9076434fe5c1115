"""A NIR graph while it is written: nodes, edges, and which of them give what a node gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sdcl_neuro.network.spec import Shape

from ...lowering.graph.nodes import Node
from ...lowering.graph.shapes import Misfit


@dataclass
class Writing:
    """The NIR graph so far.

    Attributes:
        shapes: of every node of the graph.
        dt: length of a step in seconds.
        nodes, edges: of NIR.
        ends: node to the NIR nodes whose sum it is.
    """

    shapes: Mapping[str, Shape]
    dt: float
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    ends: dict[str, list[str]] = field(default_factory=dict)

    def put(self, name: str, node: Any, sources: list[str]) -> str:
        """Add a NIR node that reads others; a source that counts twice goes through a scale."""
        import nir

        if name in self.nodes or "/" in name:
            raise Misfit(f"has the name {name!r}, which NIR files cannot hold", "rename it")
        self.nodes[name] = node
        for source in dict.fromkeys(sources):
            times = sources.count(source)
            last = source
            if times > 1:
                last = f"{name}.times.{source}"
                shape = self.shapes.get(source)
                if shape is None:
                    raise Misfit("adds a joined tensor to itself", "multiply the weights instead")
                self.nodes[last] = nir.Scale(np.full(shape, times, np.float32))
                self.edges.append((source, last))
            self.edges.append((last, name))
        return name

    def read(self, node: Node) -> list[str]:
        """Return all NIR nodes that lead to a node of one input."""
        return [end for name in node.inputs for end in self.ends[name]]
