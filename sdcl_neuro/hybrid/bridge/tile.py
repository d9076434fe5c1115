"""Tiles of matrix products, for numba's kernels, written as LLVM's own vector instructions.

numba leaves it to LLVM to find vectors in a loop, and LLVM cannot keep a tile of sums in registers
over such a loop: it would load and store them at every step. Positions are in elements, uint64;
nothing is checked or aligned.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.np.arrayobj import make_array

from sdcl_neuro.compiling import compiled
from sdcl_neuro.compiling.llvm import I32, Value, intrinsic, load, pointer_at, store

ROWS = 8
"""Number of rows in a tile."""
VECTOR_BYTES, VECTORS = 64, 2
"""A row of a tile is two vectors, so that each weight that is loaded serves twice."""

_FUSED = ("contract",)  # a product and a sum may be rounded once


@compiled
def tile_columns(itemsize: int) -> int:
    """Return the columns of a tile whose elements take `itemsize` bytes."""
    return VECTORS * VECTOR_BYTES // itemsize


@intrinsic
def multiply_tile(typingctx, values, start, lines, weight, skip, out, at, pitch, rows):  # type: ignore[no-untyped-def]
    """Write sums over all lines of weight times value: `ROWS` rows of `tile_columns` columns.

    ``out[at + r * pitch + i] = sum over j of weight[skip + j * ROWS + r] *
    values[start + lines[j] + i]``. For each sum the order is that of j, so where a column lies in
    a tile changes no bit. Only the first `rows` rows are written.

    Args:
        values, weight, out: flat, of one float type.
        lines: int64.
        start, skip, at, pitch, rows: uint64.
    """
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        kinds, number = signature.args, args[8].type
        element, bits, vector = _vector(context, kinds[0])
        places = [(r, v) for r in range(ROWS) for v in range(VECTORS)]
        sums = dict(zip(places, _zeros(builder, vector, len(places)), strict=True))
        table = make_array(kinds[2])(context, builder, args[2])
        source = pointer_at(context, builder, kinds[0], args[0], args[1], element)
        factors = pointer_at(context, builder, kinds[3], args[3], args[4], element)
        with cgutils.for_range(builder, builder.extract_value(table.shape, 0)) as loop:
            line = builder.load(builder.gep(table.data, [loop.index]))
            first = builder.gep(source, [line])
            read = [load(builder, _moved(builder, first, v, vector), bits) for v in range(VECTORS)]
            factor = builder.gep(factors, [builder.mul(loop.index, loop.index.type(ROWS))])
            for r in range(ROWS):
                one = builder.load(builder.gep(factor, [ir.Constant(I32, r)]))
                spread = _spread(builder, one, vector)
                for v in range(VECTORS):
                    _add_product(builder, sums[r, v], spread, read[v])
        for r in range(ROWS):
            with builder.if_then(builder.icmp_unsigned("<", number(r), args[8])):
                row = builder.add(args[6], builder.mul(args[7], number(r)))
                first = pointer_at(context, builder, kinds[5], args[5], row, element)
                for v in range(VECTORS):
                    into = _moved(builder, first, v, vector)
                    store(builder, builder.load(sums[r, v]), into, bits)
        return context.get_dummy_value()

    whole = types.uint64
    signature = types.void(values, whole, lines, weight, whole, out, whole, whole, whole)
    return signature, generate


@intrinsic
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
        kinds, number = signature.args, args[5].type
        element, bits, vector = _vector(context, kinds[0])
        sums = _zeros(builder, vector, ROWS)
        line = pointer_at(context, builder, kinds[0], args[0], args[1], element)
        starts = [builder.add(args[3], builder.mul(args[4], number(r))) for r in range(ROWS)]
        rows = [pointer_at(context, builder, kinds[2], args[2], at, element) for at in starts]
        with cgutils.for_range(builder, args[5]) as loop:
            value = load(builder, _moved(builder, line, loop.index, vector), bits)
            for total, row in zip(sums, rows, strict=True):
                slope = load(builder, _moved(builder, row, loop.index, vector), bits)
                _add_product(builder, total, value, slope)
        target = pointer_at(context, builder, kinds[6], args[6], args[7], element)
        for r, total in enumerate(sums):
            place = builder.gep(target, [ir.Constant(I32, r)])
            whole = _over_lanes(builder, builder.load(total))
            builder.store(builder.fadd(builder.load(place), whole), place)
        return context.get_dummy_value()

    whole = types.uint64
    return types.void(values, whole, slopes, whole, whole, whole, out, whole), generate


def _vector(context: Value, array: Value) -> tuple[Value, int, Value]:
    """Return the type of an array's elements, their bits, and the vector of them."""
    element, bits = context.get_value_type(array.dtype), array.dtype.bitwidth
    return element, bits, ir.VectorType(element, VECTOR_BYTES * 8 // bits)


def _zeros(builder: Value, vector: Value, count: int) -> list[Value]:
    """Return so many vectors of zeros, which LLVM will keep in registers."""
    made = [cgutils.alloca_once(builder, vector) for _ in range(count)]
    for place in made:
        builder.store(ir.Constant(vector, [0.0] * vector.count), place)
    return made


def _moved(builder: Value, first: Value, number: Any, vector: Value) -> Value:
    """Return the pointer to the n-th vector after a pointer to an element."""
    number = ir.Constant(I32, number) if isinstance(number, int) else number
    moved = builder.gep(first, [builder.mul(number, number.type(vector.count))])
    return builder.bitcast(moved, vector.as_pointer())


def _add_product(builder: Value, total: Value, one: Value, two: Value) -> None:
    """Add a product to the vector at a pointer."""
    product = builder.fmul(one, two, flags=_FUSED)
    builder.store(builder.fadd(builder.load(total), product, flags=_FUSED), total)


def _over_lanes(builder: Value, value: Value) -> Value:
    """Return the sum of a vector's lanes, by halves."""
    count = value.type.count
    while count > 1:
        count //= 2
        lanes = ir.VectorType(I32, count)
        halves = [
            builder.shuffle_vector(value, value, ir.Constant(lanes, list(range(low, low + count))))
            for low in (0, count)
        ]
        value = builder.fadd(*halves)
    return builder.extract_element(value, ir.Constant(I32, 0))


def _spread(builder: Value, value: Value, vector: Value) -> Value:
    """Return a number in every lane."""
    empty = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(I32, 0))
    zeros = ir.Constant(ir.VectorType(I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, empty, zeros)
