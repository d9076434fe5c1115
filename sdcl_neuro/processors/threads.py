"""The one place that decides how many threads a parallel loop gets.

What is decided follows from the processors that the process may use, from what others use of them,
and from what the user told; it is decided once, when the work begins, and holds until it is decided
again: with another number of threads some of torch's sums round differently in the last bit.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from sdcl_neuro.errors import InputError

from . import load
from .usable import usable
from .waiting import ASLEEP, policy

TOLD = "OMP_NUM_THREADS"
"""The user's own number, for this process and those that it starts."""
_SHARE = 0.6
"""From this part of a processor on that others leave, one more thread pays."""
_SHARED = 0.4
"""Where others leave less than this part of the processors, sleeping threads share all of them:
that takes about twice the time of a quiet machine, and the few left take 1 / .4 = 2.5 times. On two
processors beside two busy processes, in two threads and in one: ResNet-50 436 and 542 ms a
tracklet, a training step 214 and 253 ms."""


@dataclass(frozen=True)
class Threads:
    """How many threads, and why.

    Attributes:
        count: of a parallel loop, the calling thread among them.
        usable: processors that the process may use: affinity and quota.
        others: processors' worth of time that other processes used just before; None if unknown.
        told: the number that the user gave; None if the count was decided here.
        waiting: how OpenMP's threads wait, see `waiting.policy`.
        reason: for the count, in a few words.
    """

    count: int
    usable: int
    others: float | None
    told: int | None
    waiting: str
    reason: str

    def __str__(self) -> str:
        return f"{self.count} thread{'s' if self.count > 1 else ''} ({self.reason})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


_begun = load.sample()
_settled: Threads | None = None
_local = threading.local()


@contextmanager
def telling(count: int | None) -> Iterator[None]:
    """Tell this process, and those that it starts in this block, so many threads.

    Args:
        count: ``--threads``; None leaves everything as it is.

    Raises:
        InputError: a number below 1.
    """
    if count is None:
        yield
        return
    if count < 1:
        raise InputError(
            f"threads must be at least 1 (got {count})", where="--threads", hint="leave it out"
        )
    before = os.environ.get(TOLD)
    os.environ[TOLD] = str(count)
    forget()
    try:
        yield
    finally:
        forget()
        if before is None:
            del os.environ[TOLD]
        else:
            os.environ[TOLD] = before


def told() -> int | None:
    """Return the user's own number; None where there is none."""
    text = os.environ.get(TOLD, "").split(",")[0].strip()  # a list is one number a level
    return int(text) if text.isdecimal() and int(text) > 0 else None


def settle(*, light: bool = False) -> Threads:
    """Decide again, by what others used since the last decision or since the start.

    Args:
        light: the loops to come are so short that a second thread gains nothing.
    """
    global _begun, _settled
    now = load.sample()
    others = load.used_by_others(_begun, now)
    if others is not None:
        _begun = now
    elif _settled is not None:
        others = _settled.others  # decided a moment ago
    _settled = decide(usable(), others=others, told=told(), light=light)
    return _settled


def decide(
    available: int, *, others: float | None, told: int | None = None, light: bool = False
) -> Threads:
    """Return the decision itself.

    Args:
        available: processors that the process may use.
        others: processors' worth of time that other processes use of them; None if unknown.
        told: the user's number; more than `available` gain nothing and are cut.
        light: a second thread gains nothing.
    """
    waiting = policy()
    if told is not None:
        count = max(1, min(told, available))
        reason = "as told" if count == told else f"{told} told, {available} usable"
    elif available == 1:
        count, reason = 1, "1 usable"
    elif light:
        count, reason = 1, "the work is too small for a second one"
    else:
        left = available - (others or 0.0)
        shared = left < _SHARED * available and waiting == ASLEEP
        count = available if shared else max(1, min(available, int(left + 1 - _SHARE)))
        reason = f"{available} usable"
        if shared or count < available:
            reason += f", {others:.1f} used by other processes"
        if shared:
            reason += " and shared with them"
    return Threads(count, available, others, told, waiting, reason)


def settled() -> Threads:
    """Return what was decided last; decides where nothing was."""
    return _settled or settle()


def forget() -> None:
    """Decide again when next asked."""
    global _settled
    _settled = None


def processors() -> int:
    """Return threads to use at this place: what is settled, or what `at_most` leaves of it here."""
    limit: int | None = getattr(_local, "limit", None)
    count = _settled.count if _settled is not None else _unsettled()
    return count if limit is None else min(count, limit)


def _unsettled() -> int:
    """Return, as a library in someone's own process does, what was told, or all."""
    available, given = usable(), told()
    return available if given is None else max(1, min(given, available))


@contextmanager
def at_most(limit: int) -> Iterator[None]:
    """Let `processors` answer with `limit` at most in this block and this thread."""
    before: int | None = getattr(_local, "limit", None)
    _local.limit = limit if before is None else min(before, limit)
    try:
        yield
    finally:
        _local.limit = before
