"""Operations on a word's bits, for numba's kernels."""

from __future__ import annotations

from llvmlite import ir
from numba.core import types

from .llvm import intrinsic


@intrinsic
def count_ones(typingctx, word):  # type: ignore[no-untyped-def]
    """Return how many bits of a word are set."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        del context, signature
        return builder.ctpop(args[0])

    return types.uint64(word), generate


@intrinsic
def lowest_bit(typingctx, word):  # type: ignore[no-untyped-def]
    """Return the number of the lowest bit that is set; 64 in a word that is zero."""
    del typingctx

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        del context, signature
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(word), generate
