"""Compiled loops over neurons, shared out among torch's own threads.

After each of its operations torch's threads wait for the next one at full speed, for milliseconds.
Threads beside them would have to share their processors. So the loops run on those very threads,
by the OpenMP library (GNU's) that torch brings along. Where that is not to be found, ordinary
threads do it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from sdcl_neuro.compiling.threads import in_threads

SERIAL = 1 << 15
"""Up to so many elements of work a second thread costs more than it saves."""
GRAIN = 16
"""Ranges begin at multiples of it: a cache line of floats is not shared."""
_BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def share(kernel: Callable[..., Any], count: int, *arguments: Any, work: int) -> list[Any]:
    """Call ``kernel(first, last, *arguments)`` on ranges that make up ``0..count``.

    Args:
        kernel: releases the interpreter lock.
        count: of what is shared out.
        work: elements in all.

    Returns:
        What the calls returned, in order of the ranges.
    """
    threads = 1 if work <= SERIAL else min(torch.get_num_threads(), count)
    grain = GRAIN if count >= threads * GRAIN else 1
    edges = [count * part // threads // grain * grain for part in range(threads)] + [count]
    ranges = [(first, last) for first, last in pairwise(edges) if first < last]
    results: list[Any] = [None] * len(ranges)
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            results[number] = kernel(*ranges[number], *arguments)
        except BaseException as error:  # raised below, in the caller's thread
            failures.append(error)

    if len(ranges) == 1:
        run(0)
    elif (openmp := _openmp()) is not None:
        _on_team(openmp, run, len(ranges))
    else:
        in_threads(lambda first, last: run(first), [(i, i + 1) for i in range(len(ranges))])
    if failures:
        raise failures[0]
    return results


def _on_team(openmp: ctypes.CDLL, run: Callable[[int], None], count: int) -> None:
    """Call ``run(0)`` to ``run(count - 1)`` on the team of the calling thread.

    A team may come out smaller than asked for, so each member takes every so manieth.
    """

    def member(_: Any) -> None:
        for number in range(openmp.omp_get_thread_num(), count, openmp.omp_get_num_threads()):
            run(number)

    body = _BODY(member)
    openmp.GOMP_parallel(body, None, count, 0)


@cache
def _openmp() -> ctypes.CDLL | None:
    """Return the GNU OpenMP library in this process, if torch works with it; only Linux tells."""
    if not torch.backends.openmp.is_available():
        return None
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    paths = {line.split(maxsplit=5)[5] for line in lines if "libgomp" in line}
    own = {path for path in paths if "torch" in path}
    if len(own) != 1:
        return None
    library = ctypes.CDLL(own.pop())
    library.GOMP_parallel.argtypes = [_BODY, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    library.GOMP_parallel.restype = None
    return library
