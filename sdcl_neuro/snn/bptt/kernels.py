"""Leaky neurons over all steps, forward and backward, compiled by numba on first use.

Neurons are independent, so a few of them are taken through all steps at once while their states
stay in the first-level cache; within them the loops are over neurons, for the vector unit. Indices
are unsigned because a signed one may mean "from the end" to numba, and the test for that keeps a
loop from being vectorised. No sums are formed in the loops (float sums cannot be reordered, hence
not vectorised): what is summed in the end is kept by neuron.

Arguments of each kernel: ``first, last`` is the range of neurons; arrays ``[T, N]`` unless said
otherwise, all of one float type, which scalars have as well.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy import int32, uint64

from sdcl_neuro.compiling import compiled

LANES = 1024
"""Neurons taken through time together."""
GIVEN, STRAIGHT, ATAN, FAST_SIGMOID = range(4)
"""How a kernel gets a surrogate's slope: the gradient given has it already, or by formula."""


undivided = partial(compiled, error_model="numpy")
"""Without a test for division by zero, which cannot be vectorised."""


@undivided
def leak_float(first, last, drive, membranes, spikes, state, beta, threshold, one, zero):  # type: ignore[no-untyped-def]
    """Compute snnTorch's ``Leaky`` with reset to zero, operation by operation.

    Args:
        drive: input.
        membranes: written; may be the same memory as `drive`.
        spikes: written; float32.
        state: membranes ``[N]`` before the first step; afterwards those after the last.
    """
    begin = uint64(first)
    end = uint64(last)
    while begin < end:
        stop = min(begin + uint64(LANES), end)
        for t in range(drive.shape[0]):
            now = drive[t]
            then = membranes[t]
            out = spikes[t]
            for i in range(begin, stop):
                before = state[i]
                reset = one if before - threshold > zero else zero
                kept = (one - reset) * before
                after = beta * kept + now[i]
                then[i] = after
                state[i] = after
                out[i] = np.float32(1) if after - threshold > zero else np.float32(0)
        begin = stop


@undivided
def leak_int(first, last, drive, membranes, offset, spikes, state, keep, limit, unit, largest):  # type: ignore[no-untyped-def]
    """Compute Loihi's neuron with an instantaneous current; see `chip_neuron`. All float32.

    Args:
        drive: the synaptic sums.
        membranes: written, those that were clipped as +-(largest + 1); may be the same memory as
            `drive`.
        offset: the bias in the membrane's unit, ``[N]``; ``[0]`` for none.
        spikes: written.
        state: as in `leak_float`.
        keep: 4096 - vDecay.
        limit: the threshold in the membrane's unit.
        unit: the membrane's for 1 of a sum.
        largest: magnitude of a membrane.
    """
    begin = uint64(first)
    end = uint64(last)
    span = np.float32(2) * (largest + np.float32(1))
    edge = largest + np.float32(1)
    biased = offset.shape[0] > 0
    while begin < end:
        stop = min(begin + uint64(LANES), end)
        for t in range(drive.shape[0]):
            now = drive[t]
            then = membranes[t]
            out = spikes[t]
            for i in range(begin, stop):
                current = now[i] * unit
                then[i] = current + (
                    span if current <= -edge else (-span if current > edge else np.float32(0))
                )
            if biased:
                for i in range(begin, stop):
                    then[i] += offset[i]
            for i in range(begin, stop):
                before = int32(state[i])
                before = int32(0) if state[i] > limit else before
                size = abs(before)
                # (size keep) >> 12, without leaving 32 bits.
                size = (size >> int32(12)) * keep + (((size & int32(4095)) * keep) >> int32(12))
                kept = np.float32(-size if before < 0 else size)
                after = kept + then[i]
                held = min(max(after, -largest), largest)
                then[i] = after if held == after else (edge if after > 0 else -edge)
                state[i] = held
                out[i] = np.float32(1) if held > limit else np.float32(0)
        begin = stop


@undivided
def _slope(far, kind, one, half, inner, sharpness):  # type: ignore[no-untyped-def]
    """Return a surrogate's slope at the distance `far` from the threshold; `one` where it is
    given.
    """
    if kind == ATAN:
        x = inner * far
        return half / (one + x * x)
    if kind == FAST_SIGMOID:
        x = sharpness * abs(far) + one
        return one / (x * x)
    return one


@undivided
def leak_backward(  # type: ignore[no-untyped-def]
    first, last, membranes, gradient, result, carry, beta, threshold, norm, largest, gain,
    kind, sharpness, sums,
):  # fmt: skip
    """Compute the gradients of `leak_float` and `leak_int`, whose resets are detached.

    Args:
        membranes: as the forward pass left them.
        gradient: of the spikes; times the surrogate's slope where `kind` is GIVEN.
        result: written; gradient of the drive times `gain`.
        carry: ``[N]``, the gradient of the drive of the step that follows these, zero if none
            does; holds that of the first of these afterwards.
        beta: what a membrane keeps of itself.
        threshold, norm: the surrogate sees (membrane - threshold) / norm.
        largest: magnitude above which a membrane is marked as clipped; infinite in float.
        gain: see `result`.
        kind, sharpness: of the surrogate.
        sums: float64 ``[2, N]``; gradients of beta and of -threshold are added. ``[2, 0]`` if
            they are not wanted.
    """
    begin = uint64(first)
    end = uint64(last)
    real = membranes.dtype.type
    zero, one = real(0), real(1)
    half, inner = sharpness / real(2), real(np.pi / 2) * sharpness
    inverse = one / norm
    learns = sums.shape[1] > 0
    steps = membranes.shape[0]
    while begin < end:
        stop = min(begin + uint64(LANES), end)
        for back in range(steps):
            t = steps - 1 - back
            now, given, out = membranes[t], gradient[t], result[t]
            if learns:
                for i in range(begin, stop):
                    held = min(max(now[i], -largest), largest)
                    far = (held - threshold) * inverse
                    slope = _slope(far, kind, one, half, inner, sharpness)
                    sums[1, i] += slope * given[i]
                    sums[0, i] += zero if far > zero else carry[i] * held
            for i in range(begin, stop):
                held = min(max(now[i], -largest), largest)
                far = (held - threshold) * inverse
                slope = _slope(far, kind, one, half, inner, sharpness)
                past = zero if far > zero else carry[i] * beta
                here = slope * given[i] * inverse + past
                here = here if abs(now[i]) <= largest else zero
                carry[i] = here
                out[i] = here * gain
        begin = stop
