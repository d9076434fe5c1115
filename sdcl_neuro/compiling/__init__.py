"""How the package's loops are compiled: by numba, without the interpreter's lock, kept on disk.

numba counts the references to every array that a function is given, atomically, also within loops
that call others: a sixth of the engine's time, and more where threads wait for one another's
counters. `lean` and `inlined` leave the counting out; such a function may neither make an array nor
return one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba

from .cache import SourceCache

UNCOUNTED: dict[str, Any] = {"_nrt": False}
"""numba's switch for its runtime, as its own extensions use it; versions 0.61 to 0.68 have it."""


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile on first use, to run without the interpreter lock; cached where that can be.

    Args:
        function: what numba can compile.
        options: of `numba.njit`.
    """
    kernel: Callable[..., Any] = numba.njit(function, nogil=True, **options)
    # Without a place for a cache, or with sources that may be newer than what runs, each process
    # compiles for itself; the result is the same.
    with suppress(RuntimeError):
        vars(kernel)["_cache"] = SourceCache(function, options)
    return kernel


def lean(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile as `compiled` does, for a function that makes and returns no array."""
    return compiled(function, **UNCOUNTED)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile into each caller, which is `lean`: an array is seven arguments, too many to pass."""
    kernel: Callable[..., Any] = numba.njit(function, forceinline=True, **UNCOUNTED)
    return kernel
