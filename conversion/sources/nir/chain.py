"""A NIR graph as the chain of layers it has to be: synapse, neurons, synapse, neurons.

The graph is walked from its input. Every fault found is kept, so that one answer names them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sdcl_neuro.errors import Refusal

from .inline import PASS, StoredNode

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
class NirStage:
    """One layer: a synapse and its neurons.

    Attributes:
        synapse, neurons: the two nodes.
        recurrent: the synapse from the neurons to themselves, or None.
        flattened: whether a Flatten stands before the synapse.
        pools: the pooling before that, in order.
    """

    synapse: StoredNode
    neurons: StoredNode
    recurrent: StoredNode | None
    flattened: bool
    pools: tuple[StoredNode, ...] = ()


@dataclass(frozen=True)
class NirChain:
    """A graph in order; `problems` says what is wrong with it, and then `stages` may be short."""

    source: StoredNode | None
    stages: tuple[NirStage, ...]
    problems: tuple[Refusal, ...]


def read_chain(
    nodes: dict[str, StoredNode], edges: list[tuple[str, str]], *, broken: bool = False
) -> NirChain:
    """Put a graph in order, as far as it is one chain.

    Args:
        nodes, edges: of a graph whose subgraphs are in place.
        broken: whether edges were refused already, so that what follows from that is not news.

    Returns:
        The chain. Walking goes on after a fault, so that one answer names them all.
    """
    problems = []
    for node in nodes.values():
        if node.type not in _KNOWN:
            hint = _MENDS.get(node.type, _MEND_OTHER)
            what = f"{node.type} is not supported"
            problems.append(Refusal(node.where, what, hint, of_chains=True))
    walk = _Walk(nodes, edges)
    chain = walk.run()
    return NirChain(chain.source, chain.stages, (*problems, *(() if broken else chain.problems)))


class _Walk:
    """Walks a graph from its input to its output, past what is wrong with it."""

    def __init__(self, nodes: Mapping[str, StoredNode], edges: Iterable[tuple[str, str]]) -> None:
        self.nodes = nodes
        self.behind: dict[str, list[str]] = defaultdict(list)
        self.before: dict[str, list[str]] = defaultdict(list)
        self.problems: list[Refusal] = []
        for source, target in dict.fromkeys(edges):
            if source == target:
                self._refuse(
                    nodes[source], "it feeds itself", "only neurons may, through a Linear or Affine"
                )
                continue
            self.behind[source].append(target)
            self.before[target].append(source)
        self.stages: list[NirStage] = []
        self.visited: set[str] = set()
        self.flattened = False
        self.pools: list[StoredNode] = []
        self.synapse: StoredNode | None = None
        self.known = all(node.type in _KNOWN for node in nodes.values())
        self.certain = True

    def run(self) -> NirChain:
        source = self._only("Input")
        self._only("Output")
        if source is not None:
            node: StoredNode | None = source
            while node is not None:
                self.visited.add(node.name)
                node = self._next(node)
            self._expect_all_visited(source.name)
        return NirChain(source, tuple(self.stages), tuple(self.problems))

    def _expect_all_visited(self, source: str) -> None:
        """Refuse nodes that no path from the input reaches, unless a branch is refused anyway."""
        reached, waiting = {source}, [source]
        while waiting:
            for name in self.behind[waiting.pop()]:
                if name not in reached:
                    reached.add(name)
                    waiting.append(name)
        left = sorted(self.nodes.keys() - (self.visited if not self.problems else reached))
        outputs = {node.name for node in self.nodes.values() if node.type == "Output"}
        left = [name for name in left if not self.problems or name not in outputs]
        if left:
            more = "" if len(left) <= 5 else f" and {len(left) - 5} more"
            what = f"not on the path from input to output: {', '.join(left[:5])}{more}"
            self.problems.append(Refusal("graph", what, "remove or connect them", of_chains=True))

    def _only(self, kind: str) -> StoredNode | None:
        found = [node for node in self.nodes.values() if node.type == kind]
        if len(found) != 1:
            what = f"it has {len(found)} nodes of type {kind}"
            self.problems.append(Refusal("graph", what, "give it exactly one", of_chains=True))
        return found[0] if found else None

    def _refuse(self, node: StoredNode, what: str, hint: str, *, of_chains: bool = False) -> None:
        self.problems.append(Refusal(node.where, what, hint, of_chains=of_chains))

    def _recurrent(self, name: str) -> list[str]:
        """Return synapses, or what is refused anyway, from a population to itself and nowhere
        else.
        """
        return [
            other
            for other in self.behind[name]
            if (self.nodes[other].type in SYNAPSES or self.nodes[other].type not in _KNOWN)
            and self.behind[other] == [name]
            and self.before[other] == [name]
        ]

    def _next(self, node: StoredNode) -> StoredNode | None:
        """Return the next node, checked; None at the end."""
        loops = self._recurrent(node.name) if node.type in NEURONS else []
        targets = [name for name in self.behind[node.name] if name not in loops]
        if len(targets) != 1:
            reached = ", ".join(targets) or "nothing"
            what = f"it leads to {len(targets)} nodes ({reached}), not one"
            self._refuse(node, what, _MEND_CHAIN, of_chains=True)
        fresh = [name for name in targets if name not in self.visited]
        if targets and not fresh:
            what = f"a cycle leads back to it from {node.name}"
            self._refuse(self.nodes[targets[0]], what, _MEND_CHAIN)
        if not fresh:
            return None
        target = self.nodes[fresh[0]]
        loops = self._recurrent(target.name) if target.type in NEURONS else []
        sources = [name for name in self.before[target.name] if name not in loops]
        if len(sources) != 1 or len(loops) > 1:
            names = ", ".join(self.before[target.name])
            what = f"it has several inputs ({names})"
            self._refuse(target, what, _MEND_CHAIN, of_chains=True)
        return self._take(target, [self.nodes[name] for name in loops])

    def _take(self, node: StoredNode, loops: list[StoredNode]) -> StoredNode | None:
        """Add a node to the chain."""
        if node.type not in _KNOWN:
            # It has been refused; whatever it was, it ends what stood before it.
            self.synapse, self.flattened, self.pools, self.certain = None, False, [], False
            return node
        if node.type == "Output":
            self._end(node)
            return None
        if node.type == "Flatten":
            if self.synapse is not None:
                what = "it stands between a synapse and its neurons"
                self._refuse(node, what, "put it after", of_chains=True)
            self.flattened = True
        elif node.type in POOLS:
            if self.synapse is not None or self.flattened:
                hint = "put it after the neurons and before the Flatten"
                what = "it pools neither neurons nor the input"
                self._refuse(node, what, hint, of_chains=True)
            self.pools.append(node)
        elif node.type in SYNAPSES:
            if self.synapse is not None:
                what = f"it follows the synapse {self.synapse.name} without neurons between"
                hint = "put neurons between them or multiply them into one"
                self._refuse(node, what, hint, of_chains=True)
            self.synapse = node
        elif node.type in NEURONS:
            self._close(node, loops)
        return node

    def _close(self, node: StoredNode, loops: list[StoredNode]) -> None:
        """End a stage in its neurons."""
        self.visited.update(loop.name for loop in loops)
        if self.synapse is None:
            if self.certain:
                what = "neurons without a synapse before them"
                self._refuse(node, what, "put a synapse first", of_chains=True)
        else:
            recurrent = next((loop for loop in loops if loop.type in SYNAPSES), None)
            pools = tuple(self.pools)
            self.stages.append(NirStage(self.synapse, node, recurrent, self.flattened, pools))
        self.synapse, self.flattened, self.pools, self.certain = None, False, [], True

    def _end(self, node: StoredNode) -> None:
        """Refuse what stands before the output without being a layer."""
        self.visited.add(node.name)
        if self.synapse is not None:
            self._refuse(self.synapse, "no neurons stand after it", _READOUT, of_chains=True)
        elif self.pools:
            hint = "leave it out and pool the spikes that are read"
            self._refuse(self.pools[-1], "no synapse stands after it", hint)
        elif not self.stages and self.known and not self.problems:
            self._refuse(node, "the network has no layers", "export a network with neurons")
