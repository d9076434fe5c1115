"""A module that is a graph, prepared for training in the chip's integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.spike_file import SpikesLike
from sdcl_neuro.snn.chip_neuron import ChipNeuron

from ...lowering.graph.nodes import FloatGraph, Node, ReadoutNode
from ...lowering.graph.prices import Cure
from ...lowering.graph.reduce import reduce_graph
from ...lowering.graph.scaling import training_scales
from ...quantisation.graphs import graph_peaks, quantize_graph
from .graph_layers import NORMS
from .graph_refresh import refresh
from .graph_tracing import Traced, trace_graph
from .integer_graph import SCALE, IntegerGraph, with_scales
from .integer_hooks import BareReadout, CircuitLink, FrozenNorm, in_float, release
from .running import as_deployed, module_input, unwrap
from .several_inputs import joined_module, taken_apart


def prepare_graph(
    module: nn.Module,
    sample: Tensor | NDArray[Any] | Mapping[str, SpikesLike],
    *,
    margin: float,
    relays: Cure,
) -> None:
    """Choose scales for a graph's populations and switch it to integers, in place.

    Args:
        module: its neurons from `make_deployable`.
        sample: one input ``[T, B, ...]``, which also bounds currents and membranes; of a forward
            with several, ``{argument: input}``.
        margin: room for weights to grow in the training that follows.
        relays: see `quantize_graph`.

    Raises:
        NetworkRefused: with every reason why it cannot be trained so; nothing is changed.
    """
    inner = unwrap(module)
    if isinstance(sample, Mapping):
        # It shares children and hooks with the module, and takes all inputs as one.
        inner, sample = joined_module(inner, sample, "prepare_quantization")
    with as_deployed(inner) as held, in_float(inner):
        values = module_input(held.module, sample)
        traced = trace_graph(held.module, values)
    graph = with_scales(traced.graph, {})
    neurons = _neurons(traced)
    refusals = [*_unfit(graph, neurons), *_hidden(graph, traced)]
    if refusals:
        raise NetworkRefused(refusals)
    units = reduce_graph(graph)
    peaks = graph_peaks(graph, units, by_input(graph, values))
    scales = training_scales(units, peaks=peaks, cure=relays, margin=margin)
    _expect_place(graph, neurons, scales, relays)
    release(inner)
    _attach(inner, traced, graph, neurons, scales)


def by_input(graph: FloatGraph, values: Tensor) -> dict[str, NDArray[np.uint8]]:
    """Return each input ``[T, B, *shape]`` of a sample in which they lie one after another."""
    shapes = {node.name: node.shape for node in graph.inputs}
    parts = taken_apart(values.detach().float().cpu().flatten(2), shapes)
    return {name: each.numpy().astype(np.uint8) for name, each in parts.items()}


def _neurons(traced: Traced) -> dict[str, nn.Module]:
    """Map a population or read-out to the module that it is."""
    modules, graph = traced.origins.modules, traced.graph
    return {
        node.name: modules[node.name if node.name in modules else node.inputs[0]]
        for node in (*graph.populations, *graph.readouts)
        if node.name in modules or node.inputs[0] in modules
    }


def _unfit(graph: FloatGraph, neurons: Mapping[str, nn.Module]) -> Iterator[Refusal]:
    """Yield populations that compute in no integers."""
    for node in (*graph.populations, *graph.readouts):
        module = neurons.get(node.name)
        if isinstance(module, ChipNeuron) or _is_bare(node, module):
            continue
        kind = "no module" if module is None else type(module).__name__
        hint = "call conversion.make_deployable(module) first"
        yield Refusal(f"{node.name} ({kind})", "this neuron has no integer form", hint)


def _is_bare(node: Node, module: nn.Module | None) -> bool:
    """Return whether a read-out is a synapse without neurons."""
    return isinstance(node, ReadoutNode) and module is not None and not hasattr(module, "beta")


def _hidden(graph: FloatGraph, traced: Traced) -> Iterator[Refusal]:
    """Yield layers that compute with other numbers than they show, which training could not
    follow.
    """
    again = {node.name: node for node in refresh(graph, traced.origins).nodes}
    for node in graph.nodes:
        if not _equal(node, again[node.name]):
            what = "computes with other numbers than it shows"
            yield Refusal(node.name, what, "use torch's own layers, without hooks")
    for name, module in traced.origins.modules.items():
        on_grid = getattr(module, "parametrizations", {})
        if any("_OnGrid" in str(type(p).__mro__) for each in on_grid.values() for p in each):
            what = "its weights are rounded already, layer by layer"
            yield Refusal(name, what, "prepare a module that has not been prepared as a chain")


def _equal(one: Node, two: Node) -> bool:
    for name, value in vars(one).items():
        other = vars(two)[name]
        if isinstance(value, np.ndarray) != isinstance(other, np.ndarray):
            return False
        same = np.array_equal(value, other) if isinstance(value, np.ndarray) else value == other
        if not same:
            return False
    return True


def _expect_place(
    graph: FloatGraph,
    neurons: Mapping[str, nn.Module],
    scales: Mapping[str, float],
    relays: Cure,
) -> None:
    """Raise `NetworkRefused` where the graph at these scales has no chain; nothing is kept."""
    nodes = [
        replace(node, scale=scales[node.name], clips=True) if node.name in neurons else node  # type: ignore[call-arg]
        for node in graph.nodes
    ]
    quantize_graph(replace(graph, nodes=tuple(nodes)), relays=relays)


def _attach(
    module: nn.Module,
    traced: Traced,
    graph: FloatGraph,
    neurons: Mapping[str, nn.Module],
    scales: Mapping[str, float],
) -> None:
    whole = IntegerGraph(
        graph,
        traced.origins,
        dict(neurons),
        batch_first=traced.form.kind == "batch first",
        whole=traced.form.whole,
    )
    module.register_forward_pre_hook(whole.begin, with_kwargs=True)
    for name, each in neurons.items():
        if isinstance(each, ChipNeuron):
            each.scale.fill_(scales[name])
            each.circuit = CircuitLink(whole, name)
        else:
            value = torch.tensor(scales[name], dtype=torch.float64)
            each.register_buffer(SCALE, value.to(next(each.parameters()).device))
            each.register_forward_hook(BareReadout(whole, name))
    for each in {id(m): m for m in traced.origins.modules.values()}.values():
        if isinstance(each, NORMS):
            each.register_forward_pre_hook(FrozenNorm(whole))
