"""An iterator that works ahead on a thread of its own, by a bounded number of items."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sdcl_neuro.processors import at_most

Item = TypeVar("Item")
PATIENCE_S = 0.1
"""How long the thread waits for room before it looks whether anyone still takes."""


@contextmanager
def prefetched(items: Iterable[Item], *, ahead: int) -> Iterator[Iterator[Item]]:
    """Take, within this block, items that a thread made while the last ones were worked on.

    The thread uses one processor. It ends with the block, after the item it is making; what making
    an item raises is raised where that item would have come.

    Args:
        items: iterated on the thread, and nowhere else.
        ahead: items that may wait, at least one.
    """
    ready: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(ahead)
    over = threading.Event()

    def offer(entry: tuple[Item | None, BaseException | None]) -> bool:
        while not over.is_set():
            try:
                ready.put(entry, timeout=PATIENCE_S)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            with at_most(1):
                for item in items:
                    if not offer((item, None)):
                        return
        except BaseException as error:
            offer((None, error))
        else:
            offer((None, StopIteration()))

    def taken() -> Iterator[Item]:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # None only beside an error

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        over.set()
        thread.join()
