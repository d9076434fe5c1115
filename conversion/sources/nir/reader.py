"""From a NIR graph to layers: constants read, shapes followed from the input to the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal
from sdcl_neuro.network.notes import Note
from sdcl_neuro.network.spec import Convolution, Kind, Shape

from ...lowering.pooling import Pool
from .assumed import assumptions
from .chain import NEURONS, SYNAPSES, NirStage, read_chain
from .dialects import as_known, row_of, translate
from .file import Tree
from .inline import StoredNode, contract, inline, kind_of
from .neurons import Neurons, read_neurons
from .pools import read_pools
from .shapes import MAX_NEURONS, fits, out_shape
from .signatures import check_signature
from .step import StatedStep, find_step
from .synapses import StoredSynapse, read_synapse
from .values import Array, Refuse, numbers
from .writers import Writer


@dataclass(frozen=True)
class RawLayer:
    """A layer as the graph has it: weights as stored, the gain still apart.

    Attributes:
        weight, bias, recurrent_weight, recurrent_bias: as stored.
        neurons: the constants of the population.
        in_shape: before the pooling.
        where: how messages name the population.
        pool: what stands before the synapse.
    """

    name: str
    kind: Kind
    weight: Array
    bias: Array | None
    recurrent_weight: Array | None
    recurrent_bias: Array | None
    convolution: Convolution | None
    neurons: Neurons
    in_shape: Shape
    out_shape: Shape
    where: str
    pool: Pool | None = None


@dataclass(frozen=True)
class RawNetwork:
    """All layers of a graph, as far as they can be read.

    Attributes:
        input_shape: of one step; None if it cannot be read.
        layers: None where one was refused.
        loose: populations without a layer, since that was refused, each with its place.
        step: the step they were read for; None if there is none, which is a refusal.
        row: who wrote the graph.
        assumed: what was taken by default.
        problems: every refusal; `checked` raises them.
    """

    input_shape: Shape | None
    layers: tuple[RawLayer | None, ...]
    loose: tuple[tuple[str, Neurons], ...]
    step: StatedStep | None
    row: Writer
    assumed: tuple[Note, ...] = ()
    problems: tuple[Refusal, ...] = ()

    def checked(self, where: str) -> tuple[Shape, tuple[RawLayer, ...], StatedStep]:
        """Return shape, layers and step if nothing was refused.

        Raises:
            NetworkRefused: with every reason.
        """
        layers = [layer for layer in self.layers if layer is not None]
        whole = len(layers) == len(self.layers)
        if self.problems or self.input_shape is None or self.step is None or not whole:
            raise NetworkRefused(self.problems, where=where)
        return self.input_shape, tuple(layers), self.step


def read_raw(
    tree: Tree, *, dt: float | None = None, writer: str | None = None, where: str
) -> RawNetwork:
    """Read a graph as far as any reader can, with all that is wrong with it.

    Args:
        tree: as `file.read_tree` or `memory.tree_of` give it.
        dt: length of one step in seconds, if it was given.
        writer: who wrote it, a name in `writers.WRITERS`; None for NIR's own words.
        where: how to call it in messages.

    Raises:
        InputError: not a graph, an unknown writer, a step that is none.
    """
    if kind_of(tree) != "NIRGraph":
        raise InputError(f"the root is {kind_of(tree)!r}, not a graph", where=where)
    row, problems = row_of(writer), _Once()
    nodes, edges = inline(tree, "", problems.items)
    edges, broken = contract(nodes, edges), bool(problems.items)
    metadata = tree.get("metadata")
    found = find_step(nodes.values(), metadata, dt=dt, writer=writer, refuse=problems.add)
    step = StatedStep(None, "unknown") if found is None else found
    if found is not None:
        check_signature(nodes.values(), writer, step, problems.add)
    read = _Reader(
        {n: translate(as_known(node), row, step.nominal) for n, node in nodes.items()}, problems
    )
    read.all_nodes(step if found is not None else None)
    chain = read_chain(read.nodes, edges, broken=broken)
    for problem in chain.problems:
        problems.add(problem)
    shape = None if chain.source is None else input_shape(chain.source, problems.add)
    layers, sent = [], shape
    for stage in chain.stages:
        layer, sent = read.layer(stage, sent)
        layers.append(layer)
    words = assumptions(nodes, row, step, writer=writer)
    loose = read.loose([layer for layer in layers if layer is not None])
    return RawNetwork(shape, tuple(layers), loose, found, row, words, tuple(problems.items))


class _Once:
    """Refusals in the order they came, each once."""

    def __init__(self) -> None:
        self.items: list[Refusal] = []

    def add(self, problem: Refusal) -> None:
        if problem not in self.items:
            self.items.append(problem)


def input_shape(node: StoredNode, refuse: Refuse) -> Shape | None:
    """Return the shape of one step's input, without a leading batch axis of one (Norse writes
    it).
    """
    array = numbers(node, "shape", refuse)
    if array is None:
        return None
    shape = tuple(int(extent) for extent in array.reshape(-1))
    if len(shape) in (2, 4) and shape[0] == 1:
        shape = shape[1:]
    if len(shape) not in (1, 3) or min(shape) < 1 or prod(shape) > MAX_NEURONS:
        what = f"its shape is {list(shape)}"
        refuse(Refusal(node.where, what, "give (C, H, W) or (N,)", of_chains=True))
        return None
    return shape


class _Reader:
    """Reads every node once, then follows shapes along the chain."""

    def __init__(self, nodes: dict[str, StoredNode], problems: _Once) -> None:
        self.nodes = nodes
        self.synapses: dict[str, StoredSynapse | None] = {}
        self.neurons: dict[str, Neurons | None] = {}
        self._bad: set[str] = set()
        self._problems = problems

    def all_nodes(self, step: StatedStep | None) -> None:
        """Read the values of every node; a population only where there is a step."""
        for name, node in self.nodes.items():
            before = len(self._problems.items)
            if node.type in SYNAPSES:
                self.synapses[name] = read_synapse(node, self._problems.add)
            elif node.type in NEURONS:
                self.neurons[name] = self._population(node, step)
            elif node.type == "Flatten":
                _check_flatten(node, self._problems.add)
            if len(self._problems.items) > before:
                self._bad.add(name)

    def loose(self, layers: list[RawLayer]) -> tuple[tuple[str, Neurons], ...]:
        """Return populations that stand in none of the layers."""
        placed = {layer.where for layer in layers}
        places = {name: self.nodes[name].where for name in self.neurons}
        return tuple(
            (places[name], neurons)
            for name, neurons in self.neurons.items()
            if neurons is not None and places[name] not in placed
        )

    def _population(self, node: StoredNode, step: StatedStep | None) -> Neurons | None:
        if step is not None:
            return read_neurons(node, step.nominal, self._problems.add, whole=step.whole)
        # Without a step its numbers can be looked at all the same.
        for key in ("v_threshold", "v_leak", "v_reset"):
            if node.fields.get(key) is not None:
                numbers(node, key, self._problems.add)
        return None

    def layer(
        self, stage: NirStage, in_shape: Shape | None
    ) -> tuple[RawLayer | None, Shape | None]:
        """Return one layer, or None where it was refused, and its shape if that can be followed."""
        refuse = self._problems.add
        synapse = self.synapses[stage.synapse.name]
        if synapse is None or in_shape is None:
            return None, None
        pool = read_pools(stage.pools, in_shape, refuse)
        if stage.pools and pool is None:
            return None, None
        pooled = in_shape if pool is None else (in_shape[0], *pool.size)
        shape = out_shape(stage, synapse, pooled, refuse)
        if shape is None:
            return None, None
        neurons, recurrent = self.neurons[stage.neurons.name], self._loop(stage)
        whole = fits(stage, neurons, recurrent, shape, refuse)
        names = {stage.synapse.name, stage.recurrent.name if stage.recurrent else ""}
        if neurons is None or not whole or names & self._bad:
            return None, shape
        kind: Kind = "dense_rec" if recurrent is not None else "dense"
        layer = RawLayer(
            name=stage.synapse.name,
            kind="conv" if synapse.convolution is not None else kind,
            weight=synapse.weight,
            bias=synapse.bias,
            recurrent_weight=None if recurrent is None else recurrent.weight,
            recurrent_bias=None if recurrent is None else recurrent.bias,
            convolution=synapse.convolution,
            neurons=neurons,
            in_shape=in_shape,
            out_shape=shape,
            where=stage.neurons.where,
            pool=pool,
        )
        return layer, shape

    def _loop(self, stage: NirStage) -> StoredSynapse | None:
        return None if stage.recurrent is None else self.synapses[stage.recurrent.name]


def _check_flatten(node: StoredNode, refuse: Refuse) -> None:
    """Refuse to flatten some axes only."""
    ends = [_whole(node.fields, "start_dim", 0), _whole(node.fields, "end_dim", -1)]
    if ends[0] not in (0, 1, -3) or ends[1] not in (-1, 2, 3):
        what = f"it flattens the axes {ends[0]} to {ends[1]} only"
        refuse(Refusal(node.where, what, "flatten all axes, from 0 to -1"))


def _whole(fields: Mapping[str, object], key: str, default: int) -> int | None:
    value = np.asarray(default if fields.get(key) is None else fields[key])
    return int(value.reshape(-1)[0]) if value.dtype.kind in "iu" and value.size == 1 else None
