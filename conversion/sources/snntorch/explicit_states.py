"""States that a forward takes as arguments and returns: which argument is which result."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from sdcl_neuro.errors import InputError

from .neurons import NEURONS

_STEP_COUNTS = frozenset(
    {"num_steps", "n_steps", "steps", "timesteps", "time_steps", "num_timesteps", "T", "seq_len"}
)
_STATE_NAMES = ("mem", "syn", "spk", "spike", "state")
Path = tuple[Any, ...]


@dataclass(frozen=True)
class Signature:
    """What a forward takes besides the spikes.

    Attributes:
        optional: names of arguments that default to None, which may take states.
        required: names of arguments without a default.
        steps: the one of `required` or of the defaults that takes the number of steps, or None.
    """

    optional: tuple[str, ...]
    required: tuple[str, ...]
    steps: str | None


def signature_of(module: nn.Module) -> Signature:
    """Read the signature of a module's forward; nothing is known of a compiled one."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())[1:]
    except (TypeError, ValueError):
        return Signature((), (), None)
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    steps = next((p.name for p in named if p.name in _STEP_COUNTS), None)
    rest = [p for p in named if p.name != steps]
    return Signature(
        tuple(p.name for p in rest if p.default is None),
        tuple(p.name for p in rest if p.default is p.empty),
        steps,
    )


@dataclass
class ExplicitStates:
    """The states to hand to the next call.

    Attributes:
        paths: argument's name to where its next value stands in what the forward returns.
        first: argument's name to its value in the first call.
        values: argument's name to its value in the next call.
    """

    paths: Mapping[str, Path]
    first: Mapping[str, Any]
    values: dict[str, Any] = field(default_factory=dict)

    def clear(self) -> None:
        """Go back to the first call."""
        self.values = dict(self.first)

    def keep(self, returned: Any) -> None:
        """Take the next values from what a call returned."""
        found = {name: _at(returned, path) for name, path in self.paths.items()}
        self.values = {**self.first, **found}

    def of(self, returned: Any) -> list[Any]:
        """Return the states in what a call returned."""
        return [_at(returned, path) for path in self.paths.values()]


def find_states(module: nn.Module, signature: Signature, step: Tensor) -> ExplicitStates | None:
    """Find out by a run which arguments carry neurons' states from call to call.

    Args:
        module: held by `as_deployed`.
        signature: of its forward.
        step: one step's input.

    Returns:
        None where none does.

    Raises:
        InputError: an argument takes a state that the forward does not return.
    """
    names = (*signature.required, *signature.optional)
    if not names:
        return None
    # One zero each: snnTorch takes a state of another size than its input for a clean one.
    markers = {name: step.new_zeros(1) for name in names}
    with _watched(module) as calls:
        try:
            returned = module(step, **markers)
        except Exception:
            return _by_order(module, signature, step)
    reached = _handed_on(calls, markers)
    unused = [name for name in signature.required if name not in reached]
    if not reached or any(not name.startswith(_STATE_NAMES) for name in unused):
        return _by_order(module, signature, step)
    found = {name: _find(returned, given) for name, given in reached.items()}
    lost = sorted(name for name, path in found.items() if path is None)
    if lost:
        raise InputError(
            f"its forward takes the state {lost[0]!r} and does not return it",
            where=type(module).__name__,
            hint="return it after the spikes, or make the neurons with init_hidden=True",
        )
    first: dict[str, Any] = {name: markers[name] for name in (*reached, *unused)}
    return ExplicitStates({name: path for name, path in found.items() if path is not None}, first)


def _by_order(module: nn.Module, signature: Signature, step: Tensor) -> ExplicitStates | None:
    """Return states that begin as None and are returned behind the spikes, in the arguments'
    order.
    """
    names = signature.required or signature.optional
    first = dict.fromkeys(names)
    paths = {name: (index - len(names),) for index, name in enumerate(names)}
    states = ExplicitStates(paths, first)
    try:
        with _watched(module) as calls:
            returned = module(step, **first)
        if not isinstance(returned, tuple | list) or len(returned) <= len(names):
            return None
        states.keep(returned)
        module(step, **states.values)
    except Exception:
        return None
    kept = [given for _, output in calls for given in output if isinstance(given, Tensor)]
    carries = all(
        any(_find(states.values[name], given) is not None for given in kept) for name in names
    )
    return states if carries else None


Calls = list[tuple[dict[str, Any], Sequence[Any]]]


@contextmanager
def _watched(module: nn.Module) -> Iterator[Calls]:
    """Yield what each neuron was handed as states, by its own names, and what it gave back for
    them.
    """
    calls: Calls = []

    def hook(
        neuron: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Any
    ) -> None:
        order = list(inspect.signature(neuron.forward).parameters)[1:]
        given = {**dict(zip(order, arguments[1:], strict=False)), **named}
        handed = {name: given.get(name) for name in order}
        calls.append((handed, output[-len(order) :] if isinstance(output, tuple) else ()))

    hooks = [
        child.register_forward_hook(hook, with_kwargs=True)
        for child in module.modules()
        if isinstance(child, NEURONS)
    ]
    try:
        yield calls
    finally:
        for each in hooks:
            each.remove()


def _handed_on(calls: Calls, markers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Map an argument's name to the state that the neuron which received its marker gave back."""
    ids = {id(tensor): name for name, tensor in markers.items()}
    return {
        ids[id(value)]: states[position]
        for handed, states in calls
        for position, value in enumerate(handed.values())
        if id(value) in ids and position < len(states)
    }


def _find(returned: Any, wanted: Tensor) -> Path | None:
    """Return where a tensor stands in nested tuples, lists and dictionaries."""
    if returned is wanted:
        return ()
    inside: Sequence[tuple[Any, Any]] = ()
    if isinstance(returned, tuple | list):
        inside = list(enumerate(returned))
    elif isinstance(returned, dict):
        inside = list(returned.items())
    for key, value in inside:
        path = _find(value, wanted)
        if path is not None:
            return (key, *path)
    return None


def _at(returned: Any, path: Path) -> Any:
    for key in path:
        returned = returned[key]
    return returned
