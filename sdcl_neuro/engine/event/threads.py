"""Threads for kernels that run without the interpreter's lock; made once, on first use.

Starting threads for each stretch of a millisecond, as `sdcl_neuro.compiling.threads` does for a
call, would cost a tenth of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sdcl_neuro.processors import usable

Task = tuple[Callable[..., object], tuple[Any, ...]]

_pool: ThreadPoolExecutor | None = None


def together(tasks: Sequence[Task]) -> None:
    """Run all tasks, the first one in this thread; raise the first error once all have ended."""
    first, *others = tasks
    if not others:
        first[0](*first[1])
        return
    pool = _threads()
    futures = [pool.submit(function, *arguments) for function, arguments in others]
    try:
        first[0](*first[1])
    finally:
        errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None:
            raise error


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(usable(), "sdcl-neuro-engine")
    return _pool


def _forget() -> None:
    """Forget the parent's threads, of which a forked process has none."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
