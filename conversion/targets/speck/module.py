"""Speck's layers as sinabs modules: with our leak, without it, and event by event.

sinabs' neurons hold float32, in which the chip's integers are exact: 8-bit weights, 16-bit
membranes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import need
from sdcl_neuro.network.fixed_point import DECAY_UNITY
from sdcl_neuro.network.spec import IntNetwork

from .configuration import core_settings, speck_configuration
from .layers import PURPOSE, WORD_MAX, SpeckLayer

Spikes = NDArray[np.uint8]
MAX_EVENTS = 1 << 22
"""Neuron states that the run event by event may go through."""


class SpeckModule(torch.nn.Module):
    """A chain of convolutions and sinabs' neurons in the chip's integers.

    ``module(x)`` takes ``[B, T, C, H, W]``, as sinabs does, and returns every layer's spikes.

    Args:
        layers: as the chip holds them.
        decays: of each layer's membrane a step, of 4096; None integrates without a leak.
    """

    def __init__(self, layers: Sequence[SpeckLayer], decays: Sequence[int] | None = None) -> None:
        super().__init__()
        self.described = list(layers)
        self.neurons = torch.nn.ModuleList(
            _neuron(layer, None if decays is None else decays[index])
            for index, layer in enumerate(layers)
        )
        for index, layer in enumerate(layers):
            weight = torch.from_numpy(layer.weight).to(torch.float32)
            self.register_buffer(f"weight_{index}", weight)
            bias = None if layer.bias is None else torch.from_numpy(layer.bias).float()
            self.register_buffer(f"bias_{index}", bias)

    def forward(self, spikes: Tensor, ticks: Tensor | None = None) -> list[Tensor]:
        """Run from rest; every layer's spikes ``[B, T, C, H, W]``.

        Args:
            spikes: of the input.
            ticks: ``[T]``, 1 where a bias is added; None adds it in every step.
        """
        found = []
        for index, layer in enumerate(self.described):
            folded = _pooled(spikes, layer)
            weight = self.get_buffer(f"weight_{index}")
            sums = functional.conv2d(folded, weight, None, layer.stride, layer.padding).unflatten(
                0, spikes.shape[:2]
            )
            bias = getattr(self, f"bias_{index}")
            if bias is not None:
                added = bias.view(-1, 1, 1)
                sums = sums + (added if ticks is None else ticks.view(-1, 1, 1, 1) * added)
            neuron = self.neurons[index]
            cast("Callable[[], None]", neuron.reset_states)()
            spikes = neuron(sums)
            found.append(spikes)
        return found

    def core_settings(self) -> dict[int, dict[str, Any]]:
        """Return what every core that is used is set to: core number to samna's names and
        values.
        """
        return core_settings(self.described)

    def configuration(self) -> object:
        """Return samna's configuration of the chip with these layers, where samna is installed.

        Raises:
            EnvironmentFault: it is not.
        """
        return speck_configuration(self.described)


def _pooled(spikes: Tensor, layer: SpeckLayer) -> Tensor:
    """Return sums over windows of ``[B, T, C, H, W]``, as ``[B * T, *in_shape]``; edges are left
    out.
    """
    if layer.pool == 1:
        return spikes.reshape(-1, *layer.in_shape)
    return functional.avg_pool2d(spikes.flatten(0, 1), layer.pool, divisor_override=1)


def _neuron(layer: SpeckLayer, decay: int | None) -> torch.nn.Module:
    """Return sinabs' neuron: one spike a step, reset to zero, membranes of 16 bits."""
    sinabs = need("sinabs.layers", PURPOSE)
    activation = need("sinabs.activation", PURPOSE)
    common = {
        "spike_threshold": torch.tensor(float(layer.threshold)),
        "spike_fn": activation.SingleSpike,
        "reset_fn": activation.MembraneReset(),
        "min_v_mem": -float(WORD_MAX),
    }
    kept = 1.0 if decay is None else (DECAY_UNITY - decay) / DECAY_UNITY
    if kept == 1.0:
        found: torch.nn.Module = sinabs.IAF(**common)
    else:
        tau = -1.0 / log(kept) if kept > 0 else 1e-3
        found = sinabs.LIF(tau_mem=tau, norm_input=False, **common)
    return found


def run_steps(module: SpeckModule, spikes: Spikes) -> list[Spikes]:
    """Run a module step by step; every layer's spikes, uint8 ``[T, B, C, H, W]``."""
    given = torch.from_numpy(spikes.reshape(*spikes.shape[:2], *_given(module, spikes))).float()
    with torch.no_grad():
        found = module(given.transpose(0, 1))
    return [one.transpose(0, 1).to(torch.uint8).numpy() for one in found]


def run_events(module: SpeckModule, spikes: Spikes, *, seed: int = 0) -> list[Spikes]:
    """Run event by event, as a chip without steps does; spikes added up by step.

    The events of a step come one after another in a random order; each passes through all layers
    before the next one. A bias is added once, at the end of its step.

    Args:
        module: without leak.
        spikes: uint8 ``[T, 1, *input_shape]``, one sample.
        seed: of the order.

    Raises:
        InputError: more than one sample, or more events than memory holds.
    """
    if spikes.shape[1] != 1:
        raise InputError(f"{spikes.shape[1]} samples", where="speck", hint="give one at a time")
    rng = np.random.default_rng(seed)
    flat = spikes.reshape(len(spikes), -1)
    owner: list[int] = []
    active: list[int] = []
    for step, one in enumerate(flat):
        events = rng.permutation(np.flatnonzero(one)).tolist()
        active += [*events, -1]  # -1: the end of the step, when biases are added
        owner += [step] * (len(events) + 1)
    size = max(int(np.prod(layer.out_shape)) for layer in module.described)
    if len(active) * max(size, flat.shape[1]) > MAX_EVENTS * 64:
        raise InputError(
            f"{len(active):,} events through {size:,} neurons", where="speck", hint="give less"
        )
    given = torch.zeros(1, len(active), flat.shape[1])
    for place, number in enumerate(active):
        if number >= 0:
            given[0, place, number] = 1
    ticks = torch.tensor([float(number < 0) for number in active])
    with torch.no_grad():
        found = module(given.unflatten(2, _given(module, spikes)), ticks)
    steps = torch.tensor(owner)
    return [
        torch.zeros(len(flat), 1, *one.shape[2:])
        .index_add_(0, steps, one[0].unsqueeze(1))
        .clamp(max=255)
        .to(torch.uint8)
        .numpy()
        for one in found
    ]


def _given(module: SpeckModule, spikes: Spikes) -> tuple[int, ...]:
    """Return shape of one step of the input: as it comes, or as the first layer reads it where
    flat.
    """
    return spikes.shape[2:] if spikes.ndim == 5 else module.described[0].in_shape


def decays_of(net: IntNetwork) -> list[int]:
    """Return each layer's decay a step, of 4096."""
    return [layer.neuron.voltage_decay for layer in net.layers]
