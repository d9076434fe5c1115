"""Nodes and edges of a NIR graph, with subgraphs put in place of the nodes that hold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdcl_neuro.errors import Refusal

from .file import Tree

PASS = "Pass"
"""Type of a subgraph's input and output once it is in place: they only pass on."""


@dataclass(frozen=True)
class StoredNode:
    """A node of the graph: its NIR type and its values."""

    name: str
    type: str
    fields: Mapping[str, Any]

    @property
    def where(self) -> str:
        """Return how messages name it."""
        return f"node {self.name} ({self.type})"


def kind_of(fields: object) -> str:
    """Return a node's type; ``?`` where a file has something else than one word in its place."""
    kind = fields.get("type") if isinstance(fields, dict) else None
    return kind if isinstance(kind, str) else "?"


def inline(
    tree: Tree, prefix: str, problems: list[Refusal]
) -> tuple[dict[str, StoredNode], list[tuple[str, str]]]:
    """Return nodes and edges of a graph with its subgraphs in place, names joined by dots."""
    nodes: dict[str, StoredNode] = {}
    edges: list[tuple[str, str]] = []
    into: dict[str, str] = {}
    out_of: dict[str, str] = {}
    members = tree.get("nodes")
    for name, fields in members.items() if isinstance(members, dict) else ():
        full = prefix + str(name)
        kind = kind_of(fields)
        if kind != "NIRGraph":
            passing = prefix and kind in ("Input", "Output")
            held = fields if isinstance(fields, dict) else {}
            found = {full: StoredNode(full, PASS if passing else kind, held)}
            into[full] = out_of[full] = full
        else:
            found, inner = inline(fields, f"{full}.", problems)
            edges += inner
            for ends, wanted in ((into, "Input"), (out_of, "Output")):
                inside = fields.get("nodes")
                borders = [
                    f"{full}.{key}"
                    for key, value in (inside.items() if isinstance(inside, dict) else ())
                    if kind_of(value) == wanted
                ]
                if len(borders) != 1:
                    what = f"the subgraph has {len(borders)} nodes of type {wanted}"
                    # Read as a graph it is refused again, without what follows for a chain.
                    where, hint = f"node {full}", "give it exactly one"
                    problems.append(Refusal(where, what, hint, of_chains=True))
                else:
                    ends[full] = borders[0]
        for twice in nodes.keys() & found.keys():
            problems.append(Refusal(f"node {twice}", "the name occurs twice", "rename one"))
        nodes |= found
    for source, target in _edges(tree, prefix, problems):
        if source in out_of and target in into:
            edges.append((out_of[source], into[target]))
        else:
            missing = source if source not in out_of else target
            if any(problem.where == f"node {missing}" for problem in problems):
                continue  # a subgraph that was refused
            what = f"the edge {source} -> {target} names a node that is missing: {missing}"
            problems.append(Refusal("edges", what, "write the graph again"))
    return nodes, edges


def _edges(tree: Tree, prefix: str, problems: list[Refusal]) -> Iterable[tuple[str, str]]:
    """Return the edges of one graph, with full names; none if they are not pairs of names."""
    rows = tree.get("edges")
    pairs = np.array(rows if rows is not None else [], dtype=object)
    if not isinstance(tree.get("nodes"), dict) or not tree["nodes"]:
        problems.append(Refusal("graph", "it has no nodes", "write the graph again"))
        return []
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        what = "the edges are not pairs of names" if pairs.size else "it has no edges"
        problems.append(Refusal("graph", what, "write the graph again"))
        return []
    found = [(prefix + _name(a), prefix + _name(b)) for a, b in pairs]
    for (source, target), count in Counter(found).items():
        if count > 1:
            what = f"the edge {source} -> {target} occurs {count} times"
            problems.append(Refusal("edges", what, "keep one and double the weights if meant"))
    return found


def _name(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def contract(nodes: dict[str, StoredNode], edges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Remove subgraphs' inputs and outputs, which only pass on; `nodes` loses them too."""
    passing = [name for name, node in nodes.items() if node.type == PASS]
    for name in passing:
        before = [a for a, b in edges if b == name]
        behind = [b for a, b in edges if a == name]
        edges = [edge for edge in edges if name not in edge]
        edges += [(a, b) for a in before for b in behind]
        del nodes[name]
    return edges
