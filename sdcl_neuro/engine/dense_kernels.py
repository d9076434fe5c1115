"""The dense path's two kernels in Triton: neurons through all steps of a chunk, and input counts.

All integers have 64 bits, and are narrowed where the chip's registers are narrower. Both add to
``totals``, int64 ``[B, 9]`` in the order of `totals.COUNTED`; sums of integers are the same in
any order.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from sdcl_neuro.gpu_kernels import launch
from sdcl_neuro.network.fixed_point import (
    CONVOLUTION_BITS,
    DECAY_BITS,
    DECAY_UNITY,
    STATE_LIMIT,
    STATE_SHIFT,
)

from .dense_constants import Constants
from .totals import TOTALS

BLOCK = 128
"""Neurons, or inputs, of one program: one a thread."""
RECURRENT_MOST = 512
"""Neurons of a recurrent layer that one program takes; it reads all weights in each step."""
_TILE = 8192
"""Recurrent weights that a program holds at a time: 32 registers of each of 256 threads."""

_SIZES = [
    *("steps", "samples", "neurons", "plane", "plane_stride", "sample_stride", "step_stride"),
    *("keep_current", "keep_voltage", "limit", "recurrent_fan", "fresh"),
]
"""Numbers that Triton would compile other code for where they are 1, or multiples of 16."""

_COUNTED = tl.constexpr(TOTALS)
_DECAY_BITS = tl.constexpr(DECAY_BITS)
_SHIFT = tl.constexpr(STATE_SHIFT)
_LIMIT = tl.constexpr(STATE_LIMIT)
_HALF = tl.constexpr(1 << (CONVOLUTION_BITS - 1))


@triton.jit
def _register(value):  # type: ignore[no-untyped-def]
    """Return what a 32-bit register keeps of an integer."""
    return value.to(tl.int32).to(tl.int64)


@triton.jit
def _toward_zero(state, keep):  # type: ignore[no-untyped-def]
    """Return ``state keep / 4096``, rounded towards zero; the product has up to 44 bits."""
    size = (tl.abs(state) * keep) >> _DECAY_BITS
    return tl.where(state < 0, -size, size)


@triton.jit(do_not_specialize=_SIZES)
def _neurons(  # type: ignore[no-untyped-def]
    sums, sent, states, bias, recurrent, recurrent_used, totals,
    steps, samples, neurons, plane, plane_stride, sample_stride, step_stride,
    keep_current, keep_voltage, limit, recurrent_fan, fresh,
    WRAPS: tl.constexpr, OWN: tl.constexpr, RECURRENT: tl.constexpr, BLOCK: tl.constexpr,
    TILE: tl.constexpr,
):  # fmt: skip
    """Compute `fixed_point.neuron_step` for every step, its equations in its order.

    ``u' = wrap(toward_zero(u keep_current / 4096) + (a << 6))``,
    ``v' = clip(toward_zero(v keep_voltage / 4096) + u' + (b << 6))``, ``s = v' > limit``,
    ``v = 0 where s``. With OWN, `a` includes the weights of the step before's spikes.
    """
    blocks = (neurons + BLOCK - 1) // BLOCK
    sample = (tl.program_id(0) // blocks).to(tl.int64)
    n = (tl.program_id(0) % blocks).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    valid = n < neurons
    population = tl.full((), samples, tl.int64) * neurons
    state = states + sample * neurons + n
    current = tl.load(state, mask=valid, other=0)
    voltage = tl.load(state + population, mask=valid, other=0)
    fired = tl.load(state + 2 * population, mask=valid, other=0)
    offset = tl.load(bias + n, mask=valid, other=0).to(tl.int64) << _SHIFT
    earlier = fired
    source = sums + sample * sample_stride + (n // plane) * plane_stride + n % plane
    # Spikes `[steps + 1, B, N]`, first those of the step before.
    before = sent + sample * neurons
    if OWN:
        tl.store(before + n, fired.to(tl.uint8), mask=valid)
        tl.debug_barrier()
    spikes = tl.zeros((BLOCK,), tl.int64)
    saturations = tl.zeros((BLOCK,), tl.int64)
    wraps = tl.zeros((BLOCK,), tl.int64)
    updates = tl.zeros((BLOCK,), tl.int64)
    for t in range(steps):
        activation = tl.load(source, mask=valid, other=0).to(tl.int64)
        source += step_stride
        if OWN:
            for first in range(0, neurons, TILE):
                j = first + tl.arange(0, TILE)
                inside = (j < neurons)[:, None] & valid[None, :]
                # Volatile: other threads of this program wrote them since.
                sender = tl.load(before + j, mask=j < neurons, other=0, volatile=True)
                weight = tl.load(recurrent + j[:, None] * neurons + n[None, :], inside, other=0)
                activation += tl.sum(weight.to(tl.int64) * sender[:, None].to(tl.int64), axis=0)
        if WRAPS:
            activation = ((activation + _HALF) & (2 * _HALF - 1)) - _HALF
        arriving = _register(activation << _SHIFT)
        raw = _register(_toward_zero(current, keep_current) + arriving)
        current = tl.where(raw > _LIMIT, raw - 2 * _LIMIT, raw)
        current = tl.where(raw <= -_LIMIT, raw + 2 * _LIMIT, current)
        target = _register(_toward_zero(voltage, keep_voltage) + current + offset)
        held = tl.minimum(tl.maximum(target, 1 - _LIMIT), _LIMIT - 1)
        first_ever = (t == 0) & (fresh != 0)
        updates += ((held != voltage) | (fired != 0) | first_ever).to(tl.int64)
        saturations += (held != target).to(tl.int64)
        wraps += (current != raw).to(tl.int64)
        fired = (held > limit).to(tl.int64)
        voltage = tl.where(held > limit, 0, held)
        spikes += fired
        before += population
        tl.store(before + n, fired.to(tl.uint8), mask=valid)
        if OWN:
            tl.debug_barrier()
    tl.store(state, current, mask=valid)
    tl.store(state + population, voltage, mask=valid)
    tl.store(state + 2 * population, fired, mask=valid)
    total = totals + sample * _COUNTED
    sent_here = tl.sum(spikes)
    tl.atomic_add(total + 1, sent_here, sem="relaxed")
    tl.atomic_add(total + 3, tl.sum(saturations), sem="relaxed")
    tl.atomic_add(total + 4, tl.sum(wraps), sem="relaxed")
    tl.atomic_add(total + 5, tl.sum(tl.where(valid, updates, 0)), sem="relaxed")
    if RECURRENT:
        used = tl.load(recurrent_used + n, mask=valid, other=0).to(tl.int64)
        arrived = earlier + spikes - fired  # the last step's arrive after the end
        tl.atomic_add(total + 2, sent_here * recurrent_fan, sem="relaxed")
        tl.atomic_add(total + 6, tl.sum(arrived * used), sem="relaxed")
        tl.atomic_add(total + 8, tl.sum(spikes * used), sem="relaxed")


@triton.jit(do_not_specialize=["samples", "inputs"])
def _inputs(  # type: ignore[no-untyped-def]
    received, fan, fan_used, totals, samples, inputs, BLOCK: tl.constexpr
):
    """Count one step of one sample: inputs that are not zero, and the synapses they reach."""
    row = tl.program_id(0).to(tl.int64)
    values = received + row * inputs
    spikes = tl.zeros((BLOCK,), tl.int64)
    reached = tl.zeros((BLOCK,), tl.int64)
    used = tl.zeros((BLOCK,), tl.int64)
    most = tl.zeros((BLOCK,), tl.int32)
    for first in range(0, inputs, BLOCK):
        n = first + tl.arange(0, BLOCK)
        value = tl.load(values + n, mask=n < inputs, other=0).to(tl.int32)
        spiked = value != 0
        spikes += spiked.to(tl.int64)
        reached += tl.load(fan + n, mask=spiked, other=0).to(tl.int64)
        used += tl.load(fan_used + n, mask=spiked, other=0).to(tl.int64)
        most = tl.maximum(most, value)
    total = totals + (row % samples) * _COUNTED
    operations = tl.sum(used)
    graded = tl.max(most) > 1  # then the step's operations multiply
    tl.atomic_add(total, tl.sum(spikes), sem="relaxed")
    tl.atomic_add(total + 2, tl.sum(reached), sem="relaxed")
    tl.atomic_add(total + tl.where(graded, 7, 6), operations, sem="relaxed")
    tl.atomic_add(total + 8, operations, sem="relaxed")


def advance(
    sums: Tensor, states: Tensor, totals: Tensor, constants: Constants, *, fresh: bool
) -> Tensor:
    """Run the neurons of a chunk; see `dense_steps.advance`.

    One launch; but for a recurrent layer too large for one program three a step, a matrix product
    among them.
    """
    steps, samples = sums.shape[:2]
    shape = (steps + 1, samples, constants.neurons)
    sent = torch.empty(shape, dtype=torch.uint8, device=sums.device)
    if constants.recurrent is None or constants.neurons <= RECURRENT_MOST:
        _launch(sums, sent, states, totals, constants, fresh=fresh)
        return sent[1:]
    for t in range(steps):
        before = states[2] if t == 0 else sent[t]
        heard = before.to(sums.dtype) @ constants.recurrent_weight
        part = (sums[t, :, 0] + heard)[None, :, None]
        _launch(part, sent[t:], states, totals, constants, fresh=fresh and t == 0, own=False)
    return sent[1:]


def _launch(
    sums: Tensor, sent: Tensor, states: Tensor, totals: Tensor, constants: Constants, *,
    fresh: bool, own: bool = True,
) -> None:  # fmt: skip
    """Launch `_neurons`; `own` says whether a recurrent layer's spikes are still to be added."""
    steps, samples, _, plane = sums.shape
    count, neuron = constants.neurons, constants.neuron
    recurrent = constants.recurrent is not None
    own = own and recurrent
    block = max(16, triton.next_power_of_2(count)) if own else BLOCK
    step_stride, sample_stride, plane_stride, _ = sums.stride()
    launch(
        _neurons, samples * -(-count // block), sums, sent, states, constants.bias,
        constants.recurrent if own else sent, constants.recurrent_used if recurrent else sent,
        totals, steps, samples, count, plane, plane_stride, sample_stride, step_stride,
        DECAY_UNITY - neuron.current_decay, DECAY_UNITY - neuron.voltage_decay,
        neuron.threshold << STATE_SHIFT, constants.recurrent_fan, int(fresh),
        WRAPS=constants.wraps, OWN=own, RECURRENT=recurrent, BLOCK=block,
        TILE=min(block, _TILE // block), warps=8 if own else 4,
    )  # fmt: skip


def count_inputs(received: Tensor, totals: Tensor, constants: Constants) -> None:
    """Count what arrives in a chunk, uint8 ``[T, B, N_in]``; see `dense_steps.count_inputs`."""
    steps, samples, inputs = received.shape
    launch(
        _inputs, steps * samples, received, constants.fan, constants.fan_used, totals, samples,
        inputs, BLOCK=1024 if inputs > BLOCK else BLOCK,
    )  # fmt: skip
