"""A module that is a graph beside its description: every population's spikes compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.notes import ASSUMED, NOT_CHECKED, Note, with_notes
from sdcl_neuro.network.spec import Shape

from ...graph_modules import run_nodes
from ...lowering.graph.nodes import FloatGraph, Node, PopulationNode
from ...parity.certificate import LayerParity, PairKind, PairParity
from ...parity.judge import layer_parity, verdict_of
from ...parity.rounding import UNIT, LayerRounding
from ...parity.source import about_spikes
from ...parity.source_check import (
    DESCRIPTION,
    SourceCheck,
    digest_of,
    versions_of_today,
    with_check,
)
from .check import DIFFERENT_MAX, livened, unit_of
from .forms import ForwardForm
from .graph_exact import compare_integers, in_integers
from .graph_tracing import Traced
from .integer_hooks import trains_as_graph
from .neurons import NEURONS
from .own_spikes import own_spikes
from .returned_membranes import membrane_notes, membranes_watched
from .running import Deployed
from .several_inputs import taken_apart

Spikes = NDArray[np.uint8]

_STATES = "leave the neurons' states to the neurons, starting at zero"
_ROUNDINGS = 256
"""Roundings on the way to a membrane, at the size of the largest value on that way."""


def check_graph(traced: Traced, held: Deployed, sample: Tensor) -> FloatGraph:
    """Compare a module with the graph that describes it.

    Each population is given what the module's own populations before it sent, so that a
    difference shows where it begins.

    Args:
        traced: the graph, and how the module takes its input.
        held: the module, held by `running.as_deployed`.
        sample: ``[T, B, ...]`` in its precision.

    Returns:
        The graph with the outcome in its meta; without one where some neurons do not reset as the
        chip's do, which are compared with snnTorch's that reset as they do.

    Raises:
        NetworkRefused: populations that fire otherwise than rounding explains.
    """
    graph = traced.graph
    values, assumed = livened(sample)
    places = dict(held.module.named_modules())
    found: dict[str, nn.Module] = {
        node.name: places[node.name] for node in graph.populations if node.name in places
    }
    if len(graph.populations) == 1 and not found:
        found = {graph.populations[0].name: held.module}
    shapes = [values.shape[2:], *(_shape(found[name]) for name in found)]
    widest = max(int(np.prod(shape)) for shape in shapes)
    with membranes_watched(held.module, traced.form.states) as watch:
        spikes = own_spikes(held, traced.form, values, neurons=list(found.values()), widest=widest)
    assumed = [*assumed, *membrane_notes(watch, [node.name for node in graph.readouts])]
    own = dict(zip(found, spikes, strict=True))
    membranes = _own_membranes(held, traced.form, values, graph)
    if traced.departures:
        _expect_as_departed(traced, values, own)
        return replace(graph, meta=with_notes(graph.meta, ASSUMED, assumed))
    kind: PairKind = "float"
    if trains_as_graph(held.module) and all(in_integers(each) for each in found.values()):
        kind = "exact"
        layers, rounding = compare_integers(graph, values, own, membranes), None
    else:
        layers, found_rounding = _compare(graph, values, own, membranes, unit_of(values))
        rounding = found_rounding if _differs(layers) else None
    holds, verdict = verdict_of(kind, layers, rounding)
    if kind == "exact" and not holds:
        raise NetworkRefused([_difference(layer) for layer in layers if layer.mismatches])
    if not holds:
        raise NetworkRefused([_difference(layer) for layer in layers if _beyond(layer)])
    array = values.detach().float().cpu().numpy()
    given = array.astype(np.uint8) if (array.astype(np.uint8) == array).all() else array
    source = str(graph.meta["source"])
    pair = PairParity(
        (source, DESCRIPTION), kind, holds, verdict, layers, about_spikes(given, "given")
    )
    check = SourceCheck(source, digest_of(graph), versions_of_today(), pair)
    meta = with_notes(graph.meta, ASSUMED, assumed)
    meta = with_notes(meta, NOT_CHECKED, _open_ends(graph, found, membranes))
    return with_check(replace(graph, meta=meta), check)


def _shape(module: nn.Module) -> Any:
    """Return the shape of a neuron's state after a run; None for other modules."""
    state = getattr(module, "mem", None)
    return state.shape[1:] if isinstance(state, Tensor) else ()


def _compare(
    graph: FloatGraph,
    values: Tensor,
    own: Mapping[str, Spikes],
    membranes: Mapping[str, Tensor],
    unit: float,
) -> tuple[tuple[LayerParity, ...], list[LayerRounding]]:
    layers: list[LayerParity] = []
    rounding: list[LayerRounding] = []
    sizes: dict[str, float] = {node.name: 1.0 for node in graph.inputs}
    inputs = _inputs(graph, values.detach().double().cpu())
    names = [node.name for node in graph.populations]
    for node, received, gave in run_nodes(graph, inputs):
        sizes[node.name] = _size(node, sizes, gave)
        if node.name in membranes:
            _expect_close(node, membranes[node.name], gave, unit * sizes[node.name])
        if node.name not in own or not isinstance(node, PopulationNode):
            continue
        ours = own[node.name].reshape(gave.shape)
        theirs = gave.to(torch.uint8).numpy()
        judged = _judge(node, received, ours, theirs, unit * _ROUNDINGS * sizes[node.inputs[0]])
        index = names.index(node.name)
        layers.append(layer_parity(index, node.name, ours, theirs, rounding=asdict(judged)))
        rounding.append(judged)
        # What follows is given the module's own spikes.
        gave.copy_(torch.from_numpy(ours))
    return tuple(layers), rounding


def _expect_as_departed(traced: Traced, values: Tensor, own: Mapping[str, Spikes]) -> None:
    """Refuse where the module fires otherwise than its neurons, with their own resets, would."""
    refusals = []
    inputs = _inputs(traced.graph, values.detach().double().cpu())
    for node, _, gave in run_nodes(traced.graph, inputs, traced.departures):
        if node.name not in own or not isinstance(node, PopulationNode):
            continue
        ours = torch.from_numpy(own[node.name].reshape(gave.shape)).to(gave)
        differ = int((ours != gave).sum())
        if differ > DIFFERENT_MAX * gave.numel():
            what = f"its own spikes differ from its neurons', {differ} of {gave.numel()}"
            refusals.append(Refusal(node.name, what, _STATES))
        gave.copy_(ours)
    if refusals:
        raise NetworkRefused(refusals)


def _inputs(graph: FloatGraph, values: Tensor) -> dict[str, Tensor]:
    """Return each input ``[T, B, *shape]``; several lie in the sample one after another."""
    shapes: dict[str, Shape] = {node.name: tuple(node.shape) for node in graph.inputs}
    return taken_apart(values.flatten(2), shapes)


def _size(node: Node, sizes: Mapping[str, float], gave: Tensor) -> float:
    """Return the largest value on the way from spikes to here."""
    if isinstance(node, PopulationNode):
        return 1.0
    largest = float(gave.abs().max()) if gave.numel() else 0.0
    return max(largest, *(sizes[name] for name in node.inputs))


def _judge(
    node: PopulationNode, received: Tensor, ours: Spikes, theirs: Spikes, bound: float
) -> LayerRounding:
    """Return whether the module's decisions are right, or within rounding, given its own past."""
    differ = ours != theirs
    if not differ.any():
        return LayerRounding(0, 0, 0, 0, 0.0)
    fired = torch.from_numpy(ours).double()
    beta, alpha, threshold = (
        torch.from_numpy(np.array(np.broadcast_to(v, received.shape[2:]))).double()
        for v in (node.beta, node.alpha, node.threshold)
    )
    recurrent = None if node.recurrent is None else torch.from_numpy(node.recurrent).double()
    drive = 0.0 if node.drive is None else torch.from_numpy(np.asarray(node.drive)).double()
    current = membrane = before = torch.zeros_like(received[0])
    wrong = 0
    gap = 0.0
    for step, sent in zip(received, fired, strict=True):
        if recurrent is not None:
            step = step + (before.flatten(1) @ recurrent.T).reshape(step.shape)
        current = alpha * current + step
        membrane = beta * membrane * (1 - before) + current + drive
        distance = (membrane - threshold).abs()
        faulty = (membrane > threshold) != (sent > 0)
        slack = bound + UNIT * _ROUNDINGS * (threshold.abs() + membrane.abs())
        wrong += int((faulty & (distance > slack)).sum())
        if bool(faulty.any()):
            gap = max(gap, float(distance[faulty].max()))
        before = sent
    begun = int(differ.any(0).sum())
    scale = float(np.abs(node.threshold).max()) or 1.0
    return LayerRounding(int(differ.sum()), begun, int(differ.sum()) - begun, wrong, gap / scale)


def _differs(layers: tuple[LayerParity, ...]) -> bool:
    return any(layer.mismatches for layer in layers)


def _beyond(layer: LayerParity) -> bool:
    return layer.rounding is not None and layer.rounding["unexplained"] > 0


def _difference(layer: LayerParity) -> Refusal:
    what = f"its own spikes differ from its description's, {layer.mismatches} of {layer.compared}"
    return Refusal(layer.name, what, _STATES)


def _own_membranes(
    held: Deployed, form: ForwardForm, values: Tensor, graph: FloatGraph
) -> dict[str, Tensor]:
    """Map a read-out's name to what the module itself computes there, ``[T, B, ...]``."""
    places = dict(held.module.named_modules())
    heard: dict[str, list[Tensor]] = {}
    hooks = []
    for node in graph.readouts:
        module = places.get(node.name, places.get(node.inputs[0]))
        if module is not None:
            heard[node.name] = []
            hooks.append(module.register_forward_hook(_listener(heard[node.name])))
    try:
        if hooks:
            form.drive(held, values)
    finally:
        for hook in hooks:
            hook.remove()
    found = {}
    for name, calls in heard.items():
        if len(calls) == len(values):
            found[name] = torch.stack(calls)
        elif len(calls) == 1 and len(calls[0]) in (len(values), values.shape[0] * values.shape[1]):
            found[name] = calls[0]
    return found


def _listener(into: list[Tensor]) -> Any:
    def hook(module: nn.Module, arguments: Any, output: Any) -> None:
        del arguments
        gave = output[0] if isinstance(output, tuple | list) else output
        into.append((module.mem if isinstance(module, NEURONS) else gave).detach().double().cpu())

    return hook


def _expect_close(node: Node, own: Tensor, described: Tensor, bound: float) -> None:
    """Refuse a read-out whose membrane is not the module's, but for rounding in every step."""
    off = float((own.reshape(described.shape) - described).abs().max())
    if off > bound * _ROUNDINGS * len(described):
        what = f"its membrane differs from its description's by up to {off:.3g}"
        raise NetworkRefused([Refusal(node.name, what, _STATES)])


def _open_ends(
    graph: FloatGraph, found: Mapping[str, nn.Module], membranes: Mapping[str, Tensor]
) -> list[Note]:
    why = "it is not a module of its own, called once a step, whose spikes could be compared"
    spikes = [node.name for node in graph.populations if node.name not in found]
    values = [node.name for node in graph.readouts if node.name not in membranes]
    return [
        *(Note(f"spikes of {name!r}", why) for name in spikes),
        *(Note(f"membrane of {name!r}", why) for name in values),
    ]
