"""The bounded queue: what is dropped, what is counted, and who is told of an error."""

from __future__ import annotations

import threading
import time

import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.live.queue import DropQueue


def queue(limit: int, policy) -> DropQueue[int]:
    return DropQueue(limit, policy, threading.Event())


@pytest.mark.parametrize(("policy", "left"), [("oldest", [2, 3, 4]), ("newest", [0, 1, 2])])
def test_a_full_queue_drops_by_policy_and_counts(policy, left: list[int]) -> None:
    full = queue(3, policy)
    for item in range(5):
        full.put(item)
    assert (full.dropped, full.deepest, len(full)) == (2, 3, 3)
    assert full.take(10) == left


def test_block_holds_the_source_up_and_loses_nothing() -> None:
    narrow = queue(2, "block")
    source = threading.Thread(target=lambda: [narrow.put(item) for item in range(50)])
    source.start()
    time.sleep(0.05)
    assert len(narrow) == 2
    got: list[int] = []
    while len(got) < 50:
        got += narrow.take(1)
    source.join()
    assert got == list(range(50))
    assert (narrow.dropped, narrow.deepest) == (0, 2)


def test_a_batch_is_filled_or_ended() -> None:
    one = queue(8, "oldest")
    one.put(1)
    assert one.take(2, fill=True, wait=False) == []
    one.put(2)
    assert one.take(2, fill=True) == [1, 2]
    one.put(3)
    one.close()
    assert one.take(2, fill=True) == [3]
    assert one.take(2, fill=True) == []


def test_an_error_is_told_after_the_last_item_to_who_waits() -> None:
    one = queue(8, "oldest")
    one.put(1)
    one.close(InputError("line 7 is bad"))
    assert one.take(4) == [1]
    assert one.take(4, wait=False) == []
    with pytest.raises(InputError, match="line 7"):
        one.take(4)


def test_a_stop_from_outside_wakes_both_ends() -> None:
    stop = threading.Event()
    one: DropQueue[int] = DropQueue(1, "block", stop)
    one.put(1)
    blocked = threading.Thread(target=one.put, args=(2,))
    blocked.start()
    stop.set()
    blocked.join(timeout=5)
    assert not blocked.is_alive()
    assert one.take(1) == []
    assert len(one) == 2  # nothing lost: it counts as unfinished


def test_a_queue_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        queue(0, "oldest")
    with pytest.raises(InputError, match="oldest, newest, block"):
        queue(1, "random")
