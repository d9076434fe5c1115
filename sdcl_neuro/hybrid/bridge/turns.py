"""The bridge's compiled loops on several threads, which take turns."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sdcl_neuro.compiling.threads import even_parts
from sdcl_neuro.snn.bptt.workers import share

PIECES = 4
"""Pieces of work for each thread: one that starts late or is slower leaves some to others."""


def in_turns(run: Callable[[int, int], None], units: int, *, work: int) -> None:
    """Call ``run(first, last)`` on ranges that make up ``0..units``, on torch's own threads.

    Args:
        run: releases the interpreter lock, and gives the same whatever the ranges are.
        units: of what is shared out.
        work: operations in all; a few are not worth a second thread.
    """
    threads = max(1, min(torch.get_num_threads(), units))
    waiting = iter(even_parts(units, threads * PIECES))  # a list's iterator: its steps are atomic

    def take(_first: int, _last: int) -> None:
        for piece in waiting:
            run(*piece)

    share(take, threads, work=work)
