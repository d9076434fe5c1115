"""The graph inside a user's own ``forward``, found by following every tensor while it runs.

Modules of torch, snnTorch and SpikingJelly are read as a whole; whatever else a forward does,
``+``, ``torch.cat``, slices of channels, functional pooling, is seen operation by operation
(`graph_operations`). An operation that has no place in a graph loses its result, and that is
refused only where a layer would read it: what is done with the spikes that come out is not part of
the network. What a forward does with a neuron's state shows in the neuron's own spikes, which are
compared with the description's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal
from sdcl_neuro.network.spec import Shape

from ...lowering.approximate import Approximation
from ...lowering.graph.nodes import (
    ConvolutionNode,
    DenseNode,
    FloatGraph,
    Input,
    Node,
    PopulationNode,
    ReadoutNode,
)
from .forms import ForwardForm
from .graph_layers import is_layer, is_neuron, kind_of
from .graph_refresh import Origins
from .graph_values import Recording, Value
from .graph_watch import ForwardWatch
from .integer_hooks import hooks_of_others
from .inventory import PLAIN
from .several_inputs import parts_of, taken_apart

STEPS, SAMPLES, RATE = 3, 2, 0.4
_STATES = ("mem", "syn", "spk", "reset")
Drive = Callable[[nn.Module, Tensor], None]


@dataclass(frozen=True)
class Traced:
    """What was found.

    Attributes:
        graph: the description.
        form: how the module takes its input.
        origins: where the nodes' numbers come from.
        departures: population to how it resets, where that is not the chip's way.
    """

    graph: FloatGraph
    form: ForwardForm
    origins: Origins
    departures: Mapping[str, Approximation] = field(default_factory=dict)


def trace_graph(module: nn.Module, sample: Tensor, *, approximate: bool = False) -> Traced:
    """Find the graph of a module.

    Args:
        module: takes ``[T, B, ...]``, ``[B, T, ...]`` or one step ``[B, ...]``.
        sample: float ``[T, B, ...]``; only its shape counts.
        approximate: take neurons whose reset is not the chip's, too.

    Raises:
        NetworkRefused: what would be lost, every reason at once.
        InputError: the forward does not run in any of these ways.
    """
    generator = torch.Generator().manual_seed(0)
    shape = tuple(sample.shape[2:])
    probe = (torch.rand((STEPS, SAMPLES, *shape), generator=generator) < RATE).to(sample)
    faults, refused = [], None
    for drive in (_sequence, _batch_first, _steps):
        try:
            recording = _watch(module, probe, drive, approximate=approximate)
        except Exception as error:
            faults.append(f"{type(error).__name__}: {error}".splitlines()[0][:100])
            continue
        hard = [refusal for key, refusal in recording.refusals.items() if key.startswith("!")]
        neurons = (PopulationNode, ReadoutNode)
        if not hard and any(isinstance(n, neurons) for n in recording.nodes.values()):
            graph = _graph(recording, module)
            return Traced(graph, _FORMS[drive], recording.origins, recording.departures)
        # Of the ways to drive it, the reasons of the one that fits best are told.
        fit = not any("all steps" in refusal.what for refusal in hard), len(recording.nodes)
        if refused is None or fit > refused[0]:
            refused = fit, hard
    where = type(module).__name__
    if refused is not None and refused[1]:
        raise NetworkRefused(list(dict.fromkeys(refused[1])))
    what = f"its forward runs neither on all steps nor on one ({'; '.join(faults)})"
    raise InputError(what, where=where, hint="give a module whose forward takes the spikes alone")


def _sequence(module: nn.Module, given: Tensor) -> None:
    module(given)


def _batch_first(module: nn.Module, given: Tensor) -> None:
    module(given.transpose(0, 1).contiguous())


def _steps(module: nn.Module, given: Tensor) -> None:
    for step in given:
        module(step.clone())


_FORMS: dict[Drive, ForwardForm] = {
    _sequence: ForwardForm("sequence", passes=0),
    _batch_first: ForwardForm("batch first", passes=0),
    _steps: ForwardForm("step"),
}


def _watch(module: nn.Module, given: Tensor, drive: Drive, *, approximate: bool) -> Recording:
    """Run a module and follow its input."""
    steps, samples, *rest = given.shape
    recording = Recording(steps, samples, approximate)
    parts = parts_of(module) or {"input": tuple(rest)}
    for name, each in parts.items():
        shape: Shape = each if len(each) != 2 else (each[0], 1, each[1])
        recording.nodes[name] = Input(name, (), shape)
        recording.shapes[name] = shape
    watch = ForwardWatch(recording)
    with _as_deployed(module), _hooked(module, watch), torch.no_grad():
        if drive is _steps:
            for index, step in enumerate(given):
                _call_watched(module, step.clone(), watch, Value("", index))
        else:
            own = given.clone() if drive is _sequence else given.transpose(0, 1).contiguous()
            _call_watched(module, own, watch, Value("", None, batch_first=drive is _batch_first))
    return recording


def _call_watched(module: nn.Module, own: Tensor, watch: ForwardWatch, as_value: Value) -> None:
    """Call a module on one tensor, or on the several that it stands for, each noted as an input."""
    parts = parts_of(module)
    if parts is None:
        watch.recording.set(own, replace(as_value, node="input"))
        with watch:
            module(own)
        return
    given = {name: each.clone() for name, each in taken_apart(own, parts).items()}
    for name, each in given.items():
        watch.recording.set(each, replace(as_value, node=name))
    with watch:
        super(type(module), module).forward(**given)  # type: ignore[misc]


@contextmanager
def _hooked(module: nn.Module, watch: ForwardWatch) -> Iterator[None]:
    hooks = []
    for name, layer in _layers(module):
        hooked = hooks_of_others(layer)
        if hooked and not is_neuron(layer) and kind_of(layer) not in PLAIN:
            what = "has hooks, which may change what it computes"
            watch.recording.refusals[f"! {name}"] = Refusal(name, what, "remove its hooks")
        hooks.append(layer.register_forward_pre_hook(_enter(watch), prepend=True))
        hooks.append(layer.register_forward_hook(_leave(watch, name)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _layers(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    if is_layer(module):
        yield name or type(module).__name__.lower(), module
        return
    for key, child in module.named_children():
        yield from _layers(child, f"{name}.{key}" if name else key)


def _enter(watch: ForwardWatch) -> Any:
    def hook(module: nn.Module, args: Any) -> None:
        del module, args
        watch.inside += 1

    return hook


def _leave(watch: ForwardWatch, name: str) -> Any:
    def hook(module: nn.Module, args: Any, output: Any) -> None:
        watch.inside -= 1
        if not watch.inside:
            watch.inside += 1  # what is looked at here is not an operation of the forward's
            try:
                watch.layer(name, module, args, output)
            finally:
                watch.inside = 0  # a layer that failed on trial has not counted itself out

    return hook


@contextmanager
def _as_deployed(module: nn.Module) -> Iterator[None]:
    """Hold a module in ``eval()``, from clean states; everything is given back."""
    training = {child: child.training for child in module.modules()}
    kept: list[tuple[nn.Module, str, Any]] = []
    for child in module.modules():
        if not is_neuron(child):
            continue
        memories = getattr(child, "_memories", None)
        if memories is not None:
            kept.append((child, "_memories", dict(memories)))
            child.reset()  # type: ignore[operator]
            continue
        for name in _STATES:
            state = getattr(child, name, None)
            if isinstance(state, Tensor):
                kept.append((child, name, state))
                setattr(child, name, torch.zeros_like(state))
    module.eval()
    try:
        yield
    finally:
        for child, mode in training.items():
            child.training = mode
        for child, name, state in kept:
            setattr(child, name, state)


def _graph(recording: Recording, module: nn.Module) -> FloatGraph:
    """Return the nodes that lead to neurons; a synapse at the end becomes a read-out."""
    nodes = list(recording.nodes.values())
    read = {name for node in nodes for name in node.inputs}
    ends: list[Node] = []
    for node in nodes:
        if node.name not in read and isinstance(node, ConvolutionNode | DenseNode):
            name = f"{node.name}.readout"
            stored = float(getattr(recording.origins.modules[node.name], "chip_scale", 0.0))
            ends.append(ReadoutNode(name, (node.name,), scale=stored if stored > 0 else None))
    nodes += ends
    kept = {n.name for n in nodes if isinstance(n, PopulationNode | ReadoutNode | Input)}
    for node in reversed(nodes):
        if node.name in kept:
            kept.update(node.inputs)
    left = [node.name for node in nodes if node.name not in kept]
    nodes = [node for node in nodes if node.name in kept]
    read = {name for node in nodes for name in node.inputs}
    outputs = [
        node.name
        for node in nodes
        if isinstance(node, PopulationNode | ReadoutNode) and node.name not in read
    ]
    notes = [f"{name}: left to the reader of the spikes" for name in left]
    meta = {"source": f"snntorch {type(module).__name__}", "lowered": notes}
    return FloatGraph(tuple(nodes), tuple(outputs), meta)
