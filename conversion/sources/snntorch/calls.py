"""Calls of the modules inside a module, watched while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..layers.table import layer_of
from .inventory import NORMS, SYNAPSES
from .neurons import NEURONS

_WHOLE = (*NEURONS, *SYNAPSES, *NORMS)
"""Watched as one module even where others stand inside, as in quantised layers."""
_LIBRARIES = ("torch.nn.", "torch.ao.nn.", "snntorch.")
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Call:
    """One call of one module; the versions count changes in place.

    Attributes:
        name, module: which module.
        received, gave: its first argument and its first result.
        received_version, gave_version: of these tensors' memory, at that moment.
    """

    name: str
    module: nn.Module
    received: Tensor
    received_version: int
    gave: Tensor
    gave_version: int

    @property
    def is_neuron(self) -> bool:
        """Whether the module is a population of snnTorch."""
        return isinstance(self.module, NEURONS)


@contextmanager
def recorded(module: nn.Module) -> Iterator[list[Call]]:
    """Note every leaf's calls while the block runs."""
    calls: list[Call] = []
    hooks = [
        leaf.register_forward_hook(_note(calls, name), with_kwargs=True)
        for name, leaf in leaves(module)
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def leaves(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that are a network's steps: neurons, torch's layers whole, whatever has
    no module inside.
    """
    inside = [child for key, child in module.named_children() if key != "parametrizations"]
    if _is_whole(module) or not inside:
        yield name, module
        return
    for key, child in module.named_children():
        yield from leaves(child, f"{name}.{key}" if name else key)


def _is_whole(module: nn.Module) -> bool:
    if isinstance(module, _WHOLE) or layer_of(type(module)) is not None:
        return True
    home = type(module).__module__
    return home.startswith(_LIBRARIES) and not isinstance(module, _CONTAINERS)


def passes_of(calls: Sequence[Call], *, samples: int) -> list[list[Call]]:
    """Return the calls of each time step, in the order of the first.

    A step begins where the first module is called again. A module that is called once, while the
    first neuron is called in every step, takes part in all of them: with what it gave for each
    step, if it was handed all steps, else with what it gave for all of them.

    Args:
        calls: of one run.
        samples: in the batch that was run.
    """
    first = next((index for index, call in enumerate(calls) if call.is_neuron), None)
    modules = [call.module for call in calls]
    steps = 0 if first is None else modules.count(modules[first])
    once = {id(module) for module in modules if modules.count(module) == 1}
    if first is None or steps < 2 or all(id(module) not in once for module in modules[:first]):
        return _cut(calls, modules[0])
    if any(modules.count(module) not in (1, steps) for module in modules):
        return _cut(calls, modules[0])
    order = list(dict.fromkeys(modules))
    turns = {id(module): [c for c in calls if c.module is module] for module in order}
    layers: list[Sequence[Call]] = []
    for index, module in enumerate(order):
        after = turns[id(order[index + 1])] if index + 1 < len(order) else []
        own = turns[id(module)]
        found = own if len(own) == steps else _taken_apart(own[0], after, steps, samples)
        if layers and len(own) == 1 and layers[-1][0].is_neuron:
            found = _unstacked(layers[-1], found)
        layers.append(found)
    return [list(each) for each in zip(*layers, strict=True)]


def _taken_apart(call: Call, after: Sequence[Call], steps: int, samples: int) -> Sequence[Call]:
    """Return one call for all steps as a call in each, where its input and output hold all
    steps.
    """
    found = []
    for step in range(steps):
        received = _slice(call.received, step, steps, samples)
        gave = _slice(call.gave, step, steps, samples)
        if received is None or gave is None:
            return [call] * steps
        found.append(replace(call, received=received, gave=gave))
    # Handed on whole in every step, it was computed for one input that all steps share.
    shared = len(after) == steps and after[0].received.numel() == call.gave.numel()
    return [call] * steps if shared else found


def _unstacked(neurons: Sequence[Call], calls: Sequence[Call]) -> Sequence[Call]:
    """Return calls on the spikes of all steps, stacked: as if handed each step's spikes themselves.

    Spikes are stacked by copying them, so that only their values tell.
    """
    pairs = list(zip(neurons, calls, strict=True))
    if not any(bool(before.gave.any()) for before, _ in pairs):
        return calls
    for before, call in pairs:
        if not torch.equal(before.gave.flatten(), call.received.flatten()):
            return calls
    return [
        replace(
            call,
            received=before.gave.reshape(call.received.shape),
            received_version=before.gave_version,
        )
        for before, call in pairs
    ]


def _cut(calls: Sequence[Call], start: nn.Module) -> list[list[Call]]:
    passes: list[list[Call]] = []
    for call in calls:
        if call.module is start:
            passes.append([])
        passes[-1].append(call)
    return passes


def _slice(whole: Tensor, step: int, steps: int, samples: int) -> Tensor | None:
    """Return one step of a tensor that holds all steps, first or folded into the batch, or None."""
    if whole.shape[:2] == (steps, samples):
        return whole[step]
    if len(whole) == steps * samples and steps > 1:
        return whole[step * samples : (step + 1) * samples]
    return None


def _note(calls: list[Call], name: str) -> Any:
    def hook(
        module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Any
    ) -> None:
        gave = output[0] if isinstance(output, tuple | list) and output else output
        received = next((each for each in (*arguments, *named.values())), None)
        if not isinstance(received, Tensor) or not isinstance(gave, Tensor):
            raise TypeError(f"{name or type(module).__name__} does not take and give a tensor")
        calls.append(Call(name, module, received, received._version, gave, gave._version))

    return hook
