"""A few threads for compiled loops that release the interpreter lock.

They are started for one call and end with it: a pool kept alive would not survive a fork, and
numba's own may not be entered by two threads at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from threading import Thread

from sdcl_neuro.processors import processors as processors


def in_threads(work: Callable[[int, int], None], parts: Sequence[tuple[int, int]]) -> None:
    """Call ``work(first, last)`` for each part, the first of them in the caller's own thread.

    Raises:
        The first exception of any part, once all have ended.
    """
    failures: list[BaseException] = []

    def guarded(first: int, last: int) -> None:
        try:
            work(first, last)
        except BaseException as error:
            failures.append(error)

    others = [Thread(target=guarded, args=part) for part in parts[1:]]
    for other in others:
        other.start()
    for part in parts[:1]:
        guarded(*part)
    for other in others:
        other.join()
    if failures:
        raise failures[0]


def even_parts(count: int, threads: int) -> list[tuple[int, int]]:
    """Return ``range(count)`` in at most `threads` stretches of nearly one length; none is
    empty.
    """
    threads = max(1, min(threads, count))
    edges = [count * i // threads for i in range(threads + 1)]
    return [(low, high) for low, high in itertools.pairwise(edges) if low < high]
