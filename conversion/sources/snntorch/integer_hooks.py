"""What a module carries while its graph trains in integers: links of neurons, hooks of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from sdcl_neuro.snn.chip_neuron import ChipNeuron, Mode, Spread
from sdcl_neuro.snn.chip_ops import STATE_MAX, UNIT, straight_through

from .integer_graph import SCALE, IntegerGraph


@dataclass
class CircuitLink:
    """One population's end of the graph (`chip_neuron.Circuit`)."""

    whole: IntegerGraph
    name: str

    def numbers(self) -> Spread:
        """See `Circuit`."""
        return self.whole.spread(self.name)

    def sums(self) -> Tensor:
        """See `Circuit`."""
        return self.whole.deliver(self.name)

    def sent(self, spikes: Tensor) -> None:
        """See `Circuit`."""
        self.whole.note(self.name, spikes)


@dataclass
class BareReadout:
    """Hook behind a synapse that no neuron follows: the chip's sums, in the model's unit."""

    whole: IntegerGraph
    name: str
    mode: str = "float"

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Return the integers over the scale, with the gradient of the synapse itself."""
        del args
        if self.mode == "float":
            return output
        scale = float(getattr(module, SCALE))
        sums = self.whole.deliver(self.name).reshape(output.shape)
        sums = sums.clamp(-(STATE_MAX // UNIT), STATE_MAX // UNIT)
        return straight_through(sums / scale, output)


@dataclass
class FrozenNorm:
    """Hook before batch norm: its running statistics are a part of the weights in integers."""

    whole: IntegerGraph

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Take the running statistics, also while the rest of the module trains."""
        del args
        if self.whole.computes():
            module.training = False


def release(module: nn.Module) -> None:
    """Take a graph's hooks and links off a module; scales stay."""
    for child in module.modules():
        if isinstance(child, ChipNeuron):
            child.circuit = None
        for hooks in (child._forward_hooks, child._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if _ours(hook)]:
                del hooks[key]


def _ours(hook: object) -> bool:
    owner = getattr(hook, "__self__", hook)
    return isinstance(owner, IntegerGraph | BareReadout | FrozenNorm)


def hooks_of_others(module: nn.Module) -> bool:
    """Return whether a module has hooks that training in integers did not put there."""
    hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    return any(not _ours(hook) for hook in hooks)


def bare_readouts(module: nn.Module) -> Sequence[BareReadout]:
    """Return the hooks of all read-outs without neurons."""
    return [
        hook
        for child in module.modules()
        for hook in child._forward_hooks.values()
        if isinstance(hook, BareReadout)
    ]


def trains_as_graph(module: nn.Module) -> bool:
    """Return whether a graph has been prepared in it."""
    return any(isinstance(c, ChipNeuron) and c.circuit is not None for c in module.modules())


@contextmanager
def in_float(module: nn.Module) -> Iterator[None]:
    """Let a module compute in float for a while; modes are given back."""
    neurons = [child for child in module.modules() if isinstance(child, ChipNeuron)]
    ends = bare_readouts(module)
    kept: list[tuple[ChipNeuron | BareReadout, Mode]] = [(n, n.mode) for n in neurons]
    kept += [(end, end.mode) for end in ends]  # type: ignore[misc]
    for each, _ in kept:
        each.mode = "float"
    try:
        yield
    finally:
        for each, mode in kept:
            each.mode = mode
