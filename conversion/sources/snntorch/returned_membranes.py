"""Membranes of firing neurons that a module's forward returns.

A chip sends spikes. A membrane is read there only of neurons that never fire, so that whatever a
forward returns of another's state has no counterpart; every such neuron is found and named.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, is_dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sdcl_neuro.network.notes import Note

from .explicit_states import ExplicitStates
from .graph_layers import is_neuron
from .graph_watch import SHAPE_ONLY
from .snapshot import tensors_in

_STATES = ("mem", "syn", "syn_exc", "syn_inh")
_NONE: frozenset[str] = frozenset()


@dataclass
class ReturnedMembranes(TorchFunctionMode):
    """Follows neurons' states through the operations of a forward to what it returns.

    Attributes:
        states: the states that are handed in and out, which are none of its results.
        names: neurons of which a state was returned, in order.
    """

    states: ExplicitStates | None = None
    names: dict[str, None] = field(default_factory=dict)
    _marks: dict[int, tuple[weakref.ref[Tensor], frozenset[str]]] = field(default_factory=dict)
    _inside: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not self._inside and getattr(func, "__name__", "") not in SHAPE_ONLY:
            names = frozenset().union(
                *(self._of(each) for each in tensors_in((args, kwargs or {})))
            )
            if names:
                self._mark(out, names)
        return out

    def _of(self, tensor: Tensor) -> frozenset[str]:
        reference, names = self._marks.get(id(tensor), (None, _NONE))
        return names if reference is not None and reference() is tensor else _NONE

    def _mark(self, values: Any, names: frozenset[str]) -> None:
        for each in tensors_in(values):
            self._marks[id(each)] = weakref.ref(each), names

    def _enter(self, *_: Any) -> None:
        self._inside += 1

    def _leave(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            del arguments
            self._inside -= 1
            memories = getattr(module, "_memories", None)  # SpikingJelly's
            states = [getattr(module, each, None) for each in _STATES]
            states += list(memories.values()) if isinstance(memories, dict) else []
            if isinstance(output, tuple | list):
                states += output[1:]
            self._mark(states, frozenset([name]))

        return hook

    def _returned(self, module: nn.Module, arguments: Any, output: Any) -> None:
        del module, arguments
        handed = set() if self.states is None else {id(each) for each in self.states.of(output)}
        given = vars(output) if is_dataclass(output) else output
        for each in tensors_in(given):
            if id(each) not in handed:
                self.names.update(dict.fromkeys(sorted(self._of(each))))


@contextmanager
def membranes_watched(
    module: nn.Module, states: ExplicitStates | None
) -> Iterator[ReturnedMembranes]:
    """Note, while the block runs a module, of which neurons it returns a state."""
    watch = ReturnedMembranes(states)
    hooks = []
    for name, each in module.named_modules():
        if is_neuron(each):
            hooks.append(each.register_forward_pre_hook(watch._enter))
            hooks.append(each.register_forward_hook(watch._leave(name or type(each).__name__)))
    hooks.append(module.register_forward_hook(watch._returned))  # last: it may be a neuron itself
    try:
        with watch:
            yield watch
    finally:
        for hook in hooks:
            hook.remove()


def membrane_notes(watch: ReturnedMembranes, readouts: Sequence[str] = ()) -> list[Note]:
    """Return one note for each neuron that fires and of which a state was returned.

    Args:
        watch: of `membranes_watched`.
        readouts: neurons that never fire, whose membranes are read.
    """
    why = (
        "its forward returns the membrane too, which a chip does not send while its neurons fire; "
        "to read one, return that of neurons that never reset (reset_mechanism='none'), or the "
        "sums of a Linear without neurons"
    )
    return [Note(f"spikes alone of {name!r}", why) for name in watch.names if name not in readouts]
