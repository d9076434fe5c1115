"""A NIR graph that is not a chain: branches, skips, several inputs, decays per neuron, read-outs.

Several edges into a node add up. A population's gain is taken out of its threshold instead of
being multiplied into the weights before it, so that it may differ from neuron to neuron: a neuron
all of whose numbers are divided by one gain fires the same spikes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.notes import ASSUMED, with_notes
from sdcl_neuro.network.spec import Convolution, Shape

from ...graph_approximation import approximate_graph
from ...lowering.graph.nodes import (
    AddNode,
    ConvolutionNode,
    DenseNode,
    FlattenNode,
    FloatGraph,
    Input,
    NormNode,
    PoolNode,
    PopulationNode,
    ReadoutNode,
)
from ...lowering.graph.nodes import Node as GraphNode
from ...lowering.graph.reduce import reduce_graph
from ...lowering.graph.shapes import Misfit, shape_behind, where_of
from ...lowering.populations import Unsupported
from .assumed import assumptions
from .chain import NEURONS, POOLS, SYNAPSES
from .dialects import as_known, row_of, translate
from .file import Tree
from .inline import StoredNode, contract, inline
from .lowering import departure_of
from .neurons import Neurons, read_neurons
from .reader import input_shape
from .signatures import check_signature
from .step import StatedStep, find_step
from .synapses import read_synapse
from .values import numbers, pair
from .writers import Writer

Array = NDArray[np.float64]
READOUTS = ("LI", "CubaLI")
_CONSTANTS = ("tau", "r", "tau_mem", "tau_syn", "w_in")
_CYCLE = "only a population's own recurrence (Linear or Affine, from it and to it) may lead back"
_ONLY_OF_CHAINS = (
    "it leads to",
    "it has several inputs",
    "nodes of type",
    "is not supported",
    "differs between neurons",
    "of one channel",
    "neurons without a synapse",
    "without neurons between",
    "it stands between",
    "no neurons stand",
    "not on the way",
    "pools neither",
    "its shape is",
)
"""What a chain refuses and a graph may hold."""


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
    left = [r for r in refused.refusals if not any(word in r.what for word in _ONLY_OF_CHAINS)]
    branched = any("it has several inputs" in r.what for r in refused.refusals)
    try:
        graph = _Reading(tree, dt=dt, writer=writer).graph(where)
        if calibration is not None:
            graph = approximate_graph(graph, calibration)
        reduce_graph(graph)
    except NetworkRefused as error:
        raise (refused if left else NetworkRefused(error.refusals, where=where)) from None
    # Behind inputs that meet, a chain does not know the shapes; the graph has checked them.
    if any(not (branched and "inputs or channels, but" in r.what) for r in left):
        raise refused
    return graph


class _Reading:
    """Reads nodes, puts them in order, and makes a graph of them."""

    def __init__(self, tree: Tree, *, dt: float | None, writer: str | None) -> None:
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
        """Nodes behind those they read, recurrent synapses left out."""
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
        self._put(self._node(node, source))

    def _line_shape(self, node: StoredNode) -> Shape | None:
        """The shape ``(C, 1, L)`` of an input along a line; None for any other.

        Norse writes ``(1, N)`` for vectors, with its batch, so that one channel is a line only
        where a Conv1d reads it.
        """
        shape = np.asarray(node.fields.get("shape", ()))
        if shape.size != 2 or shape.dtype.kind not in "iu" or shape.min() < 1:
            return None
        read = any(self.nodes[name].type == "Conv1d" for name in self.behind[node.name])
        channels, length = (int(n) for n in shape.reshape(-1))
        return (channels, 1, length) if channels > 1 or read else None

    def _node(self, node: StoredNode, source: str) -> GraphNode:
        inputs, before = (source,), len(self.problems)
        made: GraphNode | None = None
        if node.type in SYNAPSES:
            made = self._synapse(node, inputs)
        elif node.type == "Conv1d":
            made = self._line(node, inputs)
        elif node.type in POOLS:
            made = self._pool(node, inputs)
        elif node.type == "Flatten":
            made = FlattenNode(node.name, inputs)
            if len(self.shapes[source]) == 1:
                made = NormNode(node.name, inputs)
        elif node.type == "Scale":
            made = self._scale(node, inputs)
        elif node.type in NEURONS:
            made = self._population(node, inputs)
        elif node.type in READOUTS:
            made = self._readout(node, inputs)
        elif node.type == "Delay":
            raise Misfit("Delay is not supported", "remove the delay")
        else:
            known = ", ".join((*SYNAPSES, *POOLS, "Flatten", *NEURONS, *READOUTS))
            raise Misfit(f"{node.type} is not supported", f"build the network from {known}")
        if made is None or len(self.problems) > before:
            raise Misfit("its values cannot be read", "export the network again")
        return made

    def _synapse(self, node: StoredNode, inputs: tuple[str, ...]) -> GraphNode | None:
        found = read_synapse(node, self.problems.append)
        if found is None:
            return None
        weight = found.weight.astype(np.float64)
        bias = None if found.bias is None else found.bias.astype(np.float64)
        if found.convolution is None:
            return DenseNode(node.name, inputs, weight=weight, bias=bias)
        return ConvolutionNode(
            node.name, inputs, weight=weight, bias=bias, geometry=found.convolution
        )

    def _line(self, node: StoredNode, inputs: tuple[str, ...]) -> GraphNode | None:
        """A convolution along a line, with a height of one."""
        weight = numbers(node, "weight", self.problems.append)
        if weight is None or weight.ndim != 3:
            raise Misfit("its weight does not have three axes", "export the network again")
        found = []
        for key, default in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1)):
            value = np.asarray(node.fields.get(key, default))
            if value.dtype.kind not in "iu" or value.size != 1:
                raise Misfit(f"{key} is not one number", "give it in numbers")
            found.append(int(value.reshape(-1)[0]))
        stride, padding, dilation, groups = found
        bias = node.fields.get("bias")
        return ConvolutionNode(
            node.name,
            inputs,
            weight=weight.astype(np.float64)[:, :, None],
            bias=None if bias is None else np.asarray(bias, dtype=np.float64),
            geometry=Convolution((1, stride), (0, padding), (1, dilation), groups),
        )

    def _pool(self, node: StoredNode, inputs: tuple[str, ...]) -> GraphNode | None:
        refuse = self.problems.append
        kernel = pair(node, "kernel_size", 1, refuse)
        stride = pair(node, "stride", 1, refuse)
        padding = pair(node, "padding", 0, refuse)
        if kernel is None or stride is None or padding is None:
            return None
        return PoolNode(
            node.name,
            inputs,
            kind="average" if node.type == "AvgPool2d" else "sum",
            kernel=kernel,
            stride=stride,
            padding=padding,
        )

    def _scale(self, node: StoredNode, inputs: tuple[str, ...]) -> GraphNode | None:
        scale = numbers(node, "scale", self.problems.append)
        if scale is None:
            return None
        shape = self.shapes[inputs[0]]
        scale = _as_image(scale, shape)
        whole = np.broadcast_to(scale, shape) if scale.ndim <= len(shape) else scale
        each = whole.reshape(shape[0], -1)
        if (each != each[:, :1]).any():
            raise Misfit("scales that differ within a channel", "give one per channel")
        return NormNode(node.name, inputs, gain=each[:, 0].astype(np.float64))

    def _population(self, node: StoredNode, inputs: tuple[str, ...]) -> GraphNode | None:
        shape = self.shapes[inputs[0]]
        found = self._constants(node, shape)
        if found is None:
            return None
        first, beta, alpha, gain = found
        try:
            departure_of(first, self.row, approximate=False)
        except Unsupported as unsupported:
            raise Misfit(*_joined(unsupported)) from None
        reset, leak, fires = (
            _as_image(v, shape).astype(np.float64)
            for v in (first.reset, first.leak, first.threshold)
        )
        threshold = (fires - reset).astype(np.float32)
        if self.row.inclusive:
            threshold = np.nextafter(threshold, np.float32(-np.inf))
        drive = (1.0 - beta) * (leak - reset) / gain
        loops = [name for name, owner in self.loops.items() if owner == node.name]
        recurrent = None
        if len(loops) > 1:
            raise Misfit(f"{len(loops)} recurrences", "add them up")
        if loops:
            found_loop = read_synapse(self.nodes[loops[0]], self.problems.append)
            if found_loop is None or found_loop.convolution is not None:
                raise Misfit("a recurrence that is not a matrix", "use a Linear or Affine")
            recurrent = found_loop.weight.astype(np.float64)
            if found_loop.bias is not None:
                drive = drive + found_loop.bias.astype(np.float64).reshape(shape)
        return PopulationNode(
            node.name,
            inputs,
            beta=beta,
            alpha=alpha,
            threshold=threshold.astype(np.float64) / gain,
            recurrent=recurrent,
            drive=drive if np.any(drive) else None,
        )

    def _constants(
        self, node: StoredNode, shape: Shape
    ) -> tuple[Neurons, Array, Array, Array] | None:
        """Constants of a population; decays and gain ``[*shape]`` or one number each."""
        refuse = self.problems.append
        stored = {key: node.fields[key] for key in _CONSTANTS if node.fields.get(key) is not None}
        try:
            whole = {
                k: np.broadcast_to(_as_image(v, shape), shape).ravel() for k, v in stored.items()
            }
        except ValueError:
            raise Misfit(
                f"a constant does not fit the shape {list(shape)}", "export it again"
            ) from None
        if not whole:
            return None
        rows, which = np.unique(np.stack(list(whole.values()), 1), axis=0, return_inverse=True)
        read: list[Neurons] = []
        for row in rows:
            fields = {**node.fields, **dict(zip(whole, (np.asarray(v) for v in row), strict=True))}
            neurons = read_neurons(
                replace(node, fields=fields), self.step.nominal, refuse, whole=self.step.whole
            )
            if neurons is None:
                return None
            if neurons.gain == 0:
                raise Misfit("its time constant is infinite, no input reaches it", "shorten it")
            read.append(neurons)
        parts = [np.array([getattr(n, name) for n in read]) for name in ("beta", "alpha", "gain")]
        if self.row.library == "snntorch":
            # snnTorch's decays were float32 before they became time constants.
            parts[:2] = [part.astype(np.float32).astype(np.float64) for part in parts[:2]]
        spread = [
            part.reshape(()) if len(read) == 1 else part[which.ravel()].reshape(shape)
            for part in parts
        ]
        return read[0], spread[0], spread[1], spread[2]

    def _readout(self, node: StoredNode, inputs: tuple[str, ...]) -> GraphNode | None:
        """LI and CubaLI: a membrane that is read, its gain in the weights before it."""
        plain = replace(
            node,
            type="LIF" if node.type == "LI" else "CubaLIF",
            fields={**node.fields, "v_threshold": np.asarray(1.0)},
        )
        found = self._constants(plain, self.shapes[inputs[0]])
        if found is None:
            return None
        first, beta, alpha, gain = found
        if beta.size > 1 or first.leak.any():
            raise Misfit("constants that differ, or a v_leak", "give a read-out one of each")
        scaled = f"{node.name}.gain"
        if float(gain) != 1:
            self._put(NormNode(scaled, inputs, gain=gain.reshape(1)))
            inputs = (scaled,)
        return ReadoutNode(node.name, inputs, beta=float(beta), alpha=float(alpha))

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


def _as_image(values: Any, shape: Shape) -> Array:
    """Values ``(C, L)`` along a line with a height of one; others as they are."""
    array = np.asarray(values)
    if len(shape) == 3 and shape[1] == 1 and array.shape == (shape[0], shape[2]):
        return array[:, None]
    return array


def _joined(unsupported: Unsupported) -> tuple[str, str]:
    whats = dict.fromkeys(what for what, _ in unsupported.reasons)
    return "; ".join(whats), "; ".join(dict.fromkeys(hint for _, hint in unsupported.reasons))
