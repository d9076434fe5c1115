"""Run a user's module as it is deployed: in ``eval()``, from clean states, and left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sdcl_neuro.errors import InputError

from .inventory import DROPOUTS, NORMS
from .neurons import NEURONS
from .snapshot import Snapshot, put, tensors_in, zeroed

_STATES = ("mem", "syn", "spk", "reset", "syn_exc", "syn_inh")
"""snnTorch's states; most are buffers that a state_dict leaves out, `reset` is an attribute."""
_WRAPPERS = {"DataParallel": "module", "DistributedDataParallel": "module"}


def unwrap(module: nn.Module) -> nn.Module:
    """The module inside ``nn.DataParallel``, its distributed kin and ``torch.compile``."""
    while True:
        name = _WRAPPERS.get(type(module).__name__, "_orig_mod")
        inner = module._modules.get(name)
        if inner is None or len(module._modules) != 1:
            return module
        module = inner


def module_input(module: nn.Module, values: Any) -> Tensor:
    """`values` in the precision and on the device of the module's own numbers.

    Raises:
        InputError: its numbers have no values: they are on the device ``meta``, or a lazy layer
            has not made its weights.
    """
    where = type(module).__name__
    tensors = [*module.parameters(), *module.buffers()]
    if any(is_lazy(each) for each in tensors):
        hint = "run the module once, or load its weights"
        raise InputError("a lazy layer has no weights yet", where=where, hint=hint)
    if any(each.is_meta for each in tensors):
        what = "its numbers are on the device 'meta', which holds no values"
        raise InputError(what, where=where, hint="load its weights on 'cpu'")
    own = next((each for each in tensors if each.is_floating_point()), torch.zeros(()))
    return torch.as_tensor(values).to(device=own.device, dtype=own.dtype)


class Deployed:
    """A module while `as_deployed` holds it.

    Attributes:
        module: without wrappers, in ``eval()``.
        trained: whether dropout or batch norm inside it came in training mode.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.trained = any(
            child.training for child in module.modules() if isinstance(child, (*NORMS, *DROPOUTS))
        )
        self._snapshot = Snapshot(module)
        self._carried: dict[str, None] = {}

    def clear(self) -> None:
        """Start again: zero every state, and reset what the runs so far changed besides."""
        for child in self.module.modules():
            if isinstance(child, NEURONS):
                for name in _states_of(child):
                    state = getattr(child, name, None)
                    if isinstance(state, Tensor) and not isinstance(state, nn.Parameter):
                        setattr(child, name, torch.zeros_like(state))
        for child, name, before in list(self._snapshot.changed()):
            if isinstance(child, NEURONS) and name in (
                *_STATES,
                *child._non_persistent_buffers_set,
            ):
                continue
            if any(True for _ in tensors_in(before)):
                self._carried[self._snapshot.name_of(child, name)] = None
            put(child, name, zeroed(before))
        for child in self.module.modules():
            if isinstance(child.__dict__.get("_memories"), dict):  # SpikingJelly's
                child.reset()  # type: ignore[operator]

    @property
    def carried(self) -> tuple[str, ...]:
        """Attributes, not a neuron's own states, that held tensors which a run changed."""
        return tuple(self._carried)

    def restore(self) -> None:
        """Give the module back its attributes, buffers, states and modes."""
        self._snapshot.restore()


def _states_of(neuron: nn.Module) -> set[str]:
    return {*_STATES, *neuron._non_persistent_buffers_set}


@contextmanager
def as_deployed(module: nn.Module) -> Iterator[Deployed]:
    """Hold a module in ``eval()``, without gradients; undo at the end whatever was changed.

    Random numbers are given back too, so that a training goes on as if nothing had been run.
    """
    inner = unwrap(module)
    held = Deployed(inner)
    devices = sorted({each.device.index for each in inner.parameters() if each.is_cuda})
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        try:
            inner.eval()
            held.clear()
            yield held
        finally:
            held.restore()
