"""Operations on eight floats at once, spelled out for the compiler.

It vectorises no loop so short between two arrays that might be one. What runs on the processor is
whatever LLVM makes of vectors of eight: one register, or two of four.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

LANES = 8
"""Floats in a vector."""
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INDEX = ir.IntType(32)


def _address(context: Any, builder: Any, signature: Any, arguments: Any, number: int) -> Any:
    """Of a vector in the array that is argument `number`, from the index that follows it."""
    array = context.make_array(signature.args[number])(context, builder, arguments[number])
    first = builder.gep(array.data, [arguments[number + 1]])
    return builder.bitcast(first, _VECTOR.as_pointer())


def _add(typing: Any, target: Any, start: Any, source: Any, begin: Any, factor: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to = _address(context, builder, signature, arguments, 0)
        read = _address(context, builder, signature, arguments, 2)
        unset = ir.Constant(_VECTOR, ir.Undefined)
        lane = builder.insert_element(unset, arguments[4], ir.Constant(_INDEX, 0))
        same = ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES)
        factors = builder.shuffle_vector(lane, unset, same)
        product = builder.fmul(builder.load(read, align=4), factors)
        builder.store(builder.fadd(builder.load(to, align=4), product), to, align=4)
        return context.get_dummy_value()

    return types.void(target, start, source, begin, factor), generate


def _spiking(typing: Any, source: Any, begin: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = builder.load(_address(context, builder, signature, arguments, 0), align=4)
        flags = builder.fcmp_unordered("!=", values, ir.Constant(_VECTOR, [0.0] * LANES))
        return builder.zext(builder.bitcast(flags, ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(source, begin), generate


def _lowest(typing: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(bits), generate


add_lanes: Callable[..., None] = intrinsic(_add)
"""``(target, i, source, j, factor)``: ``target[i : i + LANES] += factor * source[j : j + LANES]``,
flat float32."""
spiking_lanes: Callable[..., Any] = intrinsic(_spiking)
"""``(source, i)``: a bit for each of ``source[i : i + LANES]``, flat float32: set if not zero."""
lowest_bit: Callable[..., Any] = intrinsic(_lowest)
"""The place of the lowest bit set in a uint64 that is not zero."""
