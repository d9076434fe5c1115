"""Find which reset a neuron of snnTorch really has by running it next to known neurons.

Its names do not tell: ``reset_mechanism`` set after construction leaves the function in place that
resets, ``load_state_dict`` brings along the buffer ``reset_mechanism_val`` of another neuron, which
an immediate reset obeys, and a subclass may do as it likes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import snntorch as snn
import torch
from torch import Tensor, nn

from sdcl_neuro.network.spec import Shape

_NAMES = ("subtract", "zero", "none")
_FUNCTIONS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}
_STEPS, _SAMPLES = 24, 4
_NEURON_STEPS = 1 << 15
"""A small population is run on more samples, up to so many neuron steps."""
_SAMPLES_MAX = 256
_DIFFERENT_MAX = 1e-4
"""A subclass may compute the same in another order: so few neurons may round across."""


@dataclass(frozen=True)
class Reset:
    """How a neuron resets.

    Attributes:
        kind: ``zero``, ``subtract`` or ``none``.
        delayed: with the next step (snnTorch's ``reset_delay``), not at once.
    """

    kind: str
    delayed: bool


RESETS = tuple(Reset(kind, delayed) for kind in ("zero", "subtract") for delayed in (False, True))


def find_reset(neuron: Any, shape: Shape) -> Reset | None:
    """Return the reset by which a neuron fires as one of snnTorch's own; None if it does not.

    A neuron that does not run by itself is believed: its network is run, too.

    Args:
        neuron: a Leaky, Synaptic or RLeaky, in ``eval()``.
        shape: of its population, without time and batch.
    """
    currents = _currents(neuron, shape)
    buffers, attributes = dict(neuron._buffers), dict(neuron.__dict__)
    try:
        own = _fired(neuron, currents)
    except Exception:
        return named_reset(neuron)
    finally:
        neuron.__dict__.update(attributes)
        neuron._buffers.update(buffers)
    for reset in _in_order(neuron):
        twin = _twin(neuron, reset)
        if twin is None:
            continue
        other = _fired(twin, currents)
        if own.shape == other.shape and int((own != other).sum()) <= _DIFFERENT_MAX * own.numel():
            return reset
    return None


def named_resets(neuron: Any) -> tuple[str, str, str]:
    """Return what a neuron's parts say: its function, its loaded buffer, its attribute."""
    function = _FUNCTIONS.get(getattr(neuron.state_function, "__name__", ""), "unknown")
    value = int(neuron.reset_mechanism_val)
    stored = _NAMES[value] if value in range(len(_NAMES)) else str(value)
    return function, stored, str(neuron.reset_mechanism)


def named_reset(neuron: Any) -> Reset:
    """Return what a neuron's function and delay say."""
    return Reset(named_resets(neuron)[0], bool(getattr(neuron, "reset_delay", True)))


def _in_order(neuron: Any) -> Iterator[Reset]:
    """Yield what it says it is first: where two resets fire alike, that is the one."""
    named = named_reset(neuron)
    yield named
    yield from (reset for reset in (*RESETS, Reset("none", True)) if reset != named)


def _currents(neuron: Any, shape: Shape) -> Tensor:
    """Return input that makes a neuron fire often and leaves it alone often, ``[T, B, *shape]``."""
    neurons = max(1, prod(shape))
    samples = min(_SAMPLES_MAX, max(_SAMPLES, _NEURON_STEPS // (neurons * _STEPS)))
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn((_STEPS, samples, *shape), generator=generator)
    threshold = neuron.threshold.detach().abs().cpu().float()
    leading = [1] * max(0, len(shape) - threshold.ndim)
    try:
        reach = threshold.reshape(*leading, *threshold.shape).clamp(min=1e-3)
        drawn = (0.5 + 0.8 * drawn) * reach
    except RuntimeError:
        pass  # a threshold that does not fit is refused where it is read
    return drawn.to(neuron.threshold)


def _fired(neuron: nn.Module, currents: Tensor) -> Tensor:
    """Return spikes ``[T, B, *shape]``, from whatever state the neuron starts in at another
    shape.
    """
    fired = []
    with torch.no_grad():
        for step in currents:
            given = neuron(step.clone())
            fired.append((given[0] if isinstance(given, tuple | list) else given) != 0)
    return torch.stack(fired)


def _twin(neuron: Any, reset: Reset) -> nn.Module | None:
    """Return a new neuron of snnTorch with the same numbers and a reset that is what it says."""
    options: dict[str, Any] = {
        "threshold": neuron.threshold.detach(),
        "reset_mechanism": reset.kind,
        "reset_delay": reset.delayed,
        "spike_grad": neuron.spike_grad,
    }
    beta = neuron.beta.detach()
    twin: Any
    try:
        if isinstance(neuron, snn.Synaptic):
            twin = snn.Synaptic(neuron.alpha.detach(), beta, **options)
        elif isinstance(neuron, snn.RLeaky):
            twin = snn.RLeaky(beta, all_to_all=False, V=torch.ones(1), **options)
            twin.recurrent = neuron.recurrent
        else:
            twin = snn.Leaky(beta, **options)
    except ValueError:
        return None  # no such reset
    # snnTorch's class-wide list of neurons would keep every network ever read alive.
    snn.SpikingNeuron.instances.pop()
    return twin.to(neuron.threshold.device)  # type: ignore[no-any-return]
