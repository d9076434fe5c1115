"""A NIR graph as the chain of layers it has to be: synapse, neurons, synapse, neurons.

Subgraphs are put in place of their node (snnTorch writes a recurrent population as one), then the
graph is walked from its input. Every fault found is kept, so that one answer names them all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Refusal
from .nir_file import Tree

SYNAPSES = ("Conv2d", "Linear", "Affine")
NEURONS = ("LIF", "IF", "CubaLIF")
_PASS = "Pass"  # the input and output of a subgraph, once it is in place
_KNOWN = (*SYNAPSES, *NEURONS, "Flatten", "Input", "Output", _PASS)

_READOUT = "end the network in spiking neurons (LIF) and read their spikes"
_MENDS = {
    "AvgPool2d": "replace the pooling by a strided convolution before export",
    "SumPool2d": "replace the pooling by a strided convolution before export",
    "Conv1d": "use Conv2d with a height of one",
    "CubaLI": _READOUT,
    "LI": _READOUT,
    "I": _READOUT,
    "Delay": "remove the delay",
    "Scale": "multiply the scale into the weights before it",
    "Threshold": "use LIF, or IF for neurons without leak",
}
_MEND_OTHER = f"build the network from {', '.join((*SYNAPSES, 'Flatten', *NEURONS))}"
_MEND_CHAIN = "only a population's own recurrence (Linear or Affine, from it and to it) may branch"


@dataclass(frozen=True)
class Node:
    """A node of the graph: its NIR type and its values."""

    name: str
    type: str
    fields: Mapping[str, Any]

    @property
    def where(self) -> str:
        """How messages name it."""
        return f"node {self.name} ({self.type})"


@dataclass(frozen=True)
class Stage:
    """One layer: a synapse and its neurons.

    Attributes:
        synapse, neurons: the two nodes.
        recurrent: the synapse from the neurons to themselves, or None.
        flattened: whether a Flatten stands before the synapse.
    """

    synapse: Node
    neurons: Node
    recurrent: Node | None
    flattened: bool


@dataclass(frozen=True)
class Chain:
    """A graph in order; `problems` says what is wrong with it, and then `stages` may be short."""

    source: Node | None
    stages: tuple[Stage, ...]
    problems: tuple[Refusal, ...]


def read_chain(tree: Tree) -> Chain:
    """Put a graph in order, as far as it is one chain; see `Chain`."""
    problems: list[Refusal] = []
    nodes, edges = _inline(tree, "", problems)
    for node in nodes.values():
        if node.type not in _KNOWN:
            mend = _MENDS.get(node.type, _MEND_OTHER)
            problems.append(Refusal(node.where, f"{node.type} is not supported", mend))
    edges = _contract(nodes, edges)
    if problems:
        return Chain(None, (), tuple(problems))
    return _Walk(nodes, edges).run()


def _inline(
    tree: Tree, prefix: str, problems: list[Refusal]
) -> tuple[dict[str, Node], list[tuple[str, str]]]:
    """Nodes and edges of a graph with its subgraphs in place, names joined by dots."""
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    into: dict[str, str] = {}
    out_of: dict[str, str] = {}
    members = tree.get("nodes")
    for name, fields in members.items() if isinstance(members, dict) else ():
        full = prefix + str(name)
        kind = str(fields.get("type", "?")) if isinstance(fields, dict) else "?"
        if kind != "NIRGraph":
            passing = prefix and kind in ("Input", "Output")
            found = {full: Node(full, _PASS if passing else kind, fields)}
            into[full] = out_of[full] = full
        else:
            found, inner = _inline(fields, f"{full}.", problems)
            edges += inner
            for ends, wanted in ((into, "Input"), (out_of, "Output")):
                inside = fields.get("nodes")
                borders = [
                    f"{full}.{key}"
                    for key, value in (inside.items() if isinstance(inside, dict) else ())
                    if isinstance(value, dict) and value.get("type") == wanted
                ]
                if len(borders) != 1:
                    what = f"the subgraph has {len(borders)} nodes of type {wanted}"
                    problems.append(Refusal(f"node {full}", what, "give it exactly one"))
                else:
                    ends[full] = borders[0]
        for twice in nodes.keys() & found.keys():
            problems.append(Refusal(f"node {twice}", "the name occurs twice", "rename one"))
        nodes |= found
    for source, target in _edges(tree, prefix, problems):
        if source in out_of and target in into:
            edges.append((out_of[source], into[target]))
        elif not any(problem.where.startswith(f"node {source}") for problem in problems):
            missing = source if source not in out_of else target
            what = f"the edge {source} -> {target} names a node that is missing: {missing}"
            problems.append(Refusal("edges", what, "write the graph again"))
    return nodes, edges


def _edges(tree: Tree, prefix: str, problems: list[Refusal]) -> Iterable[tuple[str, str]]:
    """The edges of one graph, with full names; none if they are not pairs of names."""
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


def _contract(nodes: dict[str, Node], edges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Remove subgraphs' inputs and outputs, which only pass on; `nodes` loses them too."""
    passing = [name for name, node in nodes.items() if node.type == _PASS]
    for name in passing:
        before = [a for a, b in edges if b == name]
        behind = [b for a, b in edges if a == name]
        edges = [edge for edge in edges if name not in edge]
        edges += [(a, b) for a in before for b in behind]
        del nodes[name]
    return edges


class _Walk:
    """Walks a graph from its input to its output."""

    def __init__(self, nodes: Mapping[str, Node], edges: Iterable[tuple[str, str]]) -> None:
        self.nodes = nodes
        self.behind: dict[str, list[str]] = defaultdict(list)
        self.before: dict[str, list[str]] = defaultdict(list)
        for source, target in edges:
            self.behind[source].append(target)
            self.before[target].append(source)
        self.problems: list[Refusal] = []
        self.stages: list[Stage] = []
        self.visited: set[str] = set()
        self.flattened = False
        self.synapse: Node | None = None

    def run(self) -> Chain:
        source = self._only("Input")
        self._only("Output")
        if not self.problems and source is not None:
            node: Node | None = source
            while node is not None:
                self.visited.add(node.name)
                node = self._next(node)
            left = sorted(self.nodes.keys() - self.visited)
            if left and not self.problems:
                what = f"not on the way from input to output: {', '.join(left[:5])}"
                self.problems.append(Refusal("graph", what, "remove or connect them"))
        return Chain(source, tuple(self.stages), tuple(self.problems))

    def _only(self, kind: str) -> Node | None:
        found = [node for node in self.nodes.values() if node.type == kind]
        if len(found) != 1:
            what = f"it has {len(found)} nodes of type {kind}"
            self.problems.append(Refusal("graph", what, "give it exactly one"))
        return found[0] if len(found) == 1 else None

    def _refuse(self, node: Node, what: str, mend: str) -> None:
        self.problems.append(Refusal(node.where, what, mend))

    def _recurrent(self, name: str) -> list[str]:
        """Synapses from a population to itself and nowhere else."""
        return [
            other
            for other in self.behind[name]
            if self.nodes[other].type in SYNAPSES
            and self.behind[other] == [name]
            and self.before[other] == [name]
        ]

    def _next(self, node: Node) -> Node | None:
        """The node behind one, checked and taken up; None at the end, or where it goes wrong."""
        loops = self._recurrent(node.name) if node.type in NEURONS else []
        targets = [name for name in self.behind[node.name] if name not in loops]
        if len(targets) != 1:
            reached = ", ".join(targets) or "nothing"
            self._refuse(
                node, f"it leads to {len(targets)} nodes ({reached}), not one", _MEND_CHAIN
            )
            return None
        target = self.nodes[targets[0]]
        if target.name in self.visited:
            self._refuse(target, f"a cycle leads back to it from {node.name}", _MEND_CHAIN)
            return None
        loops = self._recurrent(target.name) if target.type in NEURONS else []
        sources = [name for name in self.before[target.name] if name not in loops]
        if len(sources) != 1 or len(loops) > 1:
            names = ", ".join(self.before[target.name])
            self._refuse(target, f"it has several inputs ({names})", _MEND_CHAIN)
            return None
        return self._take(target, [self.nodes[name] for name in loops])

    def _take(self, node: Node, loops: list[Node]) -> Node | None:
        """Add a node to the chain."""
        if node.type == "Output":
            if self.synapse is not None:
                self._refuse(self.synapse, "no neurons stand behind it", _READOUT)
            elif not self.stages:
                self._refuse(node, "the network has no layers", "export a network with neurons")
            self.visited.add(node.name)
            return None
        if node.type == "Flatten":
            if self.synapse is not None:
                self._refuse(node, "it stands between a synapse and its neurons", "put it behind")
            self.flattened = True
        elif node.type in SYNAPSES:
            if self.synapse is not None:
                what = f"it follows the synapse {self.synapse.name} without neurons between"
                self._refuse(node, what, "put neurons between them or multiply them into one")
            self.synapse = node
        elif self.synapse is None:
            self._refuse(node, "neurons without a synapse before them", "put a synapse before them")
        else:
            self.visited.update(loop.name for loop in loops)
            recurrent = loops[0] if loops else None
            self.stages.append(Stage(self.synapse, node, recurrent, self.flattened))
            self.synapse, self.flattened = None, False
        return node
