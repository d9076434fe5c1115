"""From a module that is not a plain chain to the description of its graph."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.nn.utils import parametrize

from sdcl_neuro.errors import InputError, NetworkRefused

from ...graph_approximation import approximate_graph
from ...lowering.graph.nodes import FloatGraph, PopulationNode, ReadoutNode
from ...lowering.graph.reduce import reduce_graph
from .graph_check import check_graph
from .graph_tracing import Traced, trace_graph
from .integer_hooks import in_float
from .running import Deployed


def graph_of_module(held: Deployed, sample: Tensor, *, calibration: object = None) -> FloatGraph:
    """Describe a module as a graph, its spikes compared with its own on the sample.

    Args:
        held: the user's network, held by `running.as_deployed`.
        sample: ``[T, B, N]``, ``[T, B, C, L]`` or ``[T, B, C, H, W]``, in its precision.
        calibration: spikes; given, forms that no chain computes exactly are approximated.

    Raises:
        NetworkRefused: with every reason why it cannot be described, or has no place on a chip.
        InputError: its forward does not run.
    """
    with in_float(held.module):
        approximate = calibration is not None
        traced = _clipping(trace_graph(held.module, sample, approximate=approximate), held)
        if calibration is None:
            reduce_graph(traced.graph)
    graph = check_graph(traced, held, sample)
    if calibration is not None:
        graph = approximate_graph(graph, calibration, traced.departures)
        reduce_graph(graph)
    return graph


def _clipping(traced: Traced, held: Deployed) -> Traced:
    """Note at trained populations that training clipped weights as the chip does.

    It did wherever it rounded what a population receives, not each synapse by itself.
    """
    if any(parametrize.is_parametrized(child) for child in held.module.modules()):
        return traced
    nodes = [
        replace(node, clips=node.scale is not None)
        if isinstance(node, PopulationNode | ReadoutNode)
        else node
        for node in traced.graph.nodes
    ]
    return replace(traced, graph=replace(traced.graph, nodes=tuple(nodes)))


def graph_instead(
    held: Deployed,
    sample: Tensor,
    refused: NetworkRefused,
    *,
    calibration: object,
) -> FloatGraph:
    """Return the graph of a module that was refused as a chain.

    Args:
        held, sample: as for `graph_of_module`.
        refused: why it is not a chain; raised again where it is one, and refused all the same.
        calibration: spikes, where something was to be approximated.

    Raises:
        NetworkRefused: the reasons that fit the module better.
    """
    try:
        return graph_of_module(held, sample, calibration=calibration)
    except NetworkRefused as error:
        raise _better(refused, error) from None
    except InputError:
        raise refused from None


def _better(chain: NetworkRefused, graph: NetworkRefused) -> NetworkRefused:
    """Return what a graph is refused for too; or, where nothing of that is known, the graph's
    reasons.
    """
    left = [refusal for refusal in chain.refusals if not refusal.of_chains]
    return NetworkRefused(left) if left else graph
