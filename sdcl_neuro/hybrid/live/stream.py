"""A stream read on a thread of its own, for a reader that wants all of it up to a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]


class Stream:
    """Reads rows of a structured array, and keeps those that no one has taken yet.

    Whoever wants all rows up to a mark (a time, a frame's number) waits until a row with a later
    one has been seen, the stream has ended, or patience is over. Rows that arrive after their mark
    was taken are late: counted and left out. What no one takes is bounded: a full stream stops
    reading, so that a pipe's writer has to wait.

    Args:
        blocks: called on the thread with an event that says stop; gives arrays of rows.
        field: the rows' field that holds the mark.
        patience_s: how long to wait for a mark to be passed.
        most: rows kept at most (and one block more).
    """

    def __init__(
        self,
        blocks: Callable[[threading.Event], Iterator[Rows]],
        field: str,
        *,
        patience_s: float,
        most: int = 1 << 24,
    ) -> None:
        self._blocks, self._field = blocks, field
        self._patience_s, self._most = patience_s, most
        self._condition = threading.Condition()
        self._stop = threading.Event()
        self._waiting: list[Rows] = []
        self._first: int | None = None
        self._seen: int | None = None
        self._taken: int | None = None
        self._ended, self._late = False, 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name=f"stream-{field}", daemon=True)

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Not joined: the thread may sit in a read that never returns. It holds nothing of value.
        self._stop.set()
        with self._condition:
            self._condition.notify_all()

    @property
    def late(self) -> int:
        """Rows that were left out because they came too late."""
        return self._late

    @property
    def seen(self) -> tuple[int, int] | None:
        """Least and greatest mark of all rows so far; None without any."""
        if self._first is None or self._seen is None:
            return None
        return self._first, self._seen

    def first(self) -> int | None:
        """Return least mark of the first rows, waited for as `until` waits; None if nothing
        comes.
        """
        deadline = time.monotonic() + self._patience_s
        with self._condition:
            while not (self._first is not None or self._ended or self._error):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._condition.wait(left)
            if self._error is not None:
                raise self._error
            return self._first

    def until(self, mark: int) -> Rows | None:
        """Take all rows up to and with `mark`, by mark; None if there are none.

        Raises:
            InputError: what the thread stumbled over.
        """
        deadline = time.monotonic() + self._patience_s
        with self._condition:
            while not self._passed(mark) and (left := deadline - time.monotonic()) > 0:
                self._condition.wait(left)
            if self._error is not None:
                raise self._error
            self._taken = mark
            rows = np.concatenate(self._waiting) if self._waiting else None
            self._waiting = []
            if rows is None:
                return None
            due = rows[self._field] <= mark
            if not due.all():
                self._waiting = [rows[~due]]
            self._condition.notify_all()
        taken = rows[due]
        return taken[np.argsort(taken[self._field], kind="stable")] if len(taken) else None

    def _passed(self, mark: int) -> bool:
        later = self._seen is not None and self._seen > mark
        return self._ended or self._error is not None or later

    def _read(self) -> None:
        try:
            for rows in self._blocks(self._stop):
                if not self._keep(rows):
                    return
        except BaseException as error:
            self._error = error
        finally:
            with self._condition:
                self._ended = True
                self._condition.notify_all()

    def _keep(self, rows: Rows) -> bool:
        """Take rows in, waiting while there are too many; False if it is over."""
        if not len(rows):
            return not self._stop.is_set()
        with self._condition:
            marks = rows[self._field]
            if self._taken is not None:
                late = marks <= self._taken
                self._late += int(np.count_nonzero(late))
                rows = rows[~late]
            self._waiting.append(rows)
            last, first = int(marks.max()), int(marks.min())
            self._seen = last if self._seen is None else max(last, self._seen)
            self._first = first if self._first is None else min(first, self._first)
            self._condition.notify_all()
            while sum(map(len, self._waiting)) > self._most and not self._stop.is_set():
                self._condition.wait(0.05)
        return not self._stop.is_set()


class Entered:
    """A reader used within ``with``, which enters its parts in order and leaves them in reverse."""

    def _parts(self) -> Iterable[AbstractContextManager[object]]:
        """Return what is entered: none by default."""
        return ()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            for part in self._parts():
                opened.enter_context(part)
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, trace)


class Streamed(Entered):
    """A reader with a stream of its own, whose device is opened first."""

    _stream: Stream
    _device: AbstractContextManager[object] | None = None

    def _parts(self) -> Iterable[AbstractContextManager[object]]:
        return (self._stream,) if self._device is None else (self._device, self._stream)

    @property
    def late(self) -> int:
        """Return what came after its time had been closed, and was left out."""
        return self._stream.late
