"""One run of a user's forward, followed operation by operation and layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sdcl_neuro.errors import Refusal

from ...lowering.graph.shapes import Misfit
from .graph_layers import is_neuron, many_steps, node_of
from .graph_operations import apply_operation
from .graph_values import Recording, Value, known

SHAPE_ONLY = ("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like")
"""Their results take a shape from the input, and no values."""
_QUIET = (
    *SHAPE_ONLY,
    "new_zeros",
    "new_ones",
    "new_full",
    "new_empty",
    "__get__",
    "__set__",
    "dim",
    "size",
    "numel",
    "__len__",
    "is_floating_point",
    "device",
)


@dataclass
class ForwardWatch(TorchFunctionMode):
    """Follows operations outside of layers.

    Attributes:
        recording: the graph so far.
        inside: how many layers are being run.
        at: the layer that ran last, for messages.
        users: neuron to the nodes that it was given.
    """

    recording: Recording
    inside: int = 0
    at: str = "input"
    users: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        out = func(*args, **given)
        name = getattr(func, "__name__", str(func))
        if self.inside or name in _QUIET or name.startswith("__set"):
            return out
        tensors = [each for each in tensors_of(args, given) if self.recording.of(each) is not None]
        if tensors:
            self._note(name, args, given, out, tensors)
        return out

    def _note(self, name: str, args: Any, kwargs: Any, out: Any, tensors: Sequence[Tensor]) -> None:
        r = self.recording
        lost = next((v for t in tensors if isinstance(v := r.of(t), str)), None)
        outs = [out] if isinstance(out, Tensor) else list(tensors_of((out,), {}))
        start = 0
        for index, each in enumerate(outs):
            if lost is not None:
                r.set(each, lost)
                continue
            more, positional = dict(kwargs), args
            asked = name
            if len(outs) > 1 or name in ("unbind", "chunk", "split", "tensor_split"):
                asked, positional, more = _one_of(name, args, kwargs, index, start)
                start += each.shape[more.get("axis", 0)] if "axis" in more else 0
            try:
                r.set(each, apply_operation(r, asked, positional, more, each))
            except Misfit as misfit:
                key = f"after {self.at}: {misfit.args[0]}"
                r.refusals.setdefault(key, Refusal(f"after {self.at}", *misfit.args))
                r.set(each, key)

    def layer(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        """Note a call of a layer."""
        r, received = self.recording, next(tensors_of(args, {}), None)
        gave = next(tensors_of((output,), {}), None)
        if received is None or gave is None:
            raise TypeError(f"{name} does not take and give a tensor")
        value = r.of(received)
        if value is None:
            return  # nothing of the input reaches it
        where = f"module {name} ({type(module).__name__})"
        try:
            found = self._layer(name, module, received, gave)
            r.set(gave, found)
            for state in list(tensors_of((output,), {}))[1:]:
                r.set(state, Value(found.node, found.step, state=True))
        except Misfit as misfit:
            if not isinstance(value, str):
                r.refusals[f"! {name}: {misfit.args[0]}"] = Refusal(where, *misfit.args)
            elif value in r.refusals:
                r.refusals[f"! {value}"] = r.refusals[value]
            r.set(gave, f"! {name}")
        self.at = name

    def _layer(self, name: str, module: nn.Module, received: Tensor, gave: Tensor) -> Value:
        r, value = self.recording, known(self.recording, received)
        if value.stacked:
            raise Misfit("reads a stack of tensors", "join them along the channels")
        read = value.node
        if is_neuron(module):
            self.users.setdefault(name, set()).add(read)
            if len(self.users[name]) > 1:
                what = "is used twice in a step, with one state"
                raise Misfit(what, "give each use its own neurons")
            if (value.step is None) != many_steps(module):
                what = "is given all steps at once" if value.step is None else "takes all steps"
                raise Misfit(what, "loop over the steps, or use step_mode='m'")
        node = node_of(r, name, module, read, received, gave)
        found = r.laid_out(
            Value(node, value.step, batch_first=value.batch_first), tuple(gave.shape)
        )
        if found is None or found.node != node:
            raise Misfit(f"gives a tensor of shape {list(gave.shape)}", "keep steps and samples")
        return found


def _one_of(
    name: str, args: Any, kwargs: Any, index: int, start: int
) -> tuple[str, Any, dict[str, Any]]:
    """Return one result of several: a step of `unbind`, a part of `chunk` or `split`."""
    if name == "unbind":
        axis = kwargs.get("dim", args[1] if len(args) > 1 else 0)
        return "select", (args[0], axis, index), {}
    if name in ("chunk", "split"):
        axis = kwargs.get("dim", args[2] if len(args) > 2 else 0)
        return name, args, {"start": start, "axis": axis % args[0].ndim}
    return f"{name}, which gives several tensors,", args, {}


def tensors_of(args: Any, kwargs: Mapping[str, Any]) -> Iterator[Tensor]:
    """Yield every tensor among the arguments of a call, in lists and tuples too."""
    for each in (*args, *kwargs.values()):
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, tuple | list):
            yield from tensors_of(each, {})
