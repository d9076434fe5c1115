"""A NIR graph as the chain of layers it has to be: synapse, neurons, synapse, neurons.

Subgraphs are put in place of their node (snnTorch writes a recurrent population as one), then the
graph is walked from its input. Every fault found is kept, so that one answer names them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sdcl_neuro.errors import Refusal

from .file import Tree
from .inline import PASS, Node, contract, inline

SYNAPSES = ("Conv2d", "Linear", "Affine")
NEURONS = ("LIF", "IF", "CubaLIF")
POOLS = ("SumPool2d", "AvgPool2d")
_KNOWN = (*SYNAPSES, *NEURONS, *POOLS, "Flatten", "Input", "Output", PASS)

_READOUT = "end the network in spiking neurons (LIF) and read their spikes"
_MENDS = {
    "Conv1d": "use Conv2d with a height of one",
    "CubaLI": _READOUT,
    "LI": _READOUT,
    "I": _READOUT,
    "Delay": "remove the delay",
    "Scale": "multiply the scale into the weights before it",
    "Threshold": "use LIF, or IF for neurons without leak",
}
_MEND_OTHER = f"build the network from {', '.join((*SYNAPSES, *POOLS, 'Flatten', *NEURONS))}"
_MEND_CHAIN = "only a population's own recurrence (Linear or Affine, from it and to it) may branch"


@dataclass(frozen=True)
class Stage:
    """One layer: a synapse and its neurons.

    Attributes:
        synapse, neurons: the two nodes.
        recurrent: the synapse from the neurons to themselves, or None.
        flattened: whether a Flatten stands before the synapse.
        pools: the pooling before that, in order.
    """

    synapse: Node
    neurons: Node
    recurrent: Node | None
    flattened: bool
    pools: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Chain:
    """A graph in order; `problems` says what is wrong with it, and then `stages` may be short."""

    source: Node | None
    stages: tuple[Stage, ...]
    problems: tuple[Refusal, ...]


def read_chain(tree: Tree) -> Chain:
    """Put a graph in order, as far as it is one chain; see `Chain`."""
    problems: list[Refusal] = []
    nodes, edges = inline(tree, "", problems)
    for node in nodes.values():
        if node.type not in _KNOWN:
            mend = _MENDS.get(node.type, _MEND_OTHER)
            problems.append(Refusal(node.where, f"{node.type} is not supported", mend))
    edges = contract(nodes, edges)
    if problems:
        return Chain(None, (), tuple(problems))
    return _Walk(nodes, edges).run()


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
        self.pools: list[Node] = []
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
            elif self.pools:
                mend = "leave it out and pool the spikes that are read"
                self._refuse(self.pools[-1], "no synapse stands behind it", mend)
            elif not self.stages:
                self._refuse(node, "the network has no layers", "export a network with neurons")
            self.visited.add(node.name)
            return None
        if node.type == "Flatten":
            if self.synapse is not None:
                self._refuse(node, "it stands between a synapse and its neurons", "put it behind")
            self.flattened = True
        elif node.type in POOLS:
            if self.synapse is not None or self.flattened:
                mend = "put it behind the neurons and before the Flatten"
                self._refuse(node, "it pools neither neurons nor the input", mend)
            self.pools.append(node)
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
            pools = tuple(self.pools)
            self.stages.append(Stage(self.synapse, node, recurrent, self.flattened, pools))
            self.synapse, self.flattened, self.pools = None, False, []
        return node
