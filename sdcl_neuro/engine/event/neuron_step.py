"""`CELL` neurons advanced by one step, as vector operations for numba's kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from sdcl_neuro.compiling.llvm import (
    I32,
    I64,
    Value,
    constant,
    intrinsic,
    load,
    pointer_at,
    splat,
    store,
)
from sdcl_neuro.network.fixed_point import DECAY_BITS, STATE_LIMIT, STATE_SHIFT

CELL = 32
"""Neurons that are advanced at once."""


def _step(*, clips: bool, currents: bool) -> Any:
    """Return an intrinsic that advances `CELL` neurons by one step of `fixed_point`'s equations.

    Args of the intrinsic:
        received, place: int16 or int32, the summed weights from ``place`` on; set to zero.
        voltage, current, position: int32, the states from ``position`` on. The voltage is kept as
            it was before its reset: what exceeds the threshold fired, and starts from zero.
        bias, column: int32, from ``column`` on.
        kept_current, kept, threshold, unused_bits: as in `plan.LayerPlan.neuron`.

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


def _step_code(*, clips: bool, currents: bool) -> Callable[..., Value]:
    lanes = ir.VectorType(I32, CELL)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        arrays, bits = signature.args, signature.args[0].dtype.bitwidth
        kept_current, kept, threshold, unused_bits = (
            splat(builder, value, lanes) for value in args[7:]
        )
        narrow = ir.VectorType(ir.IntType(bits), CELL)
        at_received = pointer_at(context, builder, arrays[0], args[0], args[1], narrow)
        at_voltage = pointer_at(context, builder, arrays[2], args[2], args[4], lanes)
        at_bias = pointer_at(context, builder, arrays[5], args[5], args[6], lanes)
        none = ir.Constant(ir.VectorType(ir.IntType(1), CELL), [0] * CELL)
        clipped = wrapped = current_moved = none
        total = _taken(builder, at_received, bits)
        if currents:
            total = builder.ashr(builder.shl(total, unused_bits), unused_bits)
        arriving = builder.shl(total, constant(32, CELL, STATE_SHIFT))
        if currents:
            at_current = pointer_at(context, builder, arrays[3], args[3], args[4], lanes)
            old = load(builder, at_current, 32)
            arriving = builder.add(_decayed(builder, old, kept_current), arriving)
            arriving, wrapped = _wrapped(builder, arriving)
            store(builder, arriving, at_current, 32)
            current_moved = builder.icmp_signed("!=", arriving, old)
        before = load(builder, at_voltage, 32)
        had_fired = builder.icmp_signed(">", before, threshold)
        rest = builder.select(had_fired, constant(32, CELL, 0), before)
        target = builder.add(_decayed(builder, rest, kept), arriving)
        target = after = builder.add(target, load(builder, at_bias, 32))
        if clips:
            after = _limited(builder, target)
            clipped = builder.icmp_signed("!=", target, after)
        store(builder, after, at_voltage, 32)
        moved = builder.or_(builder.icmp_signed("!=", after, before), had_fired)
        fired = builder.icmp_signed(">", after, threshold)
        words = [
            builder.zext(builder.bitcast(mask, ir.IntType(CELL)), I64)
            for mask in (fired, moved, clipped, wrapped, current_moved)
        ]
        return context.make_tuple(builder, signature.return_type, words)

    return generate


@intrinsic
def step_first(typingctx, received, place, voltage, position, threshold):  # type: ignore[no-untyped-def]
    """Advance `CELL` neurons that never received anything, without bias or current of their own.

    Their membranes are zero, so that each becomes what arrives, which is never clipped (`plan`).

    Args:
        received, place: int16 or int32, the summed weights from ``place`` on; set to zero.
        voltage, position: int32, written from ``position`` on.
        threshold: as in `plan.LayerPlan.neuron`.

    Returns:
        Two words with a bit for each neuron: whether it fired; whether its membrane is not zero.
    """
    del typingctx, place, position, threshold
    word = types.uint64
    arguments = (received, word, voltage, word, types.int32)
    return types.UniTuple(word, 2)(*arguments), _step_first_code


def _step_first_code(context: Value, builder: Value, signature: Value, args: Value) -> Value:
    lanes, bits = ir.VectorType(I32, CELL), signature.args[0].dtype.bitwidth
    narrow = ir.VectorType(ir.IntType(bits), CELL)
    at_received = pointer_at(context, builder, signature.args[0], args[0], args[1], narrow)
    at_voltage = pointer_at(context, builder, signature.args[2], args[2], args[3], lanes)
    total = _taken(builder, at_received, bits)
    after = builder.shl(total, constant(32, CELL, STATE_SHIFT))
    store(builder, after, at_voltage, 32)
    fired = builder.icmp_signed(">", after, splat(builder, args[4], lanes))
    moved = builder.icmp_signed("!=", after, constant(32, CELL, 0))
    words = [builder.zext(builder.bitcast(mask, ir.IntType(CELL)), I64) for mask in (fired, moved)]
    return context.make_tuple(builder, signature.return_type, words)


@intrinsic
def catch_up(typingctx, voltage, position, kept, threshold, missed):  # type: ignore[no-untyped-def]
    """Decay `CELL` membranes by as many steps as they missed without input, bias or current.

    One that fired in its last step starts from zero, as `step_plain` has it. Where nothing moves in
    a step, nothing will in the next: the rest of the steps is passed over.

    Args:
        voltage, position: int32, the states from ``position`` on.
        kept, threshold: as in `plan.LayerPlan.neuron`.
        missed: how many steps, at least one.

    Returns:
        How often a membrane moved, all of them together.
    """
    del typingctx, position, kept, threshold, missed
    word = types.uint64
    return word(voltage, word, types.int32, types.int32, word), _catch_up_code


def _catch_up_code(context: Value, builder: Value, signature: Value, args: Value) -> Value:
    lanes = ir.VectorType(I32, CELL)
    one, zero = ir.Constant(I64, 1), constant(32, CELL, 0)
    place = pointer_at(context, builder, signature.args[0], args[0], args[1], lanes)
    kept, threshold = (splat(builder, value, lanes) for value in args[2:4])
    state, left, moves = (cgutils.alloca_once(builder, kind) for kind in (lanes, I64, I64))
    builder.store(load(builder, place, 32), state)
    builder.store(args[4], left)
    builder.store(ir.Constant(I64, 0), moves)
    body, done = (builder.append_basic_block(f"catch_up.{name}") for name in ("step", "done"))
    builder.branch(body)
    builder.position_at_end(body)
    before = builder.load(state)
    had_fired = builder.icmp_signed(">", before, threshold)
    after = _decayed(builder, builder.select(had_fired, zero, before), kept)
    builder.store(after, state)
    moved = builder.or_(builder.icmp_signed("!=", after, before), had_fired)
    bits = builder.bitcast(moved, ir.IntType(CELL))
    count = builder.zext(builder.ctpop(bits), I64)
    builder.store(builder.add(builder.load(moves), count), moves)
    rest = builder.sub(builder.load(left), one)
    builder.store(rest, left)
    more = builder.icmp_unsigned("!=", rest, ir.Constant(I64, 0))
    some = builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(CELL), 0))
    builder.cbranch(builder.and_(more, some), body, done)
    builder.position_at_end(done)
    store(builder, builder.load(state), place, 32)
    return builder.load(moves)


step_plain = _step(clips=False, currents=False)
"""Neurons whose current is instantaneous and cannot wrap, and whose membrane cannot clip."""
step_clipped = _step(clips=True, currents=False)
"""The same, where the membrane may clip."""
step_full = _step(clips=True, currents=True)
"""All of `fixed_point`'s equations."""


def _taken(builder: Value, place: Value, bits: int) -> Value:
    """Return `CELL` sums of `bits` bits in 32, and leave zeros in their place."""
    total = load(builder, place, bits)
    if bits < 32:
        total = builder.sext(total, ir.VectorType(I32, CELL))
    store(builder, ir.Constant(ir.VectorType(ir.IntType(bits), CELL), [0] * CELL), place, bits)
    return total


def _decayed(builder: Value, value: Value, kept: Value) -> Value:
    """Return ``value kept / 4096`` rounded towards zero: 64-bit products of the even and odd lanes.

    The masks tell LLVM that the upper halves are clear, so that it takes a 32-bit multiplication.
    """
    wide = ir.VectorType(I64, CELL // 2)
    low = constant(64, CELL // 2, (1 << 32) - 1)
    zero = constant(32, CELL, 0)
    negative = builder.icmp_signed("<", value, zero)
    size = builder.bitcast(builder.select(negative, builder.sub(zero, value), value), wide)
    share = builder.and_(builder.bitcast(kept, wide), low)
    even = builder.mul(builder.and_(size, low), share)
    odd = builder.mul(builder.lshr(size, constant(64, CELL // 2, 32)), share)
    even = builder.lshr(even, constant(64, CELL // 2, DECAY_BITS))
    odd = builder.shl(odd, constant(64, CELL // 2, 32 - DECAY_BITS))
    joined = builder.or_(even, builder.and_(odd, builder.not_(low)))
    decayed = builder.bitcast(joined, ir.VectorType(I32, CELL))
    return builder.select(negative, builder.sub(zero, decayed), decayed)


def _wrapped(builder: Value, current: Value) -> tuple[Value, Value]:
    """Return a current wrapped once to 24 bits, and where it was."""
    span = constant(32, CELL, 2 * STATE_LIMIT)
    above = builder.icmp_signed(">", current, constant(32, CELL, STATE_LIMIT))
    below = builder.icmp_signed("<=", current, constant(32, CELL, -STATE_LIMIT))
    current = builder.select(above, builder.sub(current, span), current)
    current = builder.select(below, builder.add(current, span), current)
    return current, builder.or_(above, below)


def _limited(builder: Value, value: Value) -> Value:
    """Return a membrane clipped to 24 bits."""
    top, bottom = (constant(32, CELL, sign * (STATE_LIMIT - 1)) for sign in (1, -1))
    value = builder.select(builder.icmp_signed(">", value, top), top, value)
    return builder.select(builder.icmp_signed("<", value, bottom), bottom, value)
