"""From a NIR graph to layers: constants read, shapes followed from the input to the output."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal
from sdcl_neuro.network.spec import Convolution, Kind, Shape

from ...lowering.pooling import Pool
from .chain import Chain, Stage, read_chain
from .file import Tree
from .inline import Node
from .pools import read_pools
from .values import (
    DEFAULT_DT,
    SNNTORCH_DT,
    Array,
    Neurons,
    Refuse,
    Synapse,
    numbers,
    read_neurons,
    read_synapse,
    step_of_snntorch,
)

MAX_NEURONS = 1 << 28
"""Elements of one layer's shape; a declared shape costs nothing to write and much to run."""
SNNTORCH_EXPORT = "snnTorch's export, r = tau / 1e-4"


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
    """All layers of a graph, the step in seconds they were read for, and where that comes from."""

    input_shape: Shape
    layers: tuple[RawLayer, ...]
    dt: float
    dt_source: str


def read_raw(tree: Tree, *, dt: float | None, where: str, any_reset: bool = False) -> RawNetwork:
    """Read a graph as far as any reader can; see `graph.from_nir` for the errors."""
    if tree.get("type") != "NIRGraph":
        raise InputError(f"the root is {tree.get('type')!r}, not a graph", where=where)
    chain = read_chain(tree)
    problems = list(chain.problems)
    if chain.source is None:
        raise NetworkRefused(problems, where=where)
    step, source = _step(tree, chain, dt, where)
    shape = _input_shape(chain.source, problems.append)
    input_shape = shape
    layers: list[RawLayer] = []
    for stage in chain.stages:
        neurons = read_neurons(stage.neurons, step, problems.append, any_reset=any_reset)
        layer = _read_layer(stage, shape, neurons, problems.append)
        if layer is None:
            shape = None
        else:
            layers.append(layer)
            shape = layer.out_shape
    if problems or input_shape is None:
        raise NetworkRefused(problems, where=where)
    return RawNetwork(input_shape, tuple(layers), step, source)


def _step(tree: Tree, chain: Chain, dt: float | None, where: str) -> tuple[float, str]:
    """The time step in seconds and where it comes from."""
    metadata = tree.get("metadata")
    stored = metadata.get("dt") if isinstance(metadata, dict) else None
    if dt is not None:
        value, source = dt, "given"
    elif stored is not None:
        array = np.asarray(stored)
        value = float(array.reshape(-1)[0]) if array.dtype.kind in "iuf" and array.size else 0.0
        source = "stored in the file"
    elif step_of_snntorch([stage.neurons for stage in chain.stages]):
        value, source = SNNTORCH_DT, SNNTORCH_EXPORT
    else:
        value, source = DEFAULT_DT, "assumed, the file states none"
    if not 0 < value < float("inf"):
        raise InputError(f"the step dt of {value} s is not positive", where=where, mend="give dt")
    return value, source


def _input_shape(node: Node, refuse: Refuse) -> Shape | None:
    """The shape of one step's input, without a leading batch axis of one (Norse writes it)."""
    array = numbers(node, "shape", refuse)
    if array is None:
        return None
    shape = tuple(int(extent) for extent in array.reshape(-1))
    if len(shape) in (2, 4) and shape[0] == 1:
        shape = shape[1:]
    if len(shape) not in (1, 3) or min(shape) < 1 or prod(shape) > MAX_NEURONS:
        refuse(Refusal(node.where, f"its shape is {list(shape)}", "give (C, H, W) or (N,)"))
        return None
    return shape


def _read_layer(
    stage: Stage, in_shape: Shape | None, neurons: Neurons | None, refuse: Refuse
) -> RawLayer | None:
    """One layer, or None after refusing it; without `in_shape` only its constants are looked at."""
    synapse = read_synapse(stage.synapse, refuse)
    recurrent = read_synapse(stage.recurrent, refuse) if stage.recurrent is not None else None
    if synapse is None or neurons is None or in_shape is None:
        return None
    if stage.recurrent is not None and recurrent is None:
        return None
    pool = read_pools(stage.pools, in_shape, refuse)
    if stage.pools and pool is None:
        return None
    pooled = in_shape if pool is None else (in_shape[0], *pool.size)
    out_shape = _out_shape(stage, synapse, pooled, refuse)
    if out_shape is None or not _fits(stage, neurons, recurrent, out_shape, refuse):
        return None
    kind: Kind = "dense_rec" if recurrent is not None else "dense"
    return RawLayer(
        name=stage.synapse.name,
        kind="conv" if synapse.convolution is not None else kind,
        weight=synapse.weight,
        bias=synapse.bias,
        recurrent_weight=None if recurrent is None else recurrent.weight,
        recurrent_bias=None if recurrent is None else recurrent.bias,
        convolution=synapse.convolution,
        neurons=neurons,
        in_shape=in_shape,
        out_shape=out_shape,
        where=stage.neurons.where,
        pool=pool,
    )


def _out_shape(stage: Stage, synapse: Synapse, in_shape: Shape, refuse: Refuse) -> Shape | None:
    """The shape behind a synapse, or None after refusing what does not chain."""
    weight, where = synapse.weight, stage.synapse.where
    shape: Shape | None
    if synapse.convolution is None:
        if len(in_shape) == 3 and not stage.flattened:
            what = f"no Flatten stands between the shape {list(in_shape)} and it"
            refuse(Refusal(where, what, "put a Flatten before it"))
            return None
        wanted, given, shape = weight.shape[1], prod(in_shape), weight.shape[:1]
    elif len(in_shape) != 3 or stage.flattened:
        refuse(Refusal(where, f"it reads the flat shape {list(in_shape)}", "give it (C, H, W)"))
        return None
    else:
        geometry = synapse.convolution
        wanted, given = weight.shape[1] * geometry.groups, in_shape[0]
        size = geometry.output_size(in_shape[1:], weight.shape[2:])
        shape = (weight.shape[0], *size)
    if wanted != given:
        what = f"it reads {wanted} inputs or channels, but {given} come, shape {list(in_shape)}"
        refuse(Refusal(where, what, "make the shapes follow one another"))
        return None
    if min(shape) < 1 or prod(shape) > MAX_NEURONS:
        refuse(Refusal(where, f"its output has the shape {list(shape)}", "change its geometry"))
        return None
    return shape


def _fits(
    stage: Stage, neurons: Neurons, recurrent: Synapse | None, shape: Shape, refuse: Refuse
) -> bool:
    """Whether constants and recurrence have the population's shape; else it is refused."""
    for stored in neurons.shapes:
        if prod(stored) != 1 and not _broadcasts(stored, shape):
            what = f"a constant has the shape {list(stored)}, the population {list(shape)}"
            refuse(Refusal(stage.neurons.where, what, "give one value, or one for each neuron"))
            return False
    if recurrent is None or stage.recurrent is None:
        return True
    if recurrent.convolution is not None or len(shape) != 1:
        what = "a convolution is recurrent"
        refuse(Refusal(stage.recurrent.where, what, "use a dense layer with a Linear recurrence"))
        return False
    if recurrent.weight.shape != (*shape, *shape):
        what = f"its weight is {list(recurrent.weight.shape)}, the population {list(shape)}"
        refuse(Refusal(stage.recurrent.where, what, "make it square"))
        return False
    return True


def _broadcasts(stored: tuple[int, ...], shape: Shape) -> bool:
    return len(stored) <= len(shape) and all(
        a in (1, b) for a, b in zip(reversed(stored), reversed(shape), strict=False)
    )
