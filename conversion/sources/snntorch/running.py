"""Run a user's module as it is deployed: in ``eval()``, from clean states, and left as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import kind_of
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork
from sdcl_neuro.network.spike_file import read_spikes

from ...lowering.graph.nodes import FloatGraph
from .inventory import DROPOUTS, NORMS
from .neurons import NEURONS
from .snapshot import Snapshot, put, tensors_in, zeroed

_STATES = ("mem", "syn", "spk", "reset", "syn_exc", "syn_inh")
"""snnTorch's states; most are buffers that a state_dict leaves out, `reset` is an attribute."""
_WRAPPERS = {"DataParallel": "module", "DistributedDataParallel": "module"}


def unwrap(module: nn.Module) -> nn.Module:
    """Return the module inside ``nn.DataParallel``, its distributed kin and ``torch.compile``."""
    while True:
        name = _WRAPPERS.get(type(module).__name__, "_orig_mod")
        inner = module._modules.get(name)
        if inner is None or len(module._modules) != 1:
            return module
        module = inner


def need_module(module: object, where: str) -> nn.Module:
    """Return `module` if it is a torch module.

    Raises:
        InputError: it is scripted, or anything else.
    """
    if isinstance(module, torch.jit.ScriptModule):
        hint = "give the nn.Module that it was scripted from"
        raise InputError("a scripted module shows no layers", where=where, hint=hint)
    if isinstance(module, nn.Module):
        return module
    hint = "give the network as an nn.Module"
    if isinstance(module, type):
        hint = f"make an instance of it: {module.__name__}()"
    elif isinstance(module, Mapping):
        hint = "these are weights: build the module and call module.load_state_dict(weights)"
    elif isinstance(module, list | tuple):
        hint = "join its layers: nn.Sequential(*layers)"
    elif isinstance(module, str | Path):
        hint = "build the module and load its weights; .net and .nir files are read by load(path)"
    elif isinstance(module, FloatNetwork | FloatGraph):
        hint = "it is described already: go on with conversion.quantize"
    elif isinstance(module, IntNetwork):
        hint = "it is in a chip's integers already: use it as it is"
    raise InputError(f"expected an nn.Module, got {kind_of(module)}", where=where, hint=hint)


def need_sample(sample: object, where: str) -> Tensor | NDArray[Any]:
    """Return one input as a tensor or array of numbers; a path is read, lists are joined.

    Raises:
        InputError: it is anything else.
    """
    if isinstance(sample, str | Path):
        return read_spikes(sample)
    if isinstance(sample, Tensor):
        return sample
    hint = "give [T, B, N] or [T, B, C, H, W], as an array, a tensor or a spike file"
    if isinstance(sample, Mapping):
        hint = (
            "give one tensor; take a second input as channels of it, sliced in the forward "
            "(x[:, :2], x[:, 2:])"
        )
    if sample is None or isinstance(sample, Mapping):
        raise InputError(f"expected a sample, got {kind_of(sample)}", where=where, hint=hint)
    try:
        array = np.asarray(sample)
    except ValueError:
        what = "the sample's steps differ in length, so it is not an array"
        raise InputError(what, where=where, hint=hint) from None
    if array.dtype.kind not in "buif":
        what = f"expected a sample of numbers, got {kind_of(sample)} of {array.dtype}"
        raise InputError(what, where=where, hint=hint)
    return array


def module_input(module: nn.Module, values: Any) -> Tensor:
    """Return `values` in the precision and on the device of the module's own numbers.

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
