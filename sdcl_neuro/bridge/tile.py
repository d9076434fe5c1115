"""A tile of a matrix product, for numba's kernels, written as LLVM's own vector instructions.

numba leaves it to LLVM to find vectors in a loop, and LLVM cannot keep a tile of sums in registers
over such a loop: it would load and store them at every step. LLVM splits a vector that is wider
than the processor's registers, so the code runs on every processor that numba supports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import extending
from numba.core import cgutils, types
from numba.np.arrayobj import make_array

ROWS = 8
"""Of a tile."""
VECTOR_BYTES, VECTORS = 64, 2
"""A row of a tile is two vectors, so that each weight that is loaded serves twice."""

_FUSED = ("contract",)  # a product and a sum may be rounded once
_I32 = ir.IntType(32)
_Value = Any  # llvmlite's values are untyped


@numba.njit(inline="always")
def tile_columns(itemsize: int) -> int:
    """Of a tile whose elements take so many bytes."""
    return VECTORS * VECTOR_BYTES // itemsize


def _intrinsic(function: Callable[..., Any]) -> Any:
    """numba's, without a type of its own: the caller's arguments are not the function's."""
    return extending.intrinsic(function)


@_intrinsic
def multiply_tile(typingctx, values, start, lines, weight, skip, out, at, pitch, rows):  # type: ignore[no-untyped-def]
    """Write sums over all lines of weight times value: `ROWS` rows of `tile_columns` columns.

    ``out[at + r * pitch + i] = sum over j of weight[skip + j * ROWS + r] *
    values[start + lines[j] + i]``. Positions are in elements and not checked, nor aligned. For
    each sum the order is that of j, so where a column lies in a tile changes no bit.

    Args:
        values, weight, out: flat, of one float type.
        lines: int64.
        start, skip, at, pitch: uint64.
        rows: uint64, how many of the rows are written, the first ones.
    """
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        kinds = signature.args
        element = context.get_value_type(kinds[0].dtype)
        size = kinds[0].dtype.bitwidth // 8
        vector = ir.VectorType(element, VECTOR_BYTES // size)

        def pointer(which: int, position: _Value) -> _Value:
            array = make_array(kinds[which])(context, builder, args[which])
            return builder.gep(array.data, [position])

        def column(first: _Value, number: int) -> _Value:
            moved = builder.gep(first, [ir.Constant(_I32, number * vector.count)])
            return builder.bitcast(moved, vector.as_pointer())

        places = [(r, v) for r in range(ROWS) for v in range(VECTORS)]
        sums = {place: cgutils.alloca_once(builder, vector) for place in places}
        for place in places:
            builder.store(ir.Constant(vector, [0.0] * vector.count), sums[place])
        lines_made = make_array(kinds[2])(context, builder, args[2])
        count = builder.extract_value(lines_made.shape, 0)
        source, factors = pointer(0, args[1]), pointer(3, args[4])
        with cgutils.for_range(builder, count) as loop:
            line = builder.load(builder.gep(lines_made.data, [loop.index]))
            first = builder.gep(source, [line])
            read = []
            for v in range(VECTORS):
                read.append(builder.load(column(first, v)))
                read[-1].align = size
            factor = builder.gep(factors, [builder.mul(loop.index, loop.index.type(ROWS))])
            for r, v in places:
                if v == 0:
                    one = builder.load(builder.gep(factor, [ir.Constant(_I32, r)]))
                    spread = _spread(builder, one, vector)
                product = builder.fmul(spread, read[v], flags=_FUSED)
                total = builder.fadd(builder.load(sums[r, v]), product, flags=_FUSED)
                builder.store(total, sums[r, v])
        for r in range(ROWS):
            with builder.if_then(builder.icmp_unsigned("<", args[8].type(r), args[8])):
                row = builder.mul(args[7], args[7].type(r))
                first = pointer(5, builder.add(args[6], row))
                for v in range(VECTORS):
                    builder.store(builder.load(sums[r, v]), column(first, v)).align = size
        return context.get_dummy_value()

    whole = types.uint64
    signature = types.void(values, whole, lines, weight, whole, out, whole, whole, whole)
    return signature, generate


@_intrinsic
def dot_tile(typingctx, values, start, slopes, at, pitch, vectors, out, into):  # type: ignore[no-untyped-def]
    """Add the scalar products of one line with `ROWS` others.

    ``out[into + r] += sum over i of values[start + i] * slopes[at + r * pitch + i]``, over so many
    vectors of `VECTOR_BYTES`, lane by lane and then over the lanes.

    Args:
        values, slopes, out: flat, of one float type.
        start, at, pitch, vectors, into: uint64.
    """
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        kinds = signature.args
        element = context.get_value_type(kinds[0].dtype)
        size = kinds[0].dtype.bitwidth // 8
        vector = ir.VectorType(element, VECTOR_BYTES // size)

        def pointer(which: int, position: _Value) -> _Value:
            array = make_array(kinds[which])(context, builder, args[which])
            return builder.gep(array.data, [position])

        def read(line: _Value, moved: _Value) -> _Value:
            place = builder.bitcast(builder.gep(line, [moved]), vector.as_pointer())
            value = builder.load(place)
            value.align = size
            return value

        sums = [cgutils.alloca_once(builder, vector) for _ in range(ROWS)]
        for total in sums:
            builder.store(ir.Constant(vector, [0.0] * vector.count), total)
        line = pointer(0, args[1])
        rows = [
            pointer(2, builder.add(args[3], builder.mul(args[4], args[4].type(r))))
            for r in range(ROWS)
        ]
        with cgutils.for_range(builder, args[5]) as loop:
            moved = builder.mul(loop.index, loop.index.type(vector.count))
            value = read(line, moved)
            for total, row in zip(sums, rows, strict=True):
                product = builder.fmul(value, read(row, moved), flags=_FUSED)
                builder.store(builder.fadd(builder.load(total), product, flags=_FUSED), total)
        target = pointer(6, args[7])
        for r, total in enumerate(sums):
            place = builder.gep(target, [ir.Constant(_I32, r)])
            whole = _over_lanes(builder, builder.load(total))
            builder.store(builder.fadd(builder.load(place), whole), place)
        return context.get_dummy_value()

    whole = types.uint64
    return types.void(values, whole, slopes, whole, whole, whole, out, whole), generate


def _over_lanes(builder: _Value, value: _Value) -> _Value:
    """The sum of a vector's lanes, by halves."""
    count = value.type.count
    while count > 1:
        count //= 2
        lanes = ir.VectorType(_I32, count)
        halves = [
            builder.shuffle_vector(value, value, ir.Constant(lanes, list(range(low, low + count))))
            for low in (0, count)
        ]
        value = builder.fadd(*halves)
    return builder.extract_element(value, ir.Constant(_I32, 0))


def _spread(builder: _Value, value: _Value, vector: _Value) -> _Value:
    """A number in every lane."""
    empty = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(_I32, 0))
    zeros = ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, empty, zeros)
