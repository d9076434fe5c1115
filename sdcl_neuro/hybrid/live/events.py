"""Events of each video interval, from a stream that is still being written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE, Events
from sdcl_neuro.events.alignment import Alignment, StretchedView, View
from sdcl_neuro.events.alignment.fitting import UNIX_US
from sdcl_neuro.events.tracklets.event_source import Size, shifted_slice
from sdcl_neuro.events.tracklets.frame_files import Frame

from .clock import ClockWatch
from .follow import follow, lines, records
from .frames import FrameSource
from .stream import Stream, Streamed

EventFormat = Literal["text", "records"]


class StreamedEvents(Streamed):
    """Events that arrive; a `data.event_source.EventSource`, used within ``with``.

    Two formats are read, both without a header. ``text``: lines ``t x y p``, microseconds, split by
    blanks or commas. ``records``: 13 bytes an event, little-endian: t int64, x uint16, y uint16, p
    uint8 (`EVENT_DTYPE`). An interval's events are complete when a later event has come; a silent
    scene sends none, so after `patience_s` the interval is closed, and what comes after is late.

    Args:
        path: a growing file or a named pipe; ``-`` is standard input.
        sensor: width and height.
        kind: the format.
        patience_s: how long to wait for an interval to be passed.
        idle_s: see `follow`.
        alignment: of clocks; views are `view`'s.
        view: cuts boxes of the frame out of the events; frames like the sensor if None.
        frames: whose clock the events are brought to; one that begins at 0 if None.
        say: told in one line if the events are on another clock.
    """

    def __init__(
        self,
        path: str,
        sensor: Size,
        *,
        kind: EventFormat,
        patience_s: float,
        idle_s: float,
        alignment: Alignment | None = None,
        view: View | None = None,
        frames: FrameSource | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.path, self.sensor, self._kind, self._idle_s = path, sensor, kind, idle_s
        self.view: View = view or StretchedView(sensor, sensor)
        self._alignment, self._frames = alignment or Alignment(), frames
        self._shift_us: int | None = None
        self.clock = ClockWatch(path, say)
        self._stream = Stream(self._blocks, "t", patience_s=patience_s)

    def interval(self, after_us: int, time_us: int, frame: Frame) -> Events:
        """See `EventSource`; events before `after_us` belong to no frame."""
        shift = self._shift()
        if shift is None:  # nothing has come yet that would say where the events' clock begins
            self.clock.look(time_us, 0, None)
            return Events(np.empty(0, EVENT_DTYPE), *self.sensor, "streamed")
        rows = self._stream.until(time_us - shift)
        array = np.empty(0, EVENT_DTYPE) if rows is None else rows
        found = Events(array, *self.sensor, "streamed")
        events = shifted_slice(found, after_us, time_us, shift)
        seen = self._stream.seen
        self.clock.look(
            time_us, len(events), None if seen is None else (seen[0] + shift, seen[1] + shift)
        )
        return events

    def _shift(self) -> int | None:
        """Return what is added to event times; None as long as it cannot be known."""
        if self._shift_us is None:
            alignment = self._alignment
            match alignment.event_clock:
                case "frame":
                    self._shift_us = alignment.offset_us
                case "unix":
                    self._shift_us = alignment.offset_us - unix_of_zero(alignment, self._frames)
                case "first":
                    first = self._stream.first()
                    if first is not None:
                        begun = 0 if self._frames is None else self._frames.first_us
                        self._shift_us = alignment.offset_us + begun - first
        return self._shift_us

    def _blocks(self, stop: threading.Event) -> Iterator[NDArray[Any]]:
        chunks = follow(self.path, idle_s=self._idle_s, stop=stop)
        if self._kind == "records":
            for block in records(chunks, EVENT_DTYPE.itemsize):
                yield self._checked(np.frombuffer(block, EVENT_DTYPE))
            return
        number = 0
        for some in lines(chunks, where=self.path):
            yield self._checked(self._parsed(some, number))
            number += len(some)

    def _parsed(self, some: list[bytes], before: int) -> NDArray[Any]:
        """Map lines to events; the first bad one is named by its number."""
        rows = [line.replace(b",", b" ").split() for line in some]
        kept = [row for row in rows if row and not row[0].startswith((b"#", b"%"))]
        try:
            table = np.array(kept, np.float64).reshape(-1, 4)
            if not (np.isfinite(table).all() and (table == np.floor(table)).all()):
                raise ValueError
        except ValueError:
            bad = next(k for k, row in enumerate(rows) if row and not _is_event(row))
            raise InputError(
                f"{some[bad][:60].decode(errors='replace')!r} is not four whole numbers",
                where=f"{self.path}, line {before + bad + 1}",
                hint="write t x y p, t in microseconds",
            ) from None
        events = np.empty(len(table), EVENT_DTYPE)
        for name, column in zip("txyp", table.T, strict=True):
            limit = np.iinfo(EVENT_DTYPE[name])
            if len(column) and (column.min() < limit.min or column.max() > float(limit.max)):
                raise self._refused(f"{name} from {column.min():g} to {column.max():g}")
            events[name] = column
        return events

    def _checked(self, events: NDArray[Any]) -> NDArray[Any]:
        for name, limit in (("x", self.sensor[0]), ("y", self.sensor[1]), ("p", 2)):
            if len(events) and int(events[name].max()) >= limit:
                raise self._refused(f"{name} = {int(events[name].max())}, at most {limit - 1}")
        return events

    def _refused(self, what: str) -> InputError:
        return InputError(
            f"an event with {what}",
            where=self.path,
            hint="give the right --sensor, or check format and order of the columns",
        )


def unix_of_zero(alignment: Alignment, frames: FrameSource | None) -> int:
    """Return Unix time in us at which the frames' clock shows 0; 0 where it shows Unix time itself.

    Raises:
        InputError: nothing says it.
    """
    first_us = 0 if frames is None else frames.first_us
    start_us = alignment.start_us
    if start_us is None and first_us >= UNIX_US:
        return 0
    if start_us is None and frames is not None:
        start_us = frames.unix_start_us
    if start_us is None:
        raise InputError(
            f"events in Unix time, but the first frame is at {first_us} us",
            where="--event-clock",
            hint="give --start TIME of the first frame, or --event-clock first",
        )
    return start_us - first_us


def _is_event(row: list[bytes]) -> bool:
    try:
        return len(row) == 4 and all(float(word) == int(float(word)) for word in row)
    except (ValueError, OverflowError):
        return row[0].startswith((b"#", b"%"))
