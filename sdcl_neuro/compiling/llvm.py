"""What vector operations are written with: LLVM's own instructions, through numba.

numba compiles loops over scalars and leaves it to LLVM to find vectors in them. In a few inner
loops it does not: a short run of weights is guarded by tests for overlapping arrays that cost more
than the run, and the 64-bit product of a decay is widened lane by lane. Those are spelled out. LLVM
splits a vector that is wider than the processor's registers, so the code runs on every processor
that numba supports; no instruction of one maker is named.

Positions are in elements, unsigned; nothing is checked. Vectors need no alignment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending
from numba.np.arrayobj import make_array

I32, I64 = ir.IntType(32), ir.IntType(64)
Value = Any  # llvmlite's values are untyped


def intrinsic(function: Callable[..., Any]) -> Any:
    """Return numba's, without a type of its own: the caller's arguments are not the function's."""
    return extending.intrinsic(function)


def constant(bits: int, lanes: int, value: int) -> Value:
    """Return the same number in every lane."""
    return ir.Constant(ir.VectorType(ir.IntType(bits), lanes), [value] * lanes)


def splat(builder: Value, value: Value, vector: Value) -> Value:
    """Return a number in every lane."""
    empty = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, empty, constant(32, vector.count, 0))


def pointer_at(
    context: Value, builder: Value, kind: Value, array: Value, position: Value, vector: Value
) -> Value:
    """Return pointer to the vector that begins at an element of a contiguous array."""
    first = builder.gep(make_array(kind)(context, builder, array).data, [position])
    return builder.bitcast(first, vector.as_pointer())


def load(builder: Value, pointer: Value, bits: int) -> Value:
    """Return what lies at a pointer to elements of so many bits, aligned as those are."""
    value = builder.load(pointer)
    value.align = bits // 8
    return value


def store(builder: Value, value: Value, pointer: Value, bits: int) -> None:
    """Write there."""
    builder.store(value, pointer).align = bits // 8
