"""From a module that is no plain chain to the description of its graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal

from ...lowering.graph.nodes import FloatGraph
from ...lowering.graph.reduce import reduce_graph
from .graph_tracing import Traced, expect_same_spikes, trace_graph


def graph_of_module(module: nn.Module, sample: Tensor | NDArray[Any]) -> FloatGraph:
    """Describe a module as a graph, its spikes compared with its own on the first sample.

    Args:
        module: the user's network.
        sample: one input ``[T, B, N]``, ``[T, B, C, L]`` or ``[T, B, C, H, W]``.

    Raises:
        NetworkRefused: with every reason why it cannot be described, or has no place on a chip.
        InputError: its forward does not run.
    """
    values = torch.as_tensor(sample).float()
    traced = trace_graph(module, values)
    reduce_graph(traced.graph)
    note = expect_same_spikes(traced, module, values)
    return replace(traced.graph, meta={**traced.graph.meta, "traced": note})


def graph_instead(
    module: nn.Module, sample: Tensor | NDArray[Any], refused: NetworkRefused, *, approximate: bool
) -> FloatGraph:
    """The graph of a module that was refused as a chain.

    Args:
        module, sample: as for `graph_of_module`.
        refused: why it is no chain; raised again where it is one, and refused all the same.
        approximate: whether neurons that depart from the chip's were to be taken.

    Raises:
        NetworkRefused: the reasons that fit the module better.
    """
    values = torch.as_tensor(sample).float()
    try:
        traced: Traced = trace_graph(module, values)
        plain = traced.plain
        if not approximate:
            return graph_of_module(module, sample)
    except NetworkRefused as error:
        raise _better(refused, error) from None
    except InputError:
        raise refused from None
    if plain:
        raise refused
    what = "neurons in a graph are taken only as the chip computes them"
    mend = "call conversion.make_deployable(module) and train a little more"
    raise NetworkRefused([*refused.refusals, Refusal("graph", what, mend)]) from None


_ONLY_OF_CHAINS = (
    "a branch or skip",
    "an operation outside the modules",
    "max pooling",
    "differs between neurons",
    "differs between the neurons",
    "along a line",
    "transposed convolution",
    "cannot enlarge",
    "differ at the border",
    "follows the synapse",
)
"""What a chain refuses and a graph may hold."""


def _better(chain: NetworkRefused, graph: NetworkRefused) -> NetworkRefused:
    """What a graph is refused for too; or, where nothing of that is known, the graph's reasons."""
    left = [r for r in chain.refusals if not any(word in r.what for word in _ONLY_OF_CHAINS)]
    return NetworkRefused(left) if left else graph
