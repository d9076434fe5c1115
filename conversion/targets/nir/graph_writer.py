"""Graphs written as NIR: skips and branches as edges, what NIR has no word for as what it has.

Sums are edges that meet. Concatenated and picked channels go through convolutions of one pixel, or
matrices, of ones and zeros; so do norms with a shift. What enlarges an image goes through
convolutions that put its rows and columns where they belong (`enlarging`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sdcl_neuro.errors import NetworkRefused, Refusal

from ...lowering.graph.nodes import (
    AddNode,
    ConcatNode,
    ConvolutionNode,
    DenseNode,
    FlattenNode,
    FloatGraph,
    Input,
    NormNode,
    PoolNode,
    PopulationNode,
    ReadoutNode,
    SliceNode,
    UpsampleNode,
)
from ...lowering.graph.shapes import Misfit, shapes_of, where_of
from . import enlarging, linear_nodes, neuron_nodes, pool_nodes
from .writing import Writing


def graph_nodes(graph: FloatGraph, dt: float) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the NIR nodes and edges of a graph.

    Args:
        graph: the description.
        dt: length of a step in seconds.

    Raises:
        NetworkRefused: with every node that NIR has no words for.
    """
    import nir

    w, refusals = Writing(shapes_of(graph), dt), []
    for node in graph.nodes:
        if any(name not in w.ends for name in node.inputs):
            continue  # it reads a node that was refused
        try:
            w.ends[node.name] = _WRITERS[type(node)](node, w)
        except Misfit as misfit:
            refusals.append(Refusal(where_of(node), *misfit.args))
    if refusals:
        raise NetworkRefused(refusals)
    for index, name in enumerate(graph.outputs):
        end = "output" if len(graph.outputs) == 1 else f"output_{index}"
        w.put(end, nir.Output(np.array(w.shapes[name])), w.ends[name])
    return w.nodes, w.edges


def _input(node: Input, w: Writing) -> list[str]:
    import nir

    return [w.put(node.name, nir.Input(np.array(node.shape)), [])]


_WRITERS: Mapping[type, Callable[[Any, Writing], list[str]]] = {
    Input: _input,
    ConvolutionNode: linear_nodes.convolution,
    DenseNode: linear_nodes.dense,
    NormNode: linear_nodes.norm,
    FlattenNode: linear_nodes.flatten,
    AddNode: linear_nodes.add,
    ConcatNode: linear_nodes.concat,
    SliceNode: linear_nodes.pick,
    UpsampleNode: enlarging.upsampled,
    PoolNode: pool_nodes.pool,
    PopulationNode: neuron_nodes.population,
    ReadoutNode: neuron_nodes.readout,
}
