"""A leaky population over all steps at once, with a backward pass of its own.

The same numbers as step by step: in float the spikes of ``snn.Leaky`` to the bit, in integers
those of the chip. Gradients differ by rounding alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sdcl_neuro.network.fixed_point import DECAY_UNITY
from sdcl_neuro.network.spec import IntNeuron

from ..chip_ops import STATE_MAX, UNIT
from . import kernels, steps
from .memory import empty
from .surrogates import Surrogate, recognise
from .workers import share


@dataclass(frozen=True)
class Leak:
    """A population that resets to zero when the step after a spike begins.

    Attributes:
        surrogate: of the step.
        threshold: in the membrane's unit.
        beta: what a membrane keeps of itself from step to step.
        keep: the same in 4096ths where membranes are the chip's integers; else None.
        unit: of the membrane for 1 of the input.
        norm: the surrogate sees (membrane - threshold) / norm.
        largest: magnitude of a membrane.
    """

    surrogate: Surrogate
    threshold: float
    beta: float
    keep: int | None = None
    unit: float = 1.0
    norm: float = 1.0
    largest: float = float("inf")

    def forward(
        self, sums: Tensor, membranes: Tensor, spikes: Tensor, state: Tensor, offset: Tensor | None
    ) -> None:
        """Steps ``[T, N]`` from `sums`; the others are written. `membranes` may be `sums`."""
        if sums.device.type != "cpu":
            self._forward_steps(sums, membranes, spikes, state, offset)
            return
        drive, after, fired, held = (_array(each) for each in (sums, membranes, spikes, state))
        kind = drive.dtype.type
        if self.keep is None:
            share(
                kernels.leak_float, drive.shape[1], drive, after, fired, held,
                kind(self.beta), kind(self.threshold), kind(1), kind(0), work=drive.size,
            )  # fmt: skip
            return
        extra = np.empty(0, kind) if offset is None else _array(offset)
        share(
            kernels.leak_int, drive.shape[1], drive, after, extra, fired, held,
            np.int32(self.keep), kind(self.threshold), kind(self.unit), kind(self.largest),
            work=drive.size,
        )  # fmt: skip

    def backward(
        self, membranes: Tensor, gradient: Tensor, result: Tensor, carry: Tensor, sums: Tensor
    ) -> None:
        """Steps ``[T, N]``: `result` becomes the gradient of the input; see `leak_backward`."""
        kind, slope = self.surrogate.kind, gradient
        if kind == kernels.GIVEN:
            far = (membranes.clamp(-self.largest, self.largest) - self.threshold) / self.norm
            slope = self.surrogate.through(far, gradient).to(membranes.dtype)
        if membranes.device.type != "cpu":
            self._backward_steps(membranes, slope, result, carry, sums)
            return
        arrays = [_array(tensor) for tensor in (membranes, slope, result, carry)]
        one = arrays[0].dtype.type
        share(
            kernels.leak_backward, arrays[0].shape[1], *arrays, one(self.beta),
            one(self.threshold), one(self.norm), one(self.largest), one(self.unit),
            kind, one(self.surrogate.sharpness), _array(sums), work=arrays[0].size,
        )  # fmt: skip

    def _forward_steps(
        self, sums: Tensor, membranes: Tensor, spikes: Tensor, state: Tensor, offset: Tensor | None
    ) -> None:
        if self.keep is None:
            found = steps.run(steps.leak_float, sums, state, self.beta, self.threshold)
        else:
            found = steps.run(
                steps.leak_int, sums, state, offset, float(self.keep), self.threshold, self.unit,
                self.largest,
            )  # fmt: skip
        membranes.copy_(found[0])
        spikes.copy_(found[1])
        state.copy_(found[0][-1].clamp(-self.largest, self.largest))

    def _backward_steps(
        self, membranes: Tensor, slope: Tensor, result: Tensor, carry: Tensor, sums: Tensor
    ) -> None:
        found = steps.run(
            steps.leak_backward, membranes, slope, carry, self.beta, self.threshold, self.norm,
            self.largest, self.unit, self.surrogate.kind, self.surrogate.sharpness,
        )  # fmt: skip
        result.copy_(found[0])
        carry.copy_(found[3])
        if sums.shape[1]:
            sums[0] += found[1]
            sums[1] += found[2]


@dataclass(frozen=True)
class Wanted:
    """Factors that turn the sums of a backward pass into gradients of two parameters.

    Attributes:
        beta: 0 where the parameter is beyond its clamp.
        threshold: of the parameter, for 1 of the membrane's unit.
    """

    beta: float = 1.0
    threshold: float = 1.0


def float_leak(
    beta: Tensor, threshold: Tensor, spike_grad: Callable[[Tensor], Tensor], sums: Tensor
) -> tuple[Leak, Wanted] | None:
    """A ``snn.Leaky`` with reset to zero; None where torch would compute otherwise than here."""
    surrogate = recognise(spike_grad)
    if surrogate is None or not _computes(sums, (torch.float32, torch.float64)):
        return None
    if any(value.ndim and value.dtype != sums.dtype for value in (beta, threshold)):
        return None  # torch would promote the membrane
    kept = float(beta.detach())
    clamped = min(max(kept, 0.0), 1.0)
    return Leak(surrogate, float(threshold.detach()), clamped), Wanted(beta=float(kept == clamped))


def int_leak(
    neuron: IntNeuron, scale: float, spike_grad: Callable[[Tensor], Tensor], sums: Tensor
) -> tuple[Leak, Wanted] | None:
    """Loihi's neuron with an instantaneous current, trained straight through its rounding."""
    surrogate = recognise(spike_grad)
    instantaneous = neuron.current_decay == DECAY_UNITY
    if surrogate is None or not instantaneous or not _computes(sums, (torch.float32,)):
        return None
    limit, keep = neuron.threshold * UNIT, DECAY_UNITY - neuron.voltage_decay
    leak = Leak(
        surrogate, limit, keep / DECAY_UNITY, keep, UNIT, norm=max(limit, UNIT), largest=STATE_MAX
    )
    return leak, Wanted(threshold=scale * UNIT)


def _computes(sums: Tensor, types: tuple[torch.dtype, ...]) -> bool:
    return sums.dtype in types and sums.device.type in ("cpu", "cuda") and sums.numel() > 0


class _Scan(torch.autograd.Function):
    """Arguments: input ``[T, ...]``, beta, threshold, bias, population, `Wanted`."""

    @staticmethod
    def forward(
        ctx: Any, sums: Tensor, beta: Tensor, threshold: Tensor, offset: Tensor | None,
        leak: Leak, wanted: Wanted,
    ) -> Tensor:  # fmt: skip
        given = sums.detach().contiguous().view(len(sums), -1)
        membranes, spikes = empty(given.shape, given), empty(sums.shape, spike_like(sums))
        extra = None if offset is None else spread(offset.detach(), sums.shape[1:])
        leak.forward(given, membranes, spikes.view_as(given), torch.zeros_like(given[0]), extra)
        ctx.leak, ctx.wanted = leak, wanted
        ctx.save_for_backward(membranes, beta, threshold, offset)
        return spikes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        membranes, beta, threshold, offset = ctx.saved_tensors
        result = empty(gradient.shape, membranes)
        given = gradient.to(membranes.dtype).contiguous().view_as(membranes)
        sums = collected(membranes[0], learns=any(ctx.needs_input_grad[1:3]))
        carry = torch.zeros_like(membranes[0])
        ctx.leak.backward(membranes, given, result.view_as(membranes), carry, sums)
        to_offset = None
        if ctx.needs_input_grad[3]:
            to_offset = result.sum(0).sum_to_size(offset.shape) / ctx.leak.unit
        return (
            result,
            *parameter_gradients(sums, beta, threshold, ctx.leak, ctx.wanted),
            to_offset,
            None,
            None,
        )


def scan(
    sums: Tensor, beta: Tensor, threshold: Tensor, offset: Tensor | None, leak: Leak, wanted: Wanted
) -> Tensor:
    """Spikes ``[T, ...]`` of a population that starts clean.

    Args:
        sums: input ``[T, ...]``, float32, or float64 for a float population.
        beta, threshold: the parameters, for their gradients; the values are `leak`'s.
        offset: integers in the membrane's unit, broadcast to one step; None for none.
        leak: the population.
        wanted: see there.
    """
    return cast(Tensor, _Scan.apply(sums, beta, threshold, offset, leak, wanted))


def spike_like(sums: Tensor) -> Tensor:
    """A tensor of the type and device of a population's spikes: snnTorch's are float32."""
    return torch.empty(0, dtype=torch.float32, device=sums.device)


def spread(offset: Tensor, shape: torch.Size) -> Tensor:
    """A bias at every neuron of a step, flat."""
    return offset.expand(shape).contiguous().view(-1)


def collected(step: Tensor, *, learns: bool) -> Tensor:
    """Return where a backward pass adds up what beta and threshold get, neuron by neuron."""
    count = step.numel() if learns else 0
    return torch.zeros(2, count, dtype=torch.float64, device=step.device)


def parameter_gradients(
    sums: Tensor, beta: Tensor, threshold: Tensor, leak: Leak, wanted: Wanted
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of beta and threshold from `collected` sums; None for both if there are none."""
    if not sums.shape[1]:
        return None, None
    to_beta, to_threshold = sums.sum(1).tolist()
    return (
        torch.full_like(beta, to_beta * wanted.beta),
        torch.full_like(threshold, -to_threshold * wanted.threshold / leak.norm),
    )


def _array(tensor: Tensor) -> Any:
    return tensor.detach().numpy()
