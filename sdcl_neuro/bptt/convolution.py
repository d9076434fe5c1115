"""A convolution with a leaky population behind it, over all steps, in bounded memory.

Convolutions run a few steps at a time: their results stay in a cache, and are written into memory
that is used again. In float a call takes one step of the whole batch, as a loop over steps would,
so that its sums are the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from . import sparse
from .memory import empty
from .scan import Leak, Wanted, collected, parameter_gradients, spike_like, spread

CALL_ELEMENTS = 1 << 20
"""Of a few steps that are worked on together: 4 MiB, near enough for the caches."""
STRETCH_ELEMENTS = 1 << 22
"""Membranes held at a time where no backward pass will come."""


@dataclass(frozen=True)
class Geometry:
    """Of ``nn.Conv2d``: vertical and horizontal."""

    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """What does not change from step to step.

    Attributes:
        geometry: of the convolution.
        leak: the population.
        wanted: see there.
        learns: whether a backward pass will come.
        stretch: steps worked on at a time, whose membranes are computed again in the backward
            pass; None keeps those of all steps.
    """

    geometry: Geometry
    leak: Leak
    wanted: Wanted
    learns: bool = True
    stretch: int | None = None


class _Pass:
    """One way through the steps: buffers, and what goes from one stretch to the next."""

    def __init__(self, layer: Layer, spikes: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        self.layer, self.spikes, self.weight, self.bias = layer, spikes, weight.detach(), bias
        self.shape = _shape(spikes, weight, layer.geometry)
        self.integers = layer.leak.keep is not None
        self.state = torch.zeros(self.shape, dtype=weight.dtype, device=weight.device)
        self.sparse = _sparse(spikes, weight, layer.geometry)
        self.stored: Tensor | None = None
        if self.sparse is not None and self.integers:
            self.stored = self.sparse.stored(weight)
        self.offset: Tensor | None = None
        if self.integers and bias is not None:
            self.offset = spread(bias.detach()[:, None, None], torch.Size(self.shape))

    @cached_property
    def membranes(self) -> Tensor:
        """Room for those of a stretch."""
        return empty((self.length, *self.shape), self.weight)

    @property
    def length(self) -> int:
        """Steps of a stretch."""
        steps, stretch = len(self.spikes), self.layer.stretch
        if stretch is None and not self.layer.learns:
            stretch = STRETCH_ELEMENTS // self.state.numel()
        return steps if stretch is None else max(1, min(steps, stretch))

    def stretches(self) -> list[slice]:
        """All steps, a stretch at a time."""
        steps = len(self.spikes)
        return [
            slice(first, min(first + self.length, steps)) for first in range(0, steps, self.length)
        ]

    def calls(self, stretch: slice) -> list[slice]:
        """A stretch in steps that are worked on together."""
        largest = max(self.spikes[0].numel(), self.state.numel())
        each = max(1, CALL_ELEMENTS // largest)
        return [
            slice(first, min(first + each, stretch.stop))
            for first in range(stretch.start, stretch.stop, each)
        ]

    def fire(self, stretch: slice, fired: Tensor) -> Tensor:
        """Go through a stretch from `state`; `fired` is written. Returns the membranes."""
        membranes = self.membranes[: stretch.stop - stretch.start]
        calls = self.calls(stretch)
        if not self.integers:
            calls = [slice(step, step + 1) for step in range(stretch.start, stretch.stop)]
        for call in calls:
            own = slice(call.start - stretch.start, call.stop - stretch.start)
            sums = self._sums(call)
            self.layer.leak.forward(
                sums, membranes[own].view_as(sums), fired[own].view_as(sums), self.state.view(-1),
                self.offset,
            )  # fmt: skip
        return membranes

    def _sums(self, call: slice) -> Tensor:
        """What the synapses deliver in a few steps, ``[steps, N]``."""
        geometry, folded = self.layer.geometry, self.spikes[call].flatten(0, 1)
        if self.sparse is not None and self.stored is not None:
            return self.sparse.sums(folded, self.stored).view(call.stop - call.start, -1)
        sums = functional.conv2d(
            folded, self.weight, None if self.integers else self.bias, geometry.stride,
            geometry.padding,
        )  # fmt: skip
        if self.integers:
            # Rounding mends what a fast algorithm (Winograd, Fourier) left of an integer.
            sums.round_()
        return sums.contiguous().view(call.stop - call.start, -1)


class _SpikingConvolution(torch.autograd.Function):
    """Arguments: spikes, weight, bias, beta, threshold, `Layer`."""

    @staticmethod
    def forward(
        ctx: Any, spikes: Tensor, weight: Tensor, bias: Tensor | None, beta: Tensor,
        threshold: Tensor, layer: Layer,
    ) -> Tensor:  # fmt: skip
        way = _Pass(layer, spikes, weight, bias)
        fired = empty((len(spikes), *way.shape), spike_like(spikes))
        starts = []
        for stretch in way.stretches():
            if layer.stretch is not None and layer.learns:
                starts.append(way.state.clone())
            way.fire(stretch, fired[stretch])
        if layer.learns:
            kept = torch.stack(starts) if starts else way.membranes
            ctx.save_for_backward(spikes, weight, bias, beta, threshold, kept)
            ctx.layer = layer
        return fired

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        spikes, weight, bias, beta, threshold, kept = ctx.saved_tensors
        layer: Layer = ctx.layer
        way = _Pass(layer, spikes, weight, bias)
        back = _Backward(way, wanted=ctx.needs_input_grad)
        gradient = gradient.contiguous()
        for number, stretch in reversed(list(enumerate(way.stretches()))):
            membranes = kept
            if layer.stretch is not None:
                way.state.copy_(kept[number])
                again = empty((stretch.stop - stretch.start, *way.shape), gradient)
                membranes = way.fire(stretch, again)
            back.through(stretch, membranes, gradient[stretch])
        ours = parameter_gradients(back.sums, beta, threshold, layer.leak, layer.wanted)
        return back.to_spikes, back.to_weight, back.to_bias, *ours, None


class _Backward:
    """Gradients that grow from the last step to the first."""

    def __init__(self, way: _Pass, wanted: tuple[bool, ...]) -> None:
        self.way = way
        self.to_spikes = empty(way.spikes.shape, way.spikes) if wanted[0] else None
        self.to_weight = torch.zeros_like(way.weight) if wanted[1] else None
        self.to_bias = torch.zeros_like(way.bias) if wanted[2] and way.bias is not None else None
        self.carry = torch.zeros_like(way.state).view(-1)
        self.sums = collected(self.carry, learns=wanted[3] or wanted[4])
        self.weight = way.weight.contiguous(memory_format=torch.channels_last)

    def through(self, stretch: slice, membranes: Tensor, gradient: Tensor) -> None:
        """From the spikes' gradient back to the input's, the weights' and the bias's."""
        for call in reversed(self.way.calls(stretch)):
            own = slice(call.start - stretch.start, call.stop - stretch.start)
            steps = call.stop - call.start
            drive = torch.empty_like(membranes[own])
            self.way.layer.leak.backward(
                membranes[own].view(steps, -1), gradient[own].view(steps, -1),
                drive.view(steps, -1), self.carry, self.sums,
            )  # fmt: skip
            self._convolution(call, drive.flatten(0, 1))

    def _convolution(self, call: slice, drive: Tensor) -> None:
        """Torch's backward passes are faster with channels last, and so are ours."""
        way = self.way
        spikes = way.spikes[call].flatten(0, 1)
        drive = drive.contiguous(memory_format=torch.channels_last)
        if self.to_weight is not None:
            self.to_weight += self._weight_gradient(spikes, drive)
        if self.to_spikes is not None:
            # Only the shape of what came in matters here.
            shape = torch.empty_like(spikes, memory_format=torch.channels_last)
            found = self._torch(drive, shape, (True, False, False))[0]
            self.to_spikes[call].copy_(found.view_as(self.to_spikes[call]))
        if self.to_bias is not None:
            self.to_bias += drive.sum((0, 2, 3)) / way.layer.leak.unit

    def _weight_gradient(self, spikes: Tensor, drive: Tensor) -> Tensor:
        if self.way.sparse is not None:
            return self.way.sparse.weight_gradient(spikes, drive.permute(0, 2, 3, 1))
        spikes = spikes.contiguous(memory_format=torch.channels_last)
        return self._torch(drive, spikes, (False, True, False))[1]

    def _torch(self, drive: Tensor, spikes: Tensor, wanted: tuple[bool, ...]) -> list[Tensor]:
        geometry = self.way.layer.geometry
        found = torch.ops.aten.convolution_backward(
            drive, spikes, self.weight, None, geometry.stride, geometry.padding, (1, 1), False,
            (0, 0), 1, wanted,
        )  # fmt: skip
        return cast(list[Tensor], found)


def spiking_convolution(
    spikes: Tensor, weight: Tensor, bias: Tensor | None, beta: Tensor, threshold: Tensor,
    layer: Layer,
) -> Tensor:  # fmt: skip
    """Spikes ``[T, B, Ci, H, W]`` to spikes ``[T, B, Co, h, w]``, from a clean state.

    Args:
        spikes: float32.
        weight: ``[Co, Ci, kh, kw]``; integers where the population computes in integers.
        bias: ``[Co]``, in the weights' unit; where the population computes in integers, in the
            membrane's.
        beta, threshold: the parameters, for their gradients; the values are the population's.
        layer: all else.
    """
    with torch.autocast(spikes.device.type, enabled=False):
        found = _SpikingConvolution.apply(spikes, weight, bias, beta, threshold, layer)
    return cast(Tensor, found)


def _sparse(spikes: Tensor, weight: Tensor, geometry: Geometry) -> sparse.SparseConvolution | None:
    """To be used where it is faster on the step in the middle."""
    if not sparse.pays(spikes[len(spikes) // 2], weight, geometry.stride):
        return None
    height, width = spikes.shape[3:]
    outputs, inputs, rows, columns = weight.shape
    return sparse.SparseConvolution(
        (height, width), (outputs, inputs, rows, columns), geometry.stride, geometry.padding
    )


def _shape(spikes: Tensor, weight: Tensor, geometry: Geometry) -> tuple[int, ...]:
    sizes = zip(spikes.shape[3:], weight.shape[2:], geometry.stride, geometry.padding, strict=True)
    outputs = [(size + 2 * pad - kernel) // step + 1 for size, kernel, step, pad in sizes]
    return (spikes.shape[1], weight.shape[0], *outputs)
