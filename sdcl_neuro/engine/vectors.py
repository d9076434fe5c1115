"""Operations on whole vectors for numba's kernels, written as LLVM's own vector instructions.

numba compiles loops over scalars and leaves it to LLVM to find vectors in them. In the engine's
two inner loops it does not: a short run of weights is guarded by tests for overlapping arrays that
cost more than the run, and the 64-bit product of a decay is widened lane by lane. Both are spelled
out here. LLVM splits a vector that is wider than the processor's registers, so the code runs on
every processor that numba supports; no instruction of one maker is named.

Positions are in elements, unsigned; nothing is checked. Vectors need no alignment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending
from numba.core import types
from numba.np.arrayobj import make_array

from ..fixed_point import DECAY_BITS, STATE_LIMIT, STATE_SHIFT

RUN_BYTES = 64
"""What `add_run` adds at once."""
CELL = 32
"""Neurons that `step_plain` and `step_full` advance at once."""

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_Value = Any  # llvmlite's values are untyped


def intrinsic(function: Callable[..., Any]) -> Any:
    """numba's, without a type of its own: the caller's arguments are not the function's."""
    return extending.intrinsic(function)


def run_lanes(bits: int) -> int:
    """Elements of `bits` bits in one run."""
    return RUN_BYTES * 8 // bits


@intrinsic
def add_run(typingctx, target, position, source, start):  # type: ignore[no-untyped-def]
    """Add 64 bytes of `source` from `start` to `target` from `position`; one integer type."""
    del typingctx
    bits = target.dtype.bitwidth

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(bits), run_lanes(bits))
        into = _at(context, builder, signature.args[0], args[0], args[1], vector)
        what = _at(context, builder, signature.args[2], args[2], args[3], vector)
        total = builder.add(_load(builder, into, bits), _load(builder, what, bits))
        _store(builder, total, into, bits)
        return context.get_dummy_value()

    return types.void(target, types.uint64, source, types.uint64), generate


@intrinsic
def add_flags(typingctx, counts, position, word):  # type: ignore[no-untyped-def]
    """Add each of a word's 64 bits to its own of 64 uint8 `counts` from `position`."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), 64)
        into = _at(context, builder, signature.args[0], args[0], args[1], vector)
        flags = builder.bitcast(args[2], ir.VectorType(ir.IntType(1), 64))
        total = builder.sub(_load(builder, into, 8), builder.sext(flags, vector))
        _store(builder, total, into, 8)
        return context.get_dummy_value()

    return types.void(counts, types.uint64, types.uint64), generate


@intrinsic
def spread_flags(typingctx, values, position, word):  # type: ignore[no-untyped-def]
    """Write a word's 64 bits as 64 uint8 `values`, 0 or 1, from `position`."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), 64)
        into = _at(context, builder, signature.args[0], args[0], args[1], vector)
        flags = builder.bitcast(args[2], ir.VectorType(ir.IntType(1), 64))
        _store(builder, builder.zext(flags, vector), into, 8)
        return context.get_dummy_value()

    return types.void(values, types.uint64, types.uint64), generate


@intrinsic
def gather_flags(typingctx, values, position):  # type: ignore[no-untyped-def]
    """Which of 64 uint8 `values` from `position` are not zero, as the bits of a word."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), 64)
        what = _at(context, builder, signature.args[0], args[0], args[1], vector)
        flags = builder.icmp_unsigned("!=", _load(builder, what, 8), _constant(8, 64, 0))
        return builder.bitcast(flags, _I64)

    return types.uint64(values, types.uint64), generate


@intrinsic
def mark_bytes(typingctx, flags, position, spikes, start, bit):  # type: ignore[no-untyped-def]
    """Set a bit in each of 64 uint8 `flags` whose `spikes` is not zero; `bit` is its value."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), 64)
        into = _at(context, builder, signature.args[0], args[0], args[1], vector)
        what = _at(context, builder, signature.args[2], args[2], args[3], vector)
        zero = _constant(8, 64, 0)
        spiking = builder.icmp_unsigned("!=", _load(builder, what, 8), zero)
        marks = builder.select(spiking, _splat(builder, args[4], 8, 64), zero)
        _store(builder, builder.or_(_load(builder, into, 8), marks), into, 8)
        return context.get_dummy_value()

    return types.void(flags, types.uint64, spikes, types.uint64, types.uint8), generate


@intrinsic
def read_bytes(typingctx, spikes, position, flags, start, bit):  # type: ignore[no-untyped-def]
    """Write for each of 64 uint8 `flags` whether it has a bit, as 64 uint8 `spikes`, 0 or 1."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), 64)
        into = _at(context, builder, signature.args[0], args[0], args[1], vector)
        what = _at(context, builder, signature.args[2], args[2], args[3], vector)
        marked = builder.and_(_load(builder, what, 8), _splat(builder, args[4], 8, 64))
        spiking = builder.icmp_unsigned("!=", marked, _constant(8, 64, 0))
        _store(builder, builder.zext(spiking, vector), into, 8)
        return context.get_dummy_value()

    return types.void(spikes, types.uint64, flags, types.uint64, types.uint8), generate


@intrinsic
def count_ones(typingctx, word):  # type: ignore[no-untyped-def]
    """How many bits of a word are set."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        del context, signature
        return builder.ctpop(args[0])

    return types.uint64(word), generate


@intrinsic
def lowest_bit(typingctx, word):  # type: ignore[no-untyped-def]
    """Number of the lowest bit that is set, in a word that is not zero."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        del context, signature
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(word), generate


def _step(*, clips: bool, currents: bool) -> Any:
    """An intrinsic that advances `CELL` neurons by one step of `fixed_point`'s equations.

    Args of the intrinsic:
        received, place: int16 or int32, the summed weights from ``place`` on; set to zero.
        voltage, current, position: int32, the states from ``position`` on. The voltage is kept as
            it was before its reset: what exceeds the threshold fired, and starts from zero.
        bias, column: int32, from ``column`` on.
        kept_current, kept, threshold, unused_bits: as in `plan.Plan.neuron`.

    Returns (the intrinsic):
        Five words with a bit for each neuron: it fired; its membrane moved, from what it was before
        a reset (so a neuron that fired in the step before has); the membrane was clipped; the
        current wrapped; the current moved. The last is always clear without currents, the fourth
        too, and the third unless the membrane clips.
    """

    @intrinsic
    def step(  # type: ignore[no-untyped-def]
        typingctx, received, place, voltage, current, position, bias, column,
        kept_current, kept, threshold, unused_bits,
    ):  # fmt: skip
        del typingctx, kept_current, kept, threshold, unused_bits
        signature = types.UniTuple(types.uint64, 5)(
            *(received, types.uint64, voltage, current, types.uint64, bias, types.uint64),
            *([types.int32] * 4),
        )
        return signature, _step_code(clips=clips, currents=currents)

    return step


def _step_code(*, clips: bool, currents: bool) -> Callable[..., _Value]:
    lanes = ir.VectorType(_I32, CELL)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        arrays, bits = signature.args, signature.args[0].dtype.bitwidth
        kept_current, kept, threshold, unused_bits = (
            _splat(builder, value, 32, CELL) for value in args[7:]
        )
        narrow = ir.VectorType(ir.IntType(bits), CELL)
        at_received = _at(context, builder, arrays[0], args[0], args[1], narrow)
        at_voltage = _at(context, builder, arrays[2], args[2], args[4], lanes)
        at_bias = _at(context, builder, arrays[5], args[5], args[6], lanes)
        none = ir.Constant(ir.VectorType(ir.IntType(1), CELL), [0] * CELL)
        clipped = wrapped = current_moved = none
        total = _load(builder, at_received, bits)
        if bits < 32:
            total = builder.sext(total, lanes)
        _store(builder, ir.Constant(narrow, [0] * CELL), at_received, bits)
        if currents:
            total = builder.ashr(builder.shl(total, unused_bits), unused_bits)
        arriving = builder.shl(total, _constant(32, CELL, STATE_SHIFT))
        if currents:
            at_current = _at(context, builder, arrays[3], args[3], args[4], lanes)
            old = _load(builder, at_current, 32)
            arriving = builder.add(_decayed(builder, old, kept_current), arriving)
            arriving, wrapped = _wrapped(builder, arriving)
            _store(builder, arriving, at_current, 32)
            current_moved = builder.icmp_signed("!=", arriving, old)
        before = _load(builder, at_voltage, 32)
        had_fired = builder.icmp_signed(">", before, threshold)
        rest = builder.select(had_fired, _constant(32, CELL, 0), before)
        target = builder.add(_decayed(builder, rest, kept), arriving)
        target = after = builder.add(target, _load(builder, at_bias, 32))
        if clips:
            after = _limited(builder, target)
            clipped = builder.icmp_signed("!=", target, after)
        _store(builder, after, at_voltage, 32)
        moved = builder.or_(builder.icmp_signed("!=", after, before), had_fired)
        fired = builder.icmp_signed(">", after, threshold)
        words = [
            builder.zext(builder.bitcast(mask, ir.IntType(CELL)), _I64)
            for mask in (fired, moved, clipped, wrapped, current_moved)
        ]
        return context.make_tuple(builder, signature.return_type, words)

    return generate


step_plain = _step(clips=False, currents=False)
"""Neurons whose current is instantaneous and cannot wrap, and whose membrane cannot clip."""
step_clipped = _step(clips=True, currents=False)
"""The same, where the membrane may clip."""
step_full = _step(clips=True, currents=True)
"""All of `fixed_point`'s equations."""


def _decayed(builder: _Value, value: _Value, kept: _Value) -> _Value:
    """``value kept / 4096`` rounded towards zero: 64-bit products of the even and odd lanes.

    The masks tell LLVM that the upper halves are clear, so that it takes a 32-bit multiplication.
    """
    wide = ir.VectorType(_I64, CELL // 2)
    low = _constant(64, CELL // 2, (1 << 32) - 1)
    zero = _constant(32, CELL, 0)
    negative = builder.icmp_signed("<", value, zero)
    size = builder.bitcast(builder.select(negative, builder.sub(zero, value), value), wide)
    share = builder.and_(builder.bitcast(kept, wide), low)
    even = builder.mul(builder.and_(size, low), share)
    odd = builder.mul(builder.lshr(size, _constant(64, CELL // 2, 32)), share)
    even = builder.lshr(even, _constant(64, CELL // 2, DECAY_BITS))
    odd = builder.shl(odd, _constant(64, CELL // 2, 32 - DECAY_BITS))
    joined = builder.or_(even, builder.and_(odd, builder.not_(low)))
    decayed = builder.bitcast(joined, ir.VectorType(_I32, CELL))
    return builder.select(negative, builder.sub(zero, decayed), decayed)


def _wrapped(builder: _Value, current: _Value) -> tuple[_Value, _Value]:
    """A current wrapped once to 24 bits, and where it was."""
    span = _constant(32, CELL, 2 * STATE_LIMIT)
    above = builder.icmp_signed(">", current, _constant(32, CELL, STATE_LIMIT))
    below = builder.icmp_signed("<=", current, _constant(32, CELL, -STATE_LIMIT))
    current = builder.select(above, builder.sub(current, span), current)
    current = builder.select(below, builder.add(current, span), current)
    return current, builder.or_(above, below)


def _limited(builder: _Value, value: _Value) -> _Value:
    """A membrane clipped to 24 bits."""
    top, bottom = (_constant(32, CELL, sign * (STATE_LIMIT - 1)) for sign in (1, -1))
    value = builder.select(builder.icmp_signed(">", value, top), top, value)
    return builder.select(builder.icmp_signed("<", value, bottom), bottom, value)


def _constant(bits: int, lanes: int, value: int) -> _Value:
    return ir.Constant(ir.VectorType(ir.IntType(bits), lanes), [value] * lanes)


def _splat(builder: _Value, value: _Value, bits: int, lanes: int) -> _Value:
    """An integer in every lane."""
    empty = ir.Constant(ir.VectorType(ir.IntType(bits), lanes), ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, empty, _constant(32, lanes, 0))


def _at(
    context: _Value, builder: _Value, kind: _Value, array: _Value, position: _Value, vector: _Value
) -> _Value:
    """Pointer to the vector that begins at an element of a contiguous array."""
    first = builder.gep(make_array(kind)(context, builder, array).data, [position])
    return builder.bitcast(first, vector.as_pointer())


def _load(builder: _Value, pointer: _Value, bits: int) -> _Value:
    value = builder.load(pointer)
    value.align = bits // 8
    return value


def _store(builder: _Value, value: _Value, pointer: _Value, bits: int) -> None:
    builder.store(value, pointer).align = bits // 8
