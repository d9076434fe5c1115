"""From a module that is not a plain chain to the description of its graph."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.nn.utils import parametrize

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal

from ...lowering.graph.nodes import FloatGraph, PopulationNode, ReadoutNode
from ...lowering.graph.reduce import reduce_graph
from .graph_check import check_graph
from .graph_tracing import Traced, trace_graph
from .integer_hooks import in_float
from .running import Deployed


def graph_of_module(held: Deployed, sample: Tensor) -> FloatGraph:
    """Describe a module as a graph, its spikes compared with its own on the sample.

    Args:
        held: the user's network, held by `running.as_deployed`.
        sample: ``[T, B, N]``, ``[T, B, C, L]`` or ``[T, B, C, H, W]``, in its precision.

    Raises:
        NetworkRefused: with every reason why it cannot be described, or has no place on a chip.
        InputError: its forward does not run.
    """
    with in_float(held.module):
        traced = _clipping(trace_graph(held.module, sample), held)
        reduce_graph(traced.graph)
    return check_graph(traced, held, sample)


def _clipping(traced: Traced, held: Deployed) -> Traced:
    """With a note at trained populations that training clipped weights as the chip does.

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
    held: Deployed, sample: Tensor, refused: NetworkRefused, *, approximate: bool
) -> FloatGraph:
    """The graph of a module that was refused as a chain.

    Args:
        held, sample: as for `graph_of_module`.
        refused: why it is not a chain; raised again where it is one, and refused all the same.
        approximate: whether neurons that depart from the chip's were to be taken.

    Raises:
        NetworkRefused: the reasons that fit the module better.
    """
    try:
        traced: Traced = trace_graph(held.module, sample)
        plain = traced.plain
        if not approximate:
            return graph_of_module(held, sample)
    except NetworkRefused as error:
        # What may be approximated is no longer a reason, and only the chain knows of that.
        raise (refused if approximate else _better(refused, error)) from None
    except InputError:
        raise refused from None
    if plain:
        raise refused
    what = "neurons in a graph are taken only as the chip computes them"
    hint = "call conversion.make_deployable(module) and train a little more"
    raise NetworkRefused([*refused.refusals, Refusal("graph", what, hint)]) from None


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
