"""A NIR graph that is not a chain: branches, skips, several inputs, decays per neuron, read-outs.

Several edges into a node add up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.notes import ASSUMED, with_notes
from sdcl_neuro.network.spec import Shape

from ...graph_approximation import approximate_graph
from ...lowering.graph.nodes import (
    AddNode,
    ConvolutionNode,
    DenseNode,
    FloatGraph,
    Input,
    NormNode,
    PopulationNode,
    ReadoutNode,
)
from ...lowering.graph.nodes import Node as GraphNode
from ...lowering.graph.reduce import reduce_graph
from ...lowering.graph.shapes import Misfit, shape_behind, where_of
from .assumed import assumptions
from .chain import NEURONS, POOLS, SYNAPSES
from .dialects import as_known, row_of, translate
from .file import Tree
from .inline import StoredNode, contract, inline
from .population_nodes import READOUTS, Populations
from .reader import input_shape
from .signatures import check_signature
from .step import StatedStep, find_step
from .synapse_nodes import MAKERS
from .writers import Writer

_CYCLE = "only a population's own recurrence (Linear or Affine, from it and to it) may lead back"


def graph_instead(
    tree: Tree,
    refused: NetworkRefused,
    *,
    dt: float | None,
    writer: str | None,
    where: str,
    calibration: object = None,
) -> FloatGraph:
    """Read a graph that was refused as a chain; arguments as for `from_nir`.

    Raises:
        NetworkRefused: the reasons of the chain where a graph has them too, else its own.
    """
    try:
        approximate = calibration is not None
        reading = _Reading(tree, dt=dt, writer=writer, approximate=approximate)
        graph = reading.graph(where)
        if approximate:
            graph = approximate_graph(graph, calibration, reading.populations.departures)
        reduce_graph(graph)
    except NetworkRefused as error:
        alike = any(not each.of_chains for each in refused.refusals)
        raise (refused if alike else NetworkRefused(error.refusals, where=where)) from None
    return graph


class _Reading:
    """Reads nodes, puts them in order, and makes a graph of them."""

    def __init__(
        self, tree: Tree, *, dt: float | None, writer: str | None, approximate: bool
    ) -> None:
        self.problems: list[Refusal] = []
        self.row: Writer = row_of(writer)
        nodes, edges = inline(tree, "", self.problems)
        edges = contract(nodes, edges)
        metadata = tree.get("metadata")
        found = find_step(
            nodes.values(), metadata, dt=dt, writer=writer, refuse=self.problems.append
        )
        self.step = StatedStep(None, "unknown") if found is None else found
        if found is not None:
            check_signature(nodes.values(), writer, self.step, self.problems.append)
        self.words = assumptions(nodes, self.row, self.step, writer=writer)
        self.nodes = {
            n: translate(as_known(node), self.row, self.step.nominal) for n, node in nodes.items()
        }
        self.before: dict[str, list[str]] = defaultdict(list)
        self.behind: dict[str, list[str]] = defaultdict(list)
        for source, target in edges:
            self.before[target].append(source)
            self.behind[source].append(target)
        self.loops = {
            name: self.before[name][0]
            for name, node in self.nodes.items()
            if node.type in SYNAPSES
            and self.before[name] == self.behind[name]
            and len(self.before[name]) == 1
            and self.nodes[self.before[name][0]].type in NEURONS
        }
        self.populations = Populations(
            self.row,
            self.step,
            self.nodes,
            self.loops,
            self.problems.append,
            approximate=approximate,
        )
        self.made: list[GraphNode] = []
        self.shapes: dict[str, Shape] = {}

    def graph(self, where: str) -> FloatGraph:
        """Make the graph; NetworkRefused with every reason why there is none."""
        outputs: list[str] = []
        for name in self._order():
            node = self.nodes[name]
            read = [n for n in self.before[name] if n not in self.loops]
            if any(each not in self.shapes for each in read):
                continue  # behind a node that was refused
            try:
                if node.type == "Output":
                    outputs += [self._ended(each) for each in read]
                else:
                    self._add(node, read)
            except Misfit as misfit:
                self.problems.append(Refusal(node.where, *misfit.args))
        for name, node in self.nodes.items():
            if node.type == "Output" and not self.before[name]:
                self.problems.append(Refusal(node.where, "nothing leads to it", "connect it"))
            elif node.type != "Output" and not self.behind[name]:
                what = "it leads to 0 nodes (nothing)"
                self.problems.append(Refusal(node.where, what, "connect or remove it"))
        if not outputs and not self.problems:
            self.problems.append(Refusal("graph", "it has no output", "add one"))
        if self.problems:
            raise NetworkRefused(list(dict.fromkeys(self.problems)), where=where)
        meta: dict[str, Any] = {
            "source": "nir",
            "dt_s": self.step.seconds,
            "dt_source": self.step.source,
            "lowered": [],
        }
        meta = with_notes(meta, ASSUMED, self.words)
        return FloatGraph(tuple(self.made), tuple(dict.fromkeys(outputs)), meta)

    def _order(self) -> list[str]:
        """Return nodes behind those they read, recurrent synapses left out."""
        order: list[str] = []
        left = [name for name in self.nodes if name not in self.loops]
        while left:
            ready = [
                name
                for name in left
                if all(n in order or n in self.loops for n in self.before[name])
            ]
            if not ready:
                names = ", ".join(left[:5])
                self.problems.append(Refusal("graph", f"a cycle through {names}", _CYCLE))
                break
            order += ready
            left = [name for name in left if name not in ready]
        return order

    def _put(self, node: GraphNode) -> None:
        read = [self.shapes[name] for name in node.inputs]
        self.shapes[node.name] = shape_behind(node, read)
        self.made.append(node)

    def _add(self, node: StoredNode, read: Sequence[str]) -> None:
        if node.type == "Input":
            shape = self._line_shape(node) or input_shape(node, self.problems.append)
            if shape is not None:
                self._put(Input(node.name, (), shape))
            return
        if not read:
            raise Misfit("nothing leads to it", "connect or remove it")
        source = read[0]
        if len(read) > 1:
            source = f"{node.name}.sum"
            self._put(AddNode(source, tuple(read)))
        for made in self._nodes(node, source):
            self._put(made)

    def _line_shape(self, node: StoredNode) -> Shape | None:
        """Return the shape ``(C, 1, L)`` of an input along a line; None for any other.

        Norse writes ``(1, N)`` for vectors, with its batch, so that one channel is a line only
        where a Conv1d reads it.
        """
        shape = np.asarray(node.fields.get("shape", ()))
        if shape.size != 2 or shape.dtype.kind not in "iu" or shape.min() < 1:
            return None
        read = any(self.nodes[name].type == "Conv1d" for name in self.behind[node.name])
        channels, length = (int(n) for n in shape.reshape(-1))
        return (channels, 1, length) if channels > 1 or read else None

    def _nodes(self, node: StoredNode, source: str) -> list[GraphNode]:
        inputs, shape, before = (source,), self.shapes[source], len(self.problems)
        made: list[GraphNode] = []
        if node.type in MAKERS:
            found = MAKERS[node.type](node, inputs, shape, self.problems.append)
            made = [] if found is None else [found]
        elif node.type in NEURONS:
            made = self.populations.population(node, inputs, shape)
        elif node.type in READOUTS:
            made = self.populations.readout(node, inputs, shape)
        elif node.type == "Delay":
            raise Misfit("Delay is not supported", "remove the delay")
        else:
            known = ", ".join((*SYNAPSES, *POOLS, "Flatten", *NEURONS, *READOUTS))
            raise Misfit(f"{node.type} is not supported", f"build the network from {known}")
        if not made or len(self.problems) > before:
            raise Misfit("its values cannot be read", "export the network again")
        return made

    def _ended(self, name: str) -> str:
        """Return what an output gives: a population, or the sums of a synapse as a read-out."""
        node = next(made for made in self.made if made.name == name)
        if isinstance(node, PopulationNode | ReadoutNode):
            return name
        if isinstance(node, ConvolutionNode | DenseNode | AddNode | NormNode):
            readout = ReadoutNode(f"{name}.readout", (name,))
            self._put(readout)
            return readout.name
        what = f"{where_of(node)} leads to the output"
        raise Misfit(what, "leave it out and do it with the spikes that are read")
