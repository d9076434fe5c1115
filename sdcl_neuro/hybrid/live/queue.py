"""A bounded queue that drops by policy and counts what it dropped."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable
from typing import Generic, Literal, TypeVar, get_args

from sdcl_neuro.errors import InputError

Item = TypeVar("Item")
Policy = Literal["oldest", "newest", "block"]
# How soon a thread that waits sees that it was stopped from outside.
WAKE_S = 0.1
POLICIES: tuple[str, ...] = get_args(Policy)


class DropQueue(Generic[Item]):
    """Queue from one thread to another that holds at most `limit` items.

    Args:
        limit: items that may wait.
        policy: what happens to an item that finds the queue full: ``oldest`` drops the one that has
            waited longest, ``newest`` drops the item itself, ``block`` waits until there is room.
        stop: set from outside to end it: nothing more is handed over, and no one waits longer.
        owner: says whose an item is. ``oldest`` then drops of the owner who has most waiting, so
            that a busy one does not push the others out; drops are counted by owner.
        on_drop: called with each item that is dropped, while the queue is locked.

    Attributes:
        dropped: how many items were dropped.
        dropped_of: the same by owner.
        deepest: most items that ever waited.
    """

    def __init__(
        self,
        limit: int,
        policy: Policy,
        stop: threading.Event,
        *,
        owner: Callable[[Item], Hashable] = lambda item: None,
        on_drop: Callable[[Item], None] = lambda item: None,
    ) -> None:
        if limit < 1 or policy not in POLICIES:
            raise InputError(
                f"a queue of {limit} with policy {policy!r}",
                hint=f"give at least 1, and one of {', '.join(POLICIES)}",
            )
        self.limit, self.policy = limit, policy
        self.dropped = self.deepest = 0
        self.dropped_of: Counter[Hashable] = Counter()
        self._owner, self._on_drop = owner, on_drop
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._stop, self._closed = stop, False
        self._error: BaseException | None = None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        """Hand one item over, or drop by policy; after the end everything stays in the queue."""
        with self._changed:
            while self.policy == "block" and len(self._items) >= self.limit and not self._over():
                self._changed.wait(WAKE_S)
            if len(self._items) >= self.limit and not self._over():
                gone = item if self.policy == "newest" else self._give_way()
                self.dropped += 1
                self.dropped_of[self._owner(gone)] += 1
                self._on_drop(gone)
                if gone is item:
                    return
            self._items.append(item)
            self.deepest = max(self.deepest, min(self.limit, len(self._items)))
            self._changed.notify_all()

    def take(self, count: int, *, fill: bool = False, wait: bool = True) -> list[Item]:
        """Take up to `count` items in order.

        Args:
            count: at most so many, and at most `limit`.
            fill: take nothing before `count` are there or no more will come.
            wait: wait for it; else an empty list says that there is not enough yet.

        Returns:
            The items; an empty list after waiting means that it is over.

        Raises:
            BaseException: what `close` was given, after the last item, to who waits.
        """
        wanted = count if fill else 1
        with self._changed:
            while wait and len(self._items) < wanted and not self._over():
                self._changed.wait(WAKE_S)
            if self._stop.is_set() or (len(self._items) < wanted and not self._closed):
                return []
            taken = [self._items.popleft() for _ in range(min(count, len(self._items)))]
            if wait and not taken and self._error is not None:
                raise self._error
            self._changed.notify_all()
        return taken

    def close(self, error: BaseException | None = None) -> None:
        """Say that nothing more will come; an error is told after the last item."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()

    def _give_way(self) -> Item:
        """Take out the oldest item of the owner who has most waiting."""
        waiting = Counter(map(self._owner, self._items))
        most = max(waiting.values())
        place = next(n for n, one in enumerate(self._items) if waiting[self._owner(one)] == most)
        gone = self._items[place]
        del self._items[place]
        return gone

    def _over(self) -> bool:
        return self._closed or self._stop.is_set()
