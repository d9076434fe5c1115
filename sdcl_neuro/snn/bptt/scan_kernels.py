"""The loops of `kernels` in Triton, for a GPU: a thread takes one neuron through all steps.

They are `kernels`' operations in `kernels`' order, each rounded by itself, so that the results are
the CPU's to the last bit. Populations start from rest. Tensors are ``[T, N]``, contiguous, float32
or float64; the learned beta and threshold of a float population are read where they lie, since
their values on the host would cost a wait.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from sdcl_neuro.gpu_kernels import launch

from .kernels import ATAN, FAST_SIGMOID
from .leak import Leak

BLOCK = 128
"""Neurons of one program, one a thread."""
_ATAN = tl.constexpr(ATAN)
_FAST_SIGMOID = tl.constexpr(FAST_SIGMOID)
_HALF_PI = tl.constexpr(1.5707963267948966)


@triton.jit
def _number(value, kind, LEARNED: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return a number of the launch, or one that lies on the device, as a `kind`."""
    if LEARNED:
        return tl.load(value).to(kind)
    else:
        return tl.full((), value, kind)


@triton.jit
def _divided(one, two):  # type: ignore[no-untyped-def]
    """Return a quotient rounded to nearest; Triton's own for float32 is not."""
    if one.dtype == tl.float64:
        return one / two
    else:
        return tl.div_rn(one, two)


@triton.jit(do_not_specialize=["steps", "count"])
def _leak_float(  # type: ignore[no-untyped-def]
    drive, membranes, spikes, beta, threshold, steps, count,
    LEARNED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Compute ``m' = beta (m - m s) + x``, ``s' = m' > threshold``: snnTorch's ``Leaky``."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    valid = n < count
    kind = drive.dtype.element_ty
    kept = tl.minimum(tl.maximum(_number(beta, kind, LEARNED), 0.0), 1.0)
    limit = _number(threshold, kind, LEARNED)
    membrane = tl.zeros((BLOCK,), kind)
    for _ in range(steps):
        reset = (membrane - limit > 0.0).to(kind)
        membrane = kept * ((1.0 - reset) * membrane) + tl.load(drive + n, mask=valid, other=0.0)
        tl.store(membranes + n, membrane, mask=valid)
        tl.store(spikes + n, (membrane - limit > 0.0).to(tl.float32), mask=valid)
        n += count


@triton.jit(do_not_specialize=["keep", "steps", "count"])
def _leak_int(  # type: ignore[no-untyped-def]
    drive, membranes, spikes, offset, keep, limit, unit, largest, steps, count,
    BIASED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Compute Loihi's neuron without a lasting current; see `kernels.leak_int`. All float32."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    valid = n < count
    edge = largest + 1.0
    span = 2.0 * edge
    state = tl.zeros((BLOCK,), tl.float32)
    bias = tl.load(offset + n, mask=valid & BIASED, other=0.0)
    for _ in range(steps):
        current = tl.load(drive + n, mask=valid, other=0.0) * unit
        wrapped = tl.where(current <= -edge, span, tl.where(current > edge, -span, 0.0))
        arriving = current + wrapped + bias
        before = tl.where(state > limit, 0.0, state).to(tl.int32)
        size = tl.abs(before)
        # (size keep) >> 12, without leaving 32 bits.
        size = (size >> 12) * keep + (((size & 4095) * keep) >> 12)
        after = tl.where(before < 0, -size, size).to(tl.float32) + arriving
        state = tl.minimum(tl.maximum(after, -largest), largest)
        marked = tl.where(after > 0.0, edge, -edge)
        tl.store(membranes + n, tl.where(state == after, after, marked), mask=valid)
        tl.store(spikes + n, (state > limit).to(tl.float32), mask=valid)
        n += count


@triton.jit(do_not_specialize=["steps", "count"])
def _leak_backward(  # type: ignore[no-untyped-def]
    membranes, gradient, result, sums, beta, threshold, norm, largest, gain, steps, count,
    KIND: tl.constexpr, SHARPNESS: tl.constexpr, LEARNED: tl.constexpr, LEARNS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Compute the gradients of both, whose resets are detached; see `kernels.leak_backward`.

    ``g[t] = slope(far[t]) given[t] / norm + (0 where s[t], else beta g[t + 1])``, zero where the
    membrane was clipped, with ``far = (m - threshold) / norm``.
    """
    lane = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    valid = lane < count
    kind = membranes.dtype.element_ty
    raw = _number(beta, kind, LEARNED)
    kept = tl.minimum(tl.maximum(raw, 0.0), 1.0)
    limit = _number(threshold, kind, LEARNED)
    one = tl.full((), 1.0, kind)
    sharp = tl.full((), SHARPNESS, kind)
    half, inner = sharp / 2.0, tl.full((), _HALF_PI, kind) * sharp
    inverse = _divided(one, tl.full((), norm, kind))
    carry = tl.zeros((BLOCK,), kind)
    to_beta = tl.zeros((BLOCK,), tl.float64)
    to_threshold = tl.zeros((BLOCK,), tl.float64)
    n = lane + tl.full((), steps - 1, tl.int64) * count
    for _ in range(steps):
        now = tl.load(membranes + n, mask=valid, other=0.0)
        given = tl.load(gradient + n, mask=valid, other=0.0)
        held = tl.minimum(tl.maximum(now, -largest), largest)
        far = (held - limit) * inverse
        if KIND == _ATAN:
            x = inner * far
            slope = _divided(half, one + x * x)
        elif KIND == _FAST_SIGMOID:
            x = sharp * tl.abs(far) + one
            slope = _divided(one, x * x)
        else:
            slope = one + tl.zeros_like(far)
        if LEARNS:
            to_threshold += (slope * given).to(tl.float64)
            to_beta += tl.where(far > 0.0, 0.0, carry * held).to(tl.float64)
        here = slope * given * inverse + tl.where(far > 0.0, 0.0, carry * kept)
        carry = tl.where(tl.abs(now) <= largest, here, 0.0)
        tl.store(result + n, carry * gain, mask=valid)
        n -= count
    if LEARNS:
        # A beta beyond its clamp has no gradient.
        tl.store(sums + lane, tl.where(kept == raw, to_beta, 0.0), mask=valid)
        tl.store(sums + count + lane, to_threshold, mask=valid)


def forward(
    leak: Leak, sums: Tensor, membranes: Tensor, spikes: Tensor, offset: Tensor | None
) -> None:
    """Compute steps ``[T, N]`` from rest; `membranes` and `spikes` are written."""
    steps, count = sums.shape
    programs = -(-count // BLOCK)
    if leak.keep is None:
        launch(
            _leak_float, programs, sums, membranes, spikes, leak.beta, leak.threshold, steps, count,
            LEARNED=isinstance(leak.beta, Tensor), BLOCK=BLOCK,
        )  # fmt: skip
        return
    launch(
        _leak_int, programs, sums, membranes, spikes, sums if offset is None else offset,
        leak.keep, leak.threshold, leak.unit, leak.largest, steps, count,
        BIASED=offset is not None, BLOCK=BLOCK,
    )  # fmt: skip


def backward(
    leak: Leak, membranes: Tensor, slope: Tensor, result: Tensor, *, learns: bool
) -> Tensor:
    """Write the gradient of the input ``[T, N]``; return those of beta and -threshold.

    Args:
        leak: the population.
        membranes: as `forward` wrote them.
        slope: the spikes' gradient, times the surrogate's slope where it has no formula.
        result: written.
        learns: whether beta or threshold do.

    Returns:
        float64 ``[2, N]``, or ``[2, 0]`` where they do not learn.
    """
    steps, count = membranes.shape
    shape = (2, count if learns else 0)
    sums = torch.empty(shape, dtype=torch.float64, device=membranes.device)
    launch(
        _leak_backward, -(-count // BLOCK), membranes, slope, result, sums, leak.beta,
        leak.threshold, leak.norm, leak.largest, leak.unit, steps, count,
        KIND=leak.surrogate.kind, SHARPNESS=leak.surrogate.sharpness,
        LEARNED=isinstance(leak.beta, Tensor), LEARNS=learns, BLOCK=BLOCK,
    )  # fmt: skip
    return sums
