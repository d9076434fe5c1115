"""A chip's integer operations on torch tensors, with gradients straight through their rounding.

Integers are held in the tensor's own float type. In float32 every one up to 2^24 is exact; the
functions say where they need more.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from sdcl_neuro.network.fixed_point import (
    DECAY_UNITY,
    STATE_LIMIT,
    STATE_SHIFT,
    WEIGHT_MAX,
    WEIGHT_MIN,
)

UNIT = float(1 << STATE_SHIFT)
"""Inputs, biases and thresholds stand so much higher in the states."""
STATE_MAX = float(STATE_LIMIT - 1)
"""Largest magnitude of a membrane."""
REGISTER_LIMIT = float(1 << 31)
"""Lava holds sums and states in 32 bits."""


class _Straight(torch.autograd.Function):
    """The first argument's value with the second one's gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, path: Tensor) -> Tensor:
        return value.to(path.dtype, copy=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, gradients[0]


class _Decay(torch.autograd.Function):
    """``sgn(v) ((|v| keep) >> 12)``; its gradient is that of ``v beta``, without the rounding."""

    @staticmethod
    def forward(ctx: Any, state: Tensor, beta: Tensor, keep: int | Tensor) -> Tensor:
        ctx.keep = keep
        ctx.beta_shape = beta.shape
        ctx.save_for_backward(state if beta.requires_grad else beta.new_empty(0))
        return (state.double() * (keep / DECAY_UNITY)).trunc().to(state.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None]:
        (gradient,) = gradients
        to_beta = None
        if ctx.needs_input_grad[1]:
            (state,) = ctx.saved_tensors
            to_beta = (gradient * state).sum_to_size(ctx.beta_shape)
        return gradient * (ctx.keep / DECAY_UNITY), to_beta, None


def straight_through(value: Tensor, path: Tensor) -> Tensor:
    """Return `value` exactly, in `path`'s type, with the gradient of `path`; shapes equal."""
    return cast(Tensor, _Straight.apply(value, path))


def straight_round(value: Tensor) -> Tensor:
    """Return the nearest integer (half to even) with the gradient of no rounding at all."""
    return straight_through(value.detach().round(), value)


def decay(state: Tensor, beta: Tensor, keep: int | Tensor) -> Tensor:
    """Return one step's leak of an integer state, rounded towards zero; `keep` is 4096 - vDecay.

    `keep` and `beta` are one number, or broadcast to `state`.
    """
    return cast(Tensor, _Decay.apply(state, beta, keep))


def chip_weight(weight: Tensor, scale: float) -> Tensor:
    """Return even integers in [-256, 254] with straight-through gradients.

    The same integers as `fixed_point.quantize_weight`, in torch, in `weight`'s type.
    """
    half = (weight.detach().double() * scale / 2).round()
    integers = (2 * half).clamp(WEIGHT_MIN, WEIGHT_MAX)
    return straight_through(integers, weight * scale)


def chip_bias(bias: Tensor, scale: float) -> Tensor:
    """Return the integers of `fixed_point.quantize_bias`, with straight-through gradients."""
    integers = (bias.detach().double() * scale).round()
    return straight_through(integers, bias * scale)


def wrap_current(current: Tensor) -> Tensor:
    """Return the current's 24-bit register: what passes 2^23 comes back from the other side,
    once.
    """
    with torch.no_grad():
        below, above = current <= -STATE_LIMIT, current > STATE_LIMIT
        span = 2.0 * STATE_LIMIT * (below.to(current) - above.to(current))
    return current + span


def register(value: Tensor) -> Tensor:
    """Return what a 32-bit register keeps of an integer held in float64.

    Float32 holds no such integer to its last digit; its callers have bounded theirs below 2^31.
    """
    if value.dtype != torch.float64 or float(value.detach().abs().amax()) < REGISTER_LIMIT:
        return value
    return torch.remainder(value + REGISTER_LIMIT, 2 * REGISTER_LIMIT) - REGISTER_LIMIT
