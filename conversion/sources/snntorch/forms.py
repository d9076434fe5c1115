"""How a module's forward takes its input, found by running it and looking at what arrives.

A forward may take all steps at once, ``[T, B, ...]``, ``[B, T, ...]`` or as a list, and loop over
them; or one step a call, its states hidden in the neurons, kept on the module, or handed in and
out; or one input only, over which it loops by itself. A run on random spikes tells them apart:
whatever the module is handed, the first layer shows what it makes of it, step by step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal

from .calls import Call, passes_of, recorded
from .explicit_states import ExplicitStates, Signature, find_states, signature_of
from .running import Deployed

Kind = Literal["sequence", "batch first", "list", "step", "static", "in turn"]

CHAIN_MEND = "apply the modules one after another, as nn.Sequential does"
_WORDS: dict[Kind, str] = {
    "sequence": "its forward takes all steps at once, [T, B, ...]",
    "batch first": "its forward takes all steps at once, the batch first, [B, T, ...]",
    "list": "its forward takes a list of steps",
    "step": "its forward takes one step a call",
    "static": "its forward takes one static input and repeats it over {} steps itself",
    "in turn": "its neurons return their states too, so its modules were run one by one",
}
_PROBE_RATE = 0.4
_FAULT_LENGTH = 120


@dataclass(frozen=True)
class ForwardForm:
    """How a forward takes its input.

    Attributes:
        kind: see `words`.
        passes: steps that one call computes; for ``static`` its own number of steps, for those
            that take all steps at once, how many of the given ones it used, 0 if not known.
        states: the states that are handed in and out.
        steps_name: name of the argument that takes the number of steps.
        carried: attributes of the module, not of its neurons, that keep states between calls.
    """

    kind: Kind
    passes: int = 1
    states: ExplicitStates | None = None
    steps_name: str | None = None
    carried: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The form in a sentence."""
        return _WORDS[self.kind].format(self.passes)

    @property
    def whole(self) -> bool:
        """Whether one call takes all steps."""
        return self.kind in ("sequence", "batch first", "list")

    def drive(self, held: Deployed, sample: Tensor) -> None:
        """Run a module on ``[T, B, ...]``, or on a static input ``[B, ...]``, from clean states."""
        held.clear()
        module = held.module
        if self.kind in ("sequence", "static"):
            self._call(module, sample.clone())
        elif self.kind == "batch first":
            self._call(module, sample.transpose(0, 1).clone(memory_format=torch.contiguous_format))
        elif self.kind == "list":
            self._call(module, [step.clone() for step in sample])
        elif self.kind == "in turn":
            for step in sample:
                _in_turn(module, step.clone())
        else:
            self._steps(module, sample)

    def _steps(self, module: nn.Module, sample: Tensor) -> None:
        if self.states is not None:
            self.states.clear()
        for step in sample:
            given = {} if self.states is None else self.states.values
            returned = self._call(module, step.clone(), **given)
            if self.states is not None:
                self.states.keep(returned)

    def _call(self, module: nn.Module, given: Any, **states: Any) -> Any:
        if self.steps_name is not None:
            states[self.steps_name] = len(given) if self.whole else self.passes
        return module(given, **states)


@dataclass(frozen=True)
class Found:
    """A module's form, and the calls of a run on random spikes.

    Attributes:
        form: how it takes its input.
        passes: the calls of each step.
        given: the spikes of that run, ``[T, B, ...]``; of a static form the one input, repeated.
    """

    form: ForwardForm
    passes: list[list[Call]]
    given: Tensor


def find_form(held: Deployed, like: Tensor) -> Found:
    """Find out how a module takes its input.

    Args:
        held: the module, held by `as_deployed`.
        like: a sample ``[T, B, ...]`` in the module's precision; only its shape counts.

    Raises:
        InputError: its forward runs in none of the forms.
        NetworkRefused: it runs, but its first layer receives something other than the spikes.
    """
    faults: list[str] = []
    strangers: list[Refusal] = []  # what a first layer receives instead of the spikes
    for given in _probes(like):
        for form in _candidates(held, given):
            try:
                found = _attempt(held, form, given)
            except InputError:
                raise
            except Exception as error:
                text = f"{type(error).__name__}: {error}".splitlines()[0][:_FAULT_LENGTH]
                faults.append(f"{_SHORT[form.kind]}: {text}")
                continue
            if isinstance(found, Found):
                return replace(found, form=replace(found.form, carried=held.carried))
            strangers.append(found)
        if strangers:
            break
    where = type(held.module).__name__
    if strangers:
        raise NetworkRefused(sorted(strangers, key=_is_batch)[:1])
    what = f"its forward runs neither on all steps nor on one ({'; '.join(dict.fromkeys(faults))})"
    hint = "give a module whose forward takes the spikes alone"
    if like.dtype not in (torch.float32, torch.float64):
        hint = f"it computes in {like.dtype}: call module.float(), or let its forward run in that"
    raise InputError(what, where=where, hint=hint)


_SHORT: dict[Kind, str] = {
    "sequence": "[T, B, ...]",
    "batch first": "[B, T, ...]",
    "list": "a list of steps",
    "step": "one step",
    "static": "one step",
    "in turn": "one by one",
}


def _probes(like: Tensor) -> Iterator[Tensor]:
    """Yield random spikes, a few samples first; then as many as were given, for a fixed batch
    size.
    """
    steps, samples = max(2, like.shape[0]), like.shape[1]
    few = 2 if steps != 2 else 3
    generator = torch.Generator().manual_seed(0)
    for count in dict.fromkeys((few, samples)):
        chosen = torch.rand((steps, count, *like.shape[2:]), generator=generator) < _PROBE_RATE
        yield chosen.to(like)


def _candidates(held: Deployed, given: Tensor) -> Iterator[ForwardForm]:
    module = held.module
    signature = signature_of(module)
    if type(module) is nn.Sequential:
        yield ForwardForm("step")
        yield ForwardForm("in turn")
        return
    needed = [name for name in signature.required if name != signature.steps]
    steps = signature.steps
    held.clear()
    states = find_states(module, signature, given[0].clone()) if _takes_more(signature) else None
    if not needed:
        yield ForwardForm("sequence", steps_name=steps)
        yield ForwardForm("batch first", steps_name=steps)
    if states is not None:
        yield ForwardForm("step", states=states)
    if not needed:
        yield ForwardForm("step", steps_name=steps)
        yield ForwardForm("list", steps_name=steps)


def _takes_more(signature: Signature) -> bool:
    return bool(signature.required or signature.optional)


_ALL_AT_ONCE = "receives all steps at once, as one batch, and its neurons no step of their own"


def _is_batch(refusal: Refusal) -> bool:
    return refusal.what == _ALL_AT_ONCE


def _attempt(held: Deployed, form: ForwardForm, given: Tensor) -> Found | Refusal:
    """Run in one form: what was found, or why the first layer does not receive the spikes."""
    samples = given.shape[1]
    if form.kind == "step" and form.steps_name is not None:
        form = replace(form, passes=len(given))
    handed = given[:1] if form.kind in ("step", "in turn") else given
    with recorded(held.module) as calls:
        form.drive(held, handed)
    if not calls:
        where = type(held.module).__name__
        raise InputError("its forward calls no module", where=where, hint=CHAIN_MEND)
    passes = passes_of(calls, samples=samples)
    if form.whole:
        arrives = len(passes) <= len(given) and _receives(passes, given)
        form = replace(form, passes=len(passes))
    else:
        repeated = given[:1].expand(len(passes), *given.shape[1:])
        arrives = _receives(passes, repeated)
        if len(passes) > 1:
            form, given = replace(form, kind="static", passes=len(passes)), repeated
            if arrives and not _takes_as_it_is(held, form, given[0]):
                return _stranger(passes[0][0], encoded=len(passes))
    if arrives:
        return Found(form, passes, given)
    first = passes[0][0]
    if first.received.numel() == given.numel() != given[0].numel():
        return Refusal(
            first.name, _ALL_AT_ONCE, "loop over the steps, and call each module in each"
        )
    return _stranger(first, encoded=0 if form.whole else len(passes))


def _receives(passes: Sequence[Sequence[Call]], steps: Tensor) -> bool:
    """Return whether each step's first layer receives that step, whatever its shape."""
    return all(
        each[0].received.numel() == step.numel()
        and torch.equal(each[0].received.flatten(), step.flatten().to(each[0].received))
        for each, step in zip(passes, steps, strict=False)
    )


def _takes_as_it_is(held: Deployed, form: ForwardForm, like: Tensor) -> bool:
    """Return whether a static input arrives in every step as it was, and not encoded as spikes."""
    generator = torch.Generator().manual_seed(3)
    given = torch.rand(like.shape, generator=generator).to(like)
    with recorded(held.module) as calls:
        form.drive(held, given)
    passes = passes_of(calls, samples=len(like))
    return _receives(passes, given.expand(len(passes), *given.shape))


def _stranger(call: Call, *, encoded: int) -> Refusal:
    """Return why a first layer cannot be read; `encoded` steps were made of one input."""
    if encoded > 1:
        what = f"receives something other than the input given, in each of {encoded} steps"
        hint = (
            "take the encoding out of the forward: give it the steps as encoded, for example "
            f"spikegen.rate(x, num_steps={encoded}), and let it loop over them"
        )
    else:
        what = "receives something other than the spikes given"
        hint = "change the spikes before the network, not in it"
    return Refusal(call.name, what, hint)


def _in_turn(module: nn.Module, flow: Any) -> Any:
    """Return a sequence's modules one after another, each handed the spikes of the one before
    alone.
    """
    for child in module:  # type: ignore[attr-defined]
        flow = _in_turn(child, flow) if type(child) is nn.Sequential else child(flow)
        flow = flow[0] if isinstance(flow, tuple) else flow
    return flow
