"""Operations on runs of weights and on flags, as vector operations for numba's kernels."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.np.arrayobj import make_array

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

RUN_BYTES = 64
"""What `add_run` adds at once."""


def run_lanes(bits: int) -> int:
    """Return elements of `bits` bits in one run."""
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
    """Return which of 64 uint8 `values` from `position` are not zero, as the bits of a word."""
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


def _read(*, streaming: bool) -> Any:
    """Return the intrinsic; see `read_bytes` and `stream_bytes`."""

    @intrinsic
    def read(typingctx, spikes, position, flags, start, bit):  # type: ignore[no-untyped-def]
        del typingctx

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            vector = ir.VectorType(ir.IntType(8), 64)
            into = pointer_at(context, builder, signature.args[0], args[0], args[1], vector)
            what = pointer_at(context, builder, signature.args[2], args[2], args[3], vector)
            marked = builder.and_(load(builder, what, 8), splat(builder, args[4], vector))
            spiking = builder.icmp_unsigned("!=", marked, constant(8, 64, 0))
            written = builder.store(builder.zext(spiking, vector), into)
            written.align = RUN_BYTES if streaming else 1
            if streaming:
                once = builder.module.add_metadata([ir.Constant(I32, 1)])
                written.set_metadata("nontemporal", once)
            return context.get_dummy_value()

        return types.void(spikes, types.uint64, flags, types.uint64, types.uint8), generate

    return read


read_bytes = _read(streaming=False)
"""Write for each of 64 uint8 `flags` whether it has a bit, as 64 uint8 `spikes`, 0 or 1."""
stream_bytes = _read(streaming=True)
"""The same past the caches, where the address of the spikes is a multiple of 64; see `flush`."""


@intrinsic
def flush(typingctx):  # type: ignore[no-untyped-def]
    """Let other threads see what `stream_bytes` wrote."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        del signature, args
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


PIECES = (256, 128, 64, 32, 16)
"""Bytes of sums that `sum_patterns` may hold in registers at once."""


@intrinsic
def sum_patterns(  # type: ignore[no-untyped-def]
    typingctx, received, place, table, start, left, stream, bit, taps, low, high, chunks, log, lanes
):
    """Sum a table's rows, those that windows of bits name; as many lanes as fit into registers.

    Args:
        received, place: int16 or int32, where to write the sums.
        table, start: as `received`; the first of the lanes to sum in the table's first row.
        left: lanes wanted, a multiple of eight; the largest of `PIECES` among them is summed.
        stream, bit: uint8, and where in each row of bits the window begins.
        taps, low, high: uint64 ``[2 n]``; of the n entries those from ``low`` on and before
            ``high``: where a row of bits begins (its byte), and its part of the table.
        chunks, log, lanes: of a window, log2 of the patterns of a chunk, lanes of a table's row.

    Returns:
        How many lanes were summed.
    """
    del typingctx, place, start, left, bit, low, high, chunks, log, lanes
    word = types.uint64
    arguments = (received, word, table, word, word, stream, word, taps, *[word] * 5)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        unit = received.dtype.bitwidth // 8
        summed = cgutils.alloca_once(builder, I64)

        def largest(pieces: tuple[int, ...]) -> None:
            count = ir.Constant(I64, pieces[0] // unit)
            if len(pieces) == 1:
                _sum_code(context, builder, signature, args, pieces[0] // unit)
                builder.store(count, summed)
                return
            fits = builder.icmp_unsigned(">=", args[4], count)
            with builder.if_else(fits) as (then, otherwise):
                with then:
                    largest(pieces[:1])
                with otherwise:
                    largest(pieces[1:])

        largest(PIECES)
        return builder.load(summed)

    return word(*arguments), generate


def _sum_code(context: Value, builder: Value, signature: Value, args: Value, count: int) -> None:
    """Return the code for one number of lanes: `sum_patterns` has the arguments."""
    place, start, bit, low, high, chunks, log, lanes = (
        args[i] for i in (1, 3, 6, 8, 9, 10, 11, 12)
    )
    kinds, one = signature.args, ir.Constant(I64, 1)
    bits = kinds[0].dtype.bitwidth
    vector = ir.VectorType(ir.IntType(bits), count)
    taps, stream = (make_array(kinds[i])(context, builder, args[i]) for i in (7, 5))
    entries = builder.lshr(cgutils.unpack_tuple(builder, taps.shape)[0], one)
    mask = builder.sub(builder.shl(one, log), one)
    total = cgutils.alloca_once(builder, vector)
    builder.store(ir.Constant(vector, None), total)
    with cgutils.for_range_slice(builder, low, high, one, intp=I64) as (tap, _):
        row = builder.load(builder.gep(taps.data, [tap]))
        part = builder.load(builder.gep(taps.data, [builder.add(tap, entries)]))
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
            builder.store(builder.add(builder.load(total), load(builder, entry, bits)), total)
    into = pointer_at(context, builder, kinds[0], args[0], place, vector)
    store(builder, builder.load(total), into, bits)
