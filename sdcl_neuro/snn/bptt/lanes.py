"""Operations on eight floats at once, spelled out for the compiler.

It vectorises no loop so short between two arrays that might be one. What runs on the processor is
whatever LLVM makes of vectors of eight: one register, or two of four.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types

from sdcl_neuro.compiling.llvm import I64, intrinsic, load, pointer_at, splat, store

LANES = 8
"""Floats in a vector."""
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


@intrinsic
def add_lanes(typingctx, target, start, source, begin, factor):  # type: ignore[no-untyped-def]
    """Compute ``target[start:start + LANES] += factor * source[begin:begin + LANES]``, in
    float32.
    """
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        to = pointer_at(context, builder, signature.args[0], args[0], args[1], _VECTOR)
        read = pointer_at(context, builder, signature.args[2], args[2], args[3], _VECTOR)
        product = builder.fmul(load(builder, read, 32), splat(builder, args[4], _VECTOR))
        store(builder, builder.fadd(load(builder, to, 32), product), to, 32)
        return context.get_dummy_value()

    return types.void(target, start, source, begin, factor), generate


@intrinsic
def spiking_lanes(typingctx, source, begin):  # type: ignore[no-untyped-def]
    """Return a bit for each of ``source[begin : begin + LANES]``, flat float32: set if not zero."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        place = pointer_at(context, builder, signature.args[0], args[0], args[1], _VECTOR)
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        flags = builder.fcmp_unordered("!=", load(builder, place, 32), zero)
        return builder.zext(builder.bitcast(flags, ir.IntType(LANES)), I64)

    return types.uint64(source, begin), generate
