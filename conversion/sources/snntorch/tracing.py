"""The chain of modules inside a user's own ``forward``, found by watching it run once.

Every module's first output is followed to the module that receives the very same memory,
unchanged. Whatever else the forward does between two modules shows there as memory that no module
gave, and is refused; what it does to a neuron's state shows in its spikes, which are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal
from sdcl_neuro.network.spec import FloatLayer
from sdcl_neuro.snn.chip_neuron import ChipNeuron

from ...layer_modules import float_layer, integer_layer
from ...lowering.approximate import Approximation
from ...quantisation.rounding import round_layer
from .chain import Lowered
from .neurons import NEURONS

Steps = list[tuple[str, nn.Module]]

DIFFERENT_MAX = 0.002
"""Folding batch norm moves membranes by rounding, and few of them across the threshold."""
_MEND = "apply the modules one after another, as nn.Sequential does"
_STATES = ("mem", "syn", "spk", "reset")


@dataclass(frozen=True)
class Call:
    """One call of one module; the versions count changes in place."""

    name: str
    module: nn.Module
    received: Tensor
    received_version: int
    gave: Tensor
    gave_version: int


def trace_chain(module: nn.Module, sample: Tensor) -> tuple[Steps, list[list[Call]]]:
    """Run `module` on the first sample of `sample` and find its chain.

    Args:
        module: takes ``[T, B, ...]``, or one time step ``[B, ...]``.
        sample: float ``[T, B, ...]``.

    Returns:
        Names and modules in order, and the calls of each pass through them.

    Raises:
        NetworkRefused: where something between the modules would be lost.
        InputError: where the forward does not run on the sample.
    """
    calls, given = _watch(module, sample[:, :1])
    if not calls:
        raise InputError("its forward calls no module", where=type(module).__name__, mend=_MEND)
    passes = _passes(calls)
    refusals = [*_entry(passes[0][0], given), *_links(passes[0])]
    order = [call.module for call in passes[0]]
    if any([call.module for call in each] != order for each in passes):
        what = "the order of its modules changes from step to step"
        refusals.append(Refusal(type(module).__name__, what, _MEND))
    if refusals:
        raise NetworkRefused(refusals)
    return list(_with_flattening(passes[0])), passes


def expect_same_spikes(lowered: Lowered, passes: Sequence[Sequence[Call]], sample: Tensor) -> str:
    """Compare the description's spikes with those the module itself sent; say what was compared.

    Where neurons depart from the description's, they are run as the module has them.

    Raises:
        NetworkRefused: for layers whose spikes differ by more than rounding.
    """
    if len(passes) != len(sample):
        return f"spikes not compared: {len(passes)} passes for {len(sample)} steps"
    flow, refusals, spikes = sample[:, :1], [], 0
    neurons = [k for k, call in enumerate(passes[0]) if isinstance(call.module, NEURONS)]
    with torch.no_grad():
        described = zip(lowered.net.layers, lowered.departures, neurons, strict=True)
        for layer, departure, position in described:
            flow = _stage(passes[0][position].module, layer, departure)(flow).float()
            own = torch.stack([each[position].gave for each in passes]).reshape(flow.shape)
            different = int((own.cpu() != flow).sum())
            spikes += int(own.sum())
            if different > DIFFERENT_MAX * flow.numel():
                what = (
                    f"its own spikes differ from its description's, {different} of {flow.numel()}"
                )
                mend = "leave the neurons' states to the neurons, starting at zero"
                refusals.append(Refusal(passes[0][position].name, what, mend))
    if refusals:
        raise NetworkRefused(refusals)
    return f"{spikes} spikes of the module itself compared on one sample"


def _stage(module: nn.Module, layer: FloatLayer, departure: Approximation | None) -> nn.Module:
    """What computes as the neuron does: in integers where it trains in them."""
    if isinstance(module, ChipNeuron) and module.mode == "int" and layer.scale is not None:
        return integer_layer(round_layer(layer, layer.scale))
    return float_layer(layer, departure)


def _watch(module: nn.Module, sample: Tensor) -> tuple[list[Call], Tensor]:
    """The calls of a run, and what the module was given: all steps, or the first only."""
    faults = []
    for given in (sample, sample[0]):
        try:
            with _recorded(module) as calls, torch.no_grad():
                module(given)
            return calls, given
        except Exception as error:
            faults.append(f"{type(error).__name__}: {error}".splitlines()[0][:120])
    raise InputError(
        f"its forward runs neither on [T, B, ...] nor on one step ({faults[0]}; {faults[1]})",
        where=type(module).__name__,
        mend="give a module whose forward takes the spikes alone",
    )


@contextmanager
def _recorded(module: nn.Module) -> Iterator[list[Call]]:
    """Note every leaf's calls, in eval and from clean states; leave the module as it was."""
    calls: list[Call] = []
    training = {child: child.training for child in module.modules()}
    states = [
        (child, name, getattr(child, name))
        for child in module.modules()
        if isinstance(child, NEURONS)
        for name in _STATES
        if isinstance(getattr(child, name, None), Tensor)
    ]
    for child, name, state in states:
        setattr(child, name, torch.zeros_like(state))
    hooks = [leaf.register_forward_hook(_note(calls, name)) for name, leaf in _leaves(module)]
    module.eval()
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()
        for child, mode in training.items():
            child.training = mode
        for child, name, state in states:
            setattr(child, name, state)


def _leaves(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Modules that are steps of a chain: neurons whole, and whatever has no module inside."""
    inside = [child for key, child in module.named_children() if key != "parametrizations"]
    if isinstance(module, NEURONS) or not inside:
        yield name, module
        return
    for key, child in module.named_children():
        yield from _leaves(child, f"{name}.{key}" if name else key)


def _note(calls: list[Call], name: str) -> Any:
    def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        gave = output[0] if isinstance(output, tuple) else output
        if not arguments or not isinstance(arguments[0], Tensor) or not isinstance(gave, Tensor):
            raise TypeError(f"{name} does not take and give a tensor")
        received = arguments[0]
        calls.append(Call(name, module, received, received._version, gave, gave._version))

    return hook


def _passes(calls: Sequence[Call]) -> list[list[Call]]:
    """Calls cut where the first module is called again."""
    passes: list[list[Call]] = []
    for call in calls:
        if call.module is calls[0].module:
            passes.append([])
        passes[-1].append(call)
    return passes


def _entry(first: Call, given: Tensor) -> Iterator[Refusal]:
    for source in (given, given[0]):
        if torch.equal(first.received.flatten(), source.flatten().to(first.received)):
            return
    what = "receives something else than the spikes given"
    yield Refusal(first.name, what, "change the spikes before the network, not in it")


def _links(calls: Sequence[Call]) -> Iterator[Refusal]:
    for before, call in pairwise(calls):
        if _same_memory(before, call):
            continue
        other = next((c.name for c in calls if c is not before and _same_memory(c, call)), None)
        what = f"an operation outside the modules changes what it receives from {before.name!r}"
        if other is not None:
            what = f"receives {other!r}, not {before.name!r} before it: a branch or skip"
        yield Refusal(call.name, what, _MEND)


def _same_memory(before: Call, call: Call) -> bool:
    gave, received = before.gave, call.received
    return (
        received.data_ptr() == gave.data_ptr()
        and call.received_version == before.gave_version
        and received.shape in (gave.shape, gave.flatten(1).shape)
        and (received.is_contiguous() or received.stride() == gave.stride())
    )


def _with_flattening(calls: Sequence[Call]) -> Iterator[tuple[str, nn.Module]]:
    for index, call in enumerate(calls):
        before = calls[index - 1].gave.ndim if index else call.received.ndim
        if call.received.ndim < before and not isinstance(call.module, nn.Flatten):
            yield f"{call.name} (flattened)", nn.Flatten()
        yield call.name, call.module
