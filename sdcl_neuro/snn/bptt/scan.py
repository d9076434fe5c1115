"""A leaky population over all steps at once, with a backward pass of its own.

The same numbers as step by step: in float the spikes of ``snn.Leaky`` to the bit, in integers
those of the chip. Gradients differ by rounding alone.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .leak import Leak, Wanted
from .memory import empty


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
        leak.run(given, membranes, spikes.view_as(given), extra)
        ctx.leak, ctx.wanted = leak, wanted
        ctx.save_for_backward(membranes, beta, threshold, offset)
        return spikes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        membranes, beta, threshold, offset = ctx.saved_tensors
        result = empty(gradient.shape, membranes)
        given = gradient.to(membranes.dtype).contiguous().view_as(membranes)
        learns = any(ctx.needs_input_grad[1:3])
        sums = ctx.leak.return_from(membranes, given, result.view_as(membranes), learns=learns)
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
    """Return spikes ``[T, ...]`` of a population that starts clean.

    Args:
        sums: input ``[T, ...]``, float32, or float64 for a float population.
        beta, threshold: the parameters, for their gradients; the values are `leak`'s.
        offset: integers in the membrane's unit, broadcast to one step; None for none.
        leak: the population.
        wanted: see there.
    """
    return cast(Tensor, _Scan.apply(sums, beta, threshold, offset, leak, wanted))


def spike_like(sums: Tensor) -> Tensor:
    """Return a tensor of the type and device of a population's spikes: snnTorch's are float32."""
    return torch.empty(0, dtype=torch.float32, device=sums.device)


def spread(offset: Tensor, shape: torch.Size) -> Tensor:
    """Return a bias at every neuron of a step, flat."""
    return offset.expand(shape).contiguous().view(-1)


def parameter_gradients(
    sums: Tensor, beta: Tensor, threshold: Tensor, leak: Leak, wanted: Wanted
) -> tuple[Tensor | None, Tensor | None]:
    """Return gradients of beta and threshold from `collected` sums; None for both if there are
    none.
    """
    if not sums.shape[1]:
        return None, None
    to_beta, to_threshold = sums.sum(1)  # left on the device
    return (
        (to_beta * wanted.beta).to(beta.dtype).expand_as(beta),
        (to_threshold * (-wanted.threshold / leak.norm)).to(threshold.dtype).expand_as(threshold),
    )
