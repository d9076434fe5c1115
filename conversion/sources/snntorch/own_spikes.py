"""The spikes that a user's own module sends, layer by layer, as it runs by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal

from .forms import ForwardForm
from .running import Deployed

Spikes = NDArray[np.uint8]

_ELEMENTS_AT_ONCE = 1 << 24
"""Elements of all neurons over all steps; samples beyond it run one after another."""


def own_spikes(
    held: Deployed, form: ForwardForm, sample: Tensor, *, neurons: Sequence[nn.Module], widest: int
) -> list[Spikes]:
    """Run a module on a sample, from clean states, and keep what each population sent.

    Args:
        held: the module, held by `running.as_deployed`.
        form: how it takes its input.
        sample: ``[T, B, ...]`` in the module's precision; static inputs ``[B, ...]``.
        neurons: the populations, each called once a step.
        widest: number of values of the largest layer in one step, for one sample.

    Returns:
        uint8 ``[T, B, *shape]`` per population, ones where it fired.

    Raises:
        InputError: its forward failed on this sample.
        NetworkRefused: a population sent something else than zeros and ones, or was not called
            once in every step.
    """
    batch_axis = 0 if form.kind == "static" else 1
    steps = form.passes if form.kind == "static" else len(sample)
    at_once = max(1, _ELEMENTS_AT_ONCE // max(1, widest * steps))
    parts = [_run(held, form, part, neurons) for part in sample.split(at_once, batch_axis)]
    names = {child: name for name, child in held.module.named_modules()}
    wanted = min(steps, form.passes or steps) if form.whole else steps
    for heard in (each for part in parts for each in part):
        heard.take_apart(wanted)
    refusals = [
        refusal
        for neuron, found in zip(neurons, parts[0], strict=True)
        for refusal in _faults(names[neuron], found, wanted)
    ]
    if refusals:
        raise NetworkRefused(refusals)
    return [np.concatenate([part[k].spikes() for part in parts], 1) for k in range(len(neurons))]


class _Heard:
    """What one population sent, a value a neuron and step.

    Attributes:
        steps: uint8 ``[B, ...]`` a call, ones where it fired.
        value: of its spikes.
        others: a value that is neither that nor zero; None if there was none.
    """

    def __init__(self, neuron: nn.Module) -> None:
        self.steps: list[Spikes] = []
        factor = getattr(neuron, "graded_spikes_factor", None)
        single = isinstance(factor, Tensor) and factor.numel() == 1
        self.value = float(factor.detach()) if isinstance(factor, Tensor) and single else 1.0
        self.others: float | None = None

    def add(self, gave: Tensor) -> None:
        """Note one call."""
        fired = gave.detach() != 0
        unlike = gave[fired] != self.value
        if self.others is None and bool(unlike.any()):
            self.others = float(gave[fired][unlike].flatten()[0])
        self.steps.append(fired.to(torch.uint8).cpu().numpy())

    def take_apart(self, steps: int) -> None:
        """Take one call that gave all steps for as many calls."""
        if len(self.steps) == 1 < steps and len(self.steps[0]) == steps:
            self.steps = list(self.steps[0])

    def spikes(self) -> Spikes:
        """Return ``[T, B, ...]``."""
        return np.stack(self.steps)


def _run(
    held: Deployed, form: ForwardForm, part: Tensor, neurons: Sequence[nn.Module]
) -> list[_Heard]:
    with _heard(neurons) as heard:
        try:
            form.drive(held, part)
        except Exception as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise InputError(
                f"its forward failed on the sample ({text})",
                where=type(held.module).__name__,
                hint="give a sample on which the module itself runs",
            ) from error
    return heard


@contextmanager
def _heard(neurons: Sequence[nn.Module]) -> Iterator[list[_Heard]]:
    heard = [_Heard(neuron) for neuron in neurons]

    def listener(into: _Heard) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            into.add(output[0] if isinstance(output, tuple | list) else output)

        return hook

    hooks = [
        neuron.register_forward_hook(listener(each))
        for neuron, each in zip(neurons, heard, strict=True)
    ]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def _faults(name: str, heard: _Heard, steps: int) -> Iterator[Refusal]:
    if len(heard.steps) != steps:
        what = f"is called {len(heard.steps)} times in {steps} steps"
        yield Refusal(name, what, "call each neuron once a step")
    if heard.others is not None:
        what = f"sends {heard.others:g} where a spike is {heard.value:g}"
        yield Refusal(name, what, "send spikes of one, and scale the next layer's weights")
