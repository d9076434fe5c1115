"""Compiled loops over neurons, shared out among as many threads as torch uses."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import torch

SERIAL = 1 << 15
"""Up to so many elements of work a second thread costs more than it saves."""


def share(kernel: Callable[..., Any], count: int, *arguments: Any, work: int) -> list[Any]:
    """Call ``kernel(first, last, *arguments)`` on ranges that make up ``0..count``.

    Args:
        kernel: releases the interpreter lock, and does not raise.
        count: of what is shared out.
        work: elements in all.

    Returns:
        What the calls returned, in order of the ranges.
    """
    threads = min(torch.get_num_threads(), count)
    if threads <= 1 or work <= SERIAL:
        return [kernel(0, count, *arguments)]
    # Ranges begin at multiples of a cache line of the smallest elements.
    edges = [count * part // threads // 64 * 64 for part in range(threads)] + [count]
    with ThreadPoolExecutor(threads - 1) as pool:
        later = [
            pool.submit(kernel, first, last, *arguments) for first, last in pairwise(edges[1:])
        ]
        return [kernel(0, edges[1], *arguments), *(one.result() for one in later)]
