"""Forms of a graph that no chain computes exactly, changed to the nearest that one does.

Max pooling of currents, which takes the largest current of a window, moves behind the neurons: each
pixel gets a neuron of its own, and the pooled neuron is taken to fire where one in its window does.
Decays of more values than a population may have layers are replaced by those of their clusters.
A bias that passes a current's decay becomes the constant that it tends to.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.fixed_point import current_decay, voltage_decay
from sdcl_neuro.network.spec import Shape

from ..approximate import Approximation
from .nodes import (
    ConcatNode,
    FlattenNode,
    FloatGraph,
    Input,
    Node,
    NormNode,
    PoolNode,
    PopulationNode,
    SliceNode,
    UpsampleNode,
)
from .reduce import biases_before_currents
from .shapes import shapes_of

Array = NDArray[np.float64]

CLUSTERS = 4
"""Pairs of decays, and so layers, that a population with too many is given."""
_ROUNDS = 50
_KEEPS_SPIKES = (SliceNode, ConcatNode, FlattenNode, UpsampleNode)


@dataclass(frozen=True)
class Loosened:
    """A graph with its inexact forms replaced.

    Attributes:
        graph: what a chain computes.
        words: population to what was approximated there.
        stands: population to the node whose spikes stand for the original's; itself if absent.
    """

    graph: FloatGraph
    words: dict[str, tuple[str, ...]]
    stands: dict[str, str]


def loosen(graph: FloatGraph, *, depth: int, departures: Mapping[str, Approximation]) -> Loosened:
    """Replace what no chain computes exactly; what has no near form is left as it is.

    Args:
        graph: the description.
        depth: pairs of decays that a population may have.
        departures: population to how its original resets; the description's resets to zero.
    """
    words = {name: list(departure.words) for name, departure in departures.items()}
    stands: dict[str, str] = {}
    shapes = shapes_of(graph)
    for pool, neurons in list(_pooled_currents(graph, shapes)):
        graph = _moved(graph, pool, neurons)
        stands[neurons.name] = f"{neurons.name}.{pool.name}"
        words.setdefault(neurons.name, []).append(
            f"max pooling of currents ({pool.name}) became max pooling of its spikes"
        )
    graph = _past_currents(graph, words)
    nodes: list[Node] = []
    shapes = shapes_of(graph)
    for node in graph.nodes:
        if isinstance(node, PopulationNode) and node.recurrent is None:
            found = _pairs(node, shapes[node.name])
            distinct = {(voltage_decay(b), current_decay(a)) for b, a in found}
            if len(distinct) > depth:
                node = _clustered(node, found, shapes[node.name])
                words.setdefault(node.name, []).append(
                    f"{len(distinct)} pairs of decays became {CLUSTERS}"
                )
        nodes.append(node)
    changed = replace(graph, nodes=tuple(nodes))
    return Loosened(changed, {name: tuple(each) for name, each in words.items()}, stands)


def _past_currents(graph: FloatGraph, words: dict[str, list[str]]) -> FloatGraph:
    """Return the graph with biases before a current as what they tend to, straight on the
    membranes.
    """
    shapes, biases = shapes_of(graph), biases_before_currents(graph)
    nodes: list[Node] = []
    for node in graph.nodes:
        bias = biases.get(node.name)
        if isinstance(node, PopulationNode) and bias is not None:
            shape = shapes[node.name]
            alpha, known = (
                np.broadcast_to(0.0 if values is None else values, shape)
                for values in (node.alpha, node.drive)
            )
            each = bias.reshape(-1, *[1] * (len(shape) - 1))
            taken = NormNode(f"{node.name}.bias", node.inputs, np.ones(1), -bias)
            nodes.append(taken)
            node = replace(node, inputs=(taken.name,), drive=known + each / (1 - alpha))
            words.setdefault(node.name, []).extend(Approximation(filters_bias=True).words)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _pooled_currents(
    graph: FloatGraph, shapes: dict[str, Shape]
) -> Iterator[tuple[PoolNode, PopulationNode]]:
    """Yield each max pooling of sums that leads to one population alone, past norms or not."""
    spiking: set[str] = set()
    for node in graph.nodes:
        kept = isinstance(node, _KEEPS_SPIKES) or (
            isinstance(node, PoolNode) and node.kind == "max"
        )
        if isinstance(node, Input | PopulationNode) or (kept and spiking.issuperset(node.inputs)):
            spiking.add(node.name)
    for pool in graph.nodes:
        if not isinstance(pool, PoolNode) or pool.kind != "max" or spiking.issuperset(pool.inputs):
            continue
        at: Node = pool
        while True:
            readers = [each for each in graph.nodes if at.name in each.inputs]
            if len(readers) != 1 or readers[0].inputs != (at.name,):
                break
            at = readers[0]
            if isinstance(at, PopulationNode):
                if _even(at, shapes[at.name]):
                    yield pool, at
                break
            # The largest stays the largest only past a factor above zero.
            if not isinstance(at, NormNode) or (at.gain <= 0).any():
                break


def _even(node: PopulationNode, shape: Shape) -> bool:
    """Return whether all pixels of a channel have the same neuron, so that there may be more of
    them.
    """
    if node.recurrent is not None or len(shape) != 3:
        return False
    for values in (node.beta, node.alpha, node.threshold, node.drive):
        if values is None:
            continue
        whole = np.broadcast_to(values, shape)
        if (whole != whole[:, :1, :1]).any():
            return False
    return True


def _moved(graph: FloatGraph, pool: PoolNode, neurons: PopulationNode) -> FloatGraph:
    """Return the graph with a max pooling behind the neurons that read it."""
    behind = replace(pool, name=f"{neurons.name}.{pool.name}", inputs=(neurons.name,))
    nodes: list[Node] = []
    for node in graph.nodes:
        if node is pool:
            continue
        if pool.name in node.inputs:
            node = replace(node, inputs=pool.inputs)
        elif neurons.name in node.inputs:
            read = tuple(behind.name if n == neurons.name else n for n in node.inputs)
            node = replace(node, inputs=read)
        if isinstance(node, PopulationNode) and node.name == neurons.name:
            beta, alpha, threshold = (
                _per_channel(each) for each in (node.beta, node.alpha, node.threshold)
            )
            drive = None if node.drive is None else _per_channel(node.drive)
            node = replace(node, beta=beta, alpha=alpha, threshold=threshold, drive=drive)
        nodes.append(node)
        if node.name == neurons.name:
            nodes.append(behind)
    return replace(graph, nodes=tuple(nodes))


def _per_channel(values: Array) -> Array:
    """Return a parameter that broadcasts to any height and width."""
    if values.ndim < 3:
        return values if values.ndim == 0 else values.reshape(-1)[:1].reshape(())
    return np.ascontiguousarray(values[:, :1, :1])


def _pairs(node: PopulationNode, shape: Shape) -> list[tuple[float, float]]:
    """Return beta and alpha of each channel; of its first neuron, where they differ within one."""
    beta, alpha = (
        np.broadcast_to(values, shape).reshape(shape[0], -1)[:, 0]
        for values in (node.beta, node.alpha)
    )
    return [(float(b), float(a)) for b, a in zip(beta, alpha, strict=True)]


def _clustered(
    node: PopulationNode, pairs: list[tuple[float, float]], shape: Shape
) -> PopulationNode:
    """Return the population with the decays of their clusters, channel by channel."""
    centres = cluster(np.asarray(pairs), CLUSTERS)
    ones = [1] * (len(shape) - 1)
    beta, alpha = (centres[:, k].reshape(shape[0], *ones) for k in range(2))
    return replace(node, beta=beta, alpha=alpha)


def cluster(points: Array, count: int) -> Array:
    """Return each of ``[N, D]`` points replaced by the mean of its cluster (k-means).

    It starts from quantiles along the first axis that differs, so that the same points always
    give the same clusters.
    """
    from scipy.cluster.vq import kmeans2

    order = np.lexsort(points.T[::-1])
    starts = order[((np.arange(count) + 0.5) * len(points) / count).astype(int)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a cluster without points keeps its centre
        centres, nearest = kmeans2(points, points[starts], iter=_ROUNDS, minit="matrix")
    replaced: Array = centres[nearest]
    return replaced
