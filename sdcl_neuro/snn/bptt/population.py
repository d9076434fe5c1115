"""One layer of a chain: its synapses and its neurons, a few steps at a time, there and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .leak import Leak, Wanted, collected
from .memory import empty
from .scan import parameter_gradients, spike_like, spread
from .synapses import LAST, Geometry, TrainedSynapses


@dataclass(frozen=True)
class LayerConstants:
    """What does not change from step to step.

    Attributes:
        geometry: of the convolution.
        leak: the population.
        wanted: see there.
    """

    geometry: Geometry
    leak: Leak
    wanted: Wanted


class Parameters(NamedTuple):
    """Neuron parameters of a layer.

    Attributes:
        weight: ``[Co, Ci, kh, kw]``; integers where the population computes in integers.
        bias: ``[Co]``, in the weights' unit; where the population computes in integers, in the
            membrane's.
        beta, threshold: for their gradients; the values are the population's.
    """

    weight: Tensor
    bias: Tensor | None
    beta: Tensor
    threshold: Tensor


class RunningLayer:
    """A layer on its way through the steps: buffers, and what goes from a few steps to the next.

    Args:
        layer: which.
        spikes: its input ``[T, B, Ci, H, W]``, of any layout.
        own: its parameters.
        channels_last: whether channels lie last in membranes and spikes, as convolutions like it.
    """

    def __init__(
        self, layer: LayerConstants, spikes: Tensor, own: Parameters, *, channels_last: bool
    ) -> None:
        self.layer, self.own, self.channels_last = layer, own, channels_last
        integers = layer.leak.keep is not None
        self.synapses = TrainedSynapses(
            spikes, own.weight, None if integers else own.bias, layer.geometry, integers=integers
        )
        samples, channels, height, width = self.synapses.shape
        self.shape = (samples, channels, height, width)
        if channels_last:
            self.shape = (samples, height, width, channels)
        self.state = torch.zeros(self.shape, dtype=own.weight.dtype)
        self.offset: Tensor | None = None
        if integers and own.bias is not None:
            by_channel = own.bias.detach() if channels_last else own.bias.detach()[:, None, None]
            self.offset = spread(by_channel, torch.Size(self.shape))

    def room(self, steps: int) -> Tensor:
        """Return memory for membranes, spikes or their gradients; all are float32."""
        return empty((steps, *self.shape), spike_like(self.state))

    def outward(self, values: Tensor) -> Tensor:
        """Rearrange from memory layout to ``[..., Co, h, w]``."""
        return values.movedim(-1, -3) if self.channels_last else values

    def inward(self, values: Tensor) -> Tensor:
        """Rearrange ``[..., Co, h, w]`` to memory layout; no copy where the layouts match."""
        return (values.movedim(-3, -1) if self.channels_last else values).contiguous()

    def fire(self, call: slice, membranes: Tensor, fired: Tensor) -> None:
        """Advance a few steps from `state`; their `membranes` and spikes are written."""
        steps = call.stop - call.start
        sums = self.inward(self.synapses.sums(call))
        self.layer.leak.forward(
            sums.view(steps, -1), membranes.view(steps, -1), fired.view(steps, -1),
            self.state.view(-1), self.offset,
        )  # fmt: skip


class Returning:
    """A population in the backward pass: gradients accumulate from the last step to the first.

    Args:
        population: which.
        steps: most that are worked on together.
        wanted: whether gradients are, of weight, bias, beta, threshold.
    """

    def __init__(self, population: RunningLayer, steps: int, wanted: tuple[bool, ...]) -> None:
        self.population, self.wanted = population, wanted
        self.drive = population.room(steps)
        self.carry = torch.zeros_like(population.state).view(-1)
        self.sums = collected(self.carry, learns=wanted[2] or wanted[3])
        self.bias: Tensor | None = None
        if wanted[1] and population.own.bias is not None:
            self.bias = torch.zeros_like(population.own.bias)

    def through(self, call: slice, membranes: Tensor, gradient: Tensor) -> Tensor:
        """Turn the gradient of a few steps' spikes, in memory layout, into that of the sums.

        Returns:
            ``[n, Co, h, w]``, channels last; the weights' and the bias's gradients have grown.
        """
        population, steps = self.population, len(membranes)
        drive = self.drive[:steps]
        population.layer.leak.backward(
            membranes.view(steps, -1), gradient.reshape(steps, -1), drive.view(steps, -1),
            self.carry, self.sums,
        )  # fmt: skip
        drive = population.outward(drive).flatten(0, 1).contiguous(memory_format=LAST)
        if self.wanted[0]:
            population.synapses.add_weight_gradient(call, drive)
        if self.bias is not None:
            self.bias += drive.sum((0, 2, 3)) / population.layer.leak.unit
        return drive

    def found(self) -> tuple[Tensor | None, ...]:
        """Return gradients of weight, bias, beta and threshold."""
        own, layer = self.population.own, self.population.layer
        weight = self.population.synapses.weight_gradient() if self.wanted[0] else None
        others = parameter_gradients(self.sums, own.beta, own.threshold, layer.leak, layer.wanted)
        return weight, self.bias, *others
