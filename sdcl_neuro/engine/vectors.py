"""Operations on runs of weights and on flags, as vector operations for numba's kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.np.arrayobj import make_array

from ..compiling.llvm import I64, Value, constant, intrinsic, load, pointer_at, splat, store

RUN_BYTES = 64
"""What `add_run` adds at once."""


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
        into = pointer_at(context, builder, signature.args[0], args[0], args[1], vector)
        what = pointer_at(context, builder, signature.args[2], args[2], args[3], vector)
        total = builder.add(load(builder, into, bits), load(builder, what, bits))
        store(builder, total, into, bits)
        return context.get_dummy_value()

    return types.void(target, types.uint64, source, types.uint64), generate


@intrinsic
def add_flags(typingctx, counts, position, word):  # type: ignore[no-untyped-def]
    """Add each of a word's 64 bits to its own of 64 uint8 `counts` from `position`."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), 64)
        into = pointer_at(context, builder, signature.args[0], args[0], args[1], vector)
        flags = builder.bitcast(args[2], ir.VectorType(ir.IntType(1), 64))
        total = builder.sub(load(builder, into, 8), builder.sext(flags, vector))
        store(builder, total, into, 8)
        return context.get_dummy_value()

    return types.void(counts, types.uint64, types.uint64), generate


@intrinsic
def spread_flags(typingctx, values, position, word):  # type: ignore[no-untyped-def]
    """Write a word's 64 bits as 64 uint8 `values`, 0 or 1, from `position`."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), 64)
        into = pointer_at(context, builder, signature.args[0], args[0], args[1], vector)
        flags = builder.bitcast(args[2], ir.VectorType(ir.IntType(1), 64))
        store(builder, builder.zext(flags, vector), into, 8)
        return context.get_dummy_value()

    return types.void(values, types.uint64, types.uint64), generate


@intrinsic
def gather_flags(typingctx, values, position):  # type: ignore[no-untyped-def]
    """Which of 64 uint8 `values` from `position` are not zero, as the bits of a word."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), 64)
        what = pointer_at(context, builder, signature.args[0], args[0], args[1], vector)
        flags = builder.icmp_unsigned("!=", load(builder, what, 8), constant(8, 64, 0))
        return builder.bitcast(flags, I64)

    return types.uint64(values, types.uint64), generate


@intrinsic
def mark_bytes(typingctx, flags, position, spikes, start, bit):  # type: ignore[no-untyped-def]
    """Set a bit in each of 64 uint8 `flags` whose `spikes` is not zero; `bit` is its value."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), 64)
        into = pointer_at(context, builder, signature.args[0], args[0], args[1], vector)
        what = pointer_at(context, builder, signature.args[2], args[2], args[3], vector)
        zero = constant(8, 64, 0)
        spiking = builder.icmp_unsigned("!=", load(builder, what, 8), zero)
        marks = builder.select(spiking, splat(builder, args[4], vector), zero)
        store(builder, builder.or_(load(builder, into, 8), marks), into, 8)
        return context.get_dummy_value()

    return types.void(flags, types.uint64, spikes, types.uint64, types.uint8), generate


@intrinsic
def read_bytes(typingctx, spikes, position, flags, start, bit):  # type: ignore[no-untyped-def]
    """Write for each of 64 uint8 `flags` whether it has a bit, as 64 uint8 `spikes`, 0 or 1."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), 64)
        into = pointer_at(context, builder, signature.args[0], args[0], args[1], vector)
        what = pointer_at(context, builder, signature.args[2], args[2], args[3], vector)
        marked = builder.and_(load(builder, what, 8), splat(builder, args[4], vector))
        spiking = builder.icmp_unsigned("!=", marked, constant(8, 64, 0))
        store(builder, builder.zext(spiking, vector), into, 8)
        return context.get_dummy_value()

    return types.void(spikes, types.uint64, flags, types.uint64, types.uint8), generate


def _sum_patterns(size: int) -> Any:
    """An intrinsic that sums `size` bytes of a table's rows, those that windows of bits name.

    Args of the intrinsic:
        received, place: int16 or int32, where to write the sums.
        table, start: as `received`; the first of the lanes to sum in the table's first row.
        stream, bit: uint8, and where in each row of bits the window begins.
        taps, low, high: uint64 ``[2 n]``; of the n entries those from ``low`` on and before
            ``high``: where a row of bits begins (its byte), and its part of the table.
        chunks, log, lanes: of a window, log2 of the patterns of a chunk, lanes of a table's row.
    """

    @intrinsic
    def total(  # type: ignore[no-untyped-def]
        typingctx, received, place, table, start, stream, bit, taps, low, high, chunks, log, lanes
    ):
        del typingctx, place, start, bit, low, high, chunks, log, lanes
        word = types.uint64
        signature = types.void(
            received, word, table, word, stream, word, taps, word, word, word, word, word
        )
        return signature, _sum_code(size)

    return total


def _sum_code(size: int) -> Callable[..., Value]:
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        bits = signature.args[0].dtype.bitwidth
        vector, one = ir.VectorType(ir.IntType(bits), size * 8 // bits), ir.Constant(I64, 1)
        kinds = signature.args
        place, start, bit, low, high, chunks, log, lanes = (
            args[i] for i in (1, 3, 5, 7, 8, 9, 10, 11)
        )
        taps, stream = (make_array(kinds[i])(context, builder, args[i]) for i in (6, 4))
        count = builder.lshr(cgutils.unpack_tuple(builder, taps.shape)[0], one)
        mask = builder.sub(builder.shl(one, log), one)
        total = cgutils.alloca_once_value(builder, ir.Constant(vector, None))
        with cgutils.for_range_slice(builder, low, high, one, intp=I64) as (tap, _):
            row = builder.load(builder.gep(taps.data, [tap]))
            part = builder.load(builder.gep(taps.data, [builder.add(tap, count)]))
            first = builder.add(builder.shl(row, ir.Constant(I64, 3)), bit)
            part = builder.add(part, start)
            with cgutils.for_range(builder, chunks, intp=I64) as chunk:
                position = builder.add(first, builder.mul(chunk.index, log))
                byte = builder.lshr(position, ir.Constant(I64, 3))
                word = builder.gep(stream.data, [byte])
                word = builder.load(builder.bitcast(word, I64.as_pointer()))
                word.align = 1
                word = builder.lshr(word, builder.and_(position, ir.Constant(I64, 7)))
                pattern = builder.add(builder.shl(chunk.index, log), builder.and_(word, mask))
                entry = builder.add(part, builder.mul(pattern, lanes))
                entry = pointer_at(context, builder, kinds[2], args[2], entry, vector)
                summed = builder.add(builder.load(total), load(builder, entry, bits))
                builder.store(summed, total)
        into = pointer_at(context, builder, kinds[0], args[0], place, vector)
        store(builder, builder.load(total), into, bits)
        return context.get_dummy_value()

    return generate


sum_patterns_16, sum_patterns_32, sum_patterns_64, sum_patterns_128, sum_patterns_256 = map(
    _sum_patterns, (16, 32, 64, 128, 256)
)
