"""`prefetched`: ahead by a bounded number, errors in their place, no thread left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from sdcl_neuro.hybrid.runtime import prefetched


def alive() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


def test_items_come_in_order_and_the_thread_ends() -> None:
    with prefetched(range(100), ahead=3) as items:
        assert list(items) == list(range(100))
    assert alive() == 0


def test_it_works_ahead_and_no_further() -> None:
    made: list[int] = []

    def making() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    with prefetched(making(), ahead=3) as items:
        assert next(items) == 0
        until = time.monotonic() + 10
        while len(made) < 5 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.3)
        # One was taken, three wait, one is in the thread's hands.
        assert len(made) == 5
    assert alive() == 0
    assert len(made) <= 6


def test_an_error_comes_after_what_was_made() -> None:
    def making() -> Iterator[int]:
        yield 1
        raise ValueError("the file ends early")

    with prefetched(making(), ahead=2) as items:
        assert next(items) == 1
        with pytest.raises(ValueError, match="ends early"):
            next(items)
    assert alive() == 0


def test_leaving_early_ends_the_thread() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 0

    with prefetched(endless(), ahead=1) as items:
        assert next(items) == 0
    assert alive() == 0
