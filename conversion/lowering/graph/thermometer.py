"""Input counts as binary spikes: one neuron for each height that a count may reach.

Neuron k fires where the count is at least k: all have the threshold T, and its weight w is such
that k w exceeds T and (k - 1) w stays below it. Their sum is the count again, so each kernel that
reads the input reads all of them with the same weights. The membrane forgets at once (vDecay
4095, of which 1/4096 stays, less than a weight of one, which the gap below T allows for).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import NetworkRefused, Refusal

from .nodes import (
    AddNode,
    ConvolutionNode,
    DenseNode,
    FloatGraph,
    Input,
    Node,
    PopulationNode,
    SliceNode,
)
from .populations import READOUT_KEPT

Array = NDArray[np.float64]

THRESHOLD = 252
COUNT_MAX = 7
"""Largest count: at the threshold above, every weight up to this one is even and exact."""


def with_thermometers(graph: FloatGraph, message_bits: int) -> FloatGraph:
    """Return the graph with its input's counts taken apart; the same where spikes are binary.

    Raises:
        NetworkRefused: counts beyond `COUNT_MAX`.
    """
    if message_bits == 0:
        return graph
    largest = (1 << message_bits) - 1
    if largest > COUNT_MAX:
        what = f"input counts up to {largest}; a graph takes at most {COUNT_MAX}"
        raise NetworkRefused([Refusal("input", what, "encode binary spikes, in more steps")])
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Input):
            nodes += _thermometer(node, largest)
        else:
            nodes.append(replace(node, inputs=tuple(_renamed(graph, n) for n in node.inputs)))
    return FloatGraph(tuple(nodes), graph.outputs, graph.meta)


def _renamed(graph: FloatGraph, name: str) -> str:
    return f"{name}.count" if isinstance(graph[name], Input) else name


def weights_of(largest: int) -> list[int]:
    """Return the weight of each height 1 to `largest`."""
    found = []
    for height in range(1, largest + 1):
        weight = 2 * (THRESHOLD // height // 2) + 2
        if not (weight * height > THRESHOLD > weight * (height - 1)):
            raise AssertionError(f"no weight for a count of {height}")
        found.append(weight)
    return found


def _thermometer(node: Input, largest: int) -> list[Node]:
    channels, flat = node.shape[0], len(node.shape) == 1
    heights = np.repeat(np.asarray(weights_of(largest), dtype=np.float64), channels)
    weight = np.tile(np.eye(channels), (largest, 1)) * heights[:, None]
    name, read = f"{node.name}.heights", (node.name,)
    synapse: Node = ConvolutionNode(f"{name}.in", read, weight=weight[:, :, None, None])
    if flat:
        synapse = DenseNode(f"{name}.in", read, weight=weight)
    neurons = PopulationNode(
        name,
        (synapse.name,),
        beta=np.asarray(READOUT_KEPT),
        threshold=np.asarray(float(THRESHOLD)),
        scale=1.0,
        hidden=True,
    )
    parts = [
        SliceNode(f"{name}.{k}", (name,), tuple(range(k * channels, (k + 1) * channels)))
        for k in range(largest)
    ]
    total = AddNode(f"{node.name}.count", tuple(part.name for part in parts))
    return [node, synapse, neurons, *parts, total]
