"""Encoding in pieces: recordings longer than memory, events as they come.

Parts of events go in, blocks of the spike tensor come out; put together, the blocks are what
`encoding.encode` makes of all events at once. Held are one block and the part being added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.network.arguments import public_class

from .array import Events
from .encoding import MAX_BYTES, fill, frame_times, step_edges
from .times import EvenFrames

Size = tuple[int, int]


@public_class
class StreamEncoder:
    """Bins one part of a recording after another.

    Args:
        size: width and height of the sensor.
        frame_times_us: ``[F]`` as for `encode`, or `EvenFrames`: a steady rate from the first event
            to the last, wherever that will be.
        bins, start_us, binary: as for `encode`. With `EvenFrames` the start is theirs unless given.
        frames_per_block: frames that each block but the last one holds.

    Raises:
        InputError: as `encode` does, here or when events are added.
    """

    def __init__(
        self,
        size: Size,
        *,
        frame_times_us: ArrayLike | EvenFrames,
        bins: int,
        start_us: int | None = None,
        binary: bool = True,
        frames_per_block: int = 1,
    ) -> None:
        self.size, self.bins, self.binary = size, bins, binary
        even = isinstance(frame_times_us, EvenFrames)
        self._even = frame_times_us if isinstance(frame_times_us, EvenFrames) else None
        self._times = None if even else frame_times(frame_times_us)  # type: ignore[arg-type]
        self._start, self._frames_per_block = start_us, frames_per_block
        if frames_per_block < 1:
            raise InputError(f"{frames_per_block} frames a block", hint="give at least one")
        if 2.0 * frames_per_block * max(1, bins) * size[0] * size[1] > MAX_BYTES:
            raise InputError(
                f"{number_of(frames_per_block, 'frame')} of {number_of(bins, 'bin')} of "
                f"{size[0]}x{size[1]} pixels",
                hint="crop the events to a smaller size, or use fewer bins",
            )
        if self._times is not None:
            step_edges(self._times, bins, start_us)
        elif bins < 1:
            raise InputError(f"{bins} bins per frame", hint="give at least one")
        self._frame, self._seen = 0, 0
        self._last_us: int | None = None
        self._block: NDArray[np.uint8] | None = None

    def add(self, events: Events) -> Iterator[NDArray[np.uint8]]:
        """Take the events that follow; yield blocks ``[t, 2, H, W]`` that no later one can touch.

        Iterate to the end before adding more.

        Raises:
            InputError: events of another size, events before those added earlier, or a count above
                255.
        """
        if not len(events):
            return
        self._check(events)
        last = int(events.array["t"][-1])
        if self._even is not None:
            self._even = self._even.from_first(int(events.array["t"][0]))
        while (times := self._block_times(self._frame, None)) is not None:
            self._bin(times, events)
            if last <= times[-1]:
                break
            yield self._finished(len(times))
        self._seen += len(events)
        self._last_us = last

    def reach(self, time_us: int | None) -> None:
        """Say that the recording lasts until `time_us`, even if no further event was added."""
        if time_us is not None and (self._last_us is None or time_us > self._last_us):
            self._last_us = time_us

    def finish(self) -> Iterator[NDArray[np.uint8]]:
        """Yield what is left, up to the last frame."""
        count = len(self._times) if self._times is not None else 0
        if self._even is not None:
            if self._last_us is None:
                raise InputError("no events to lay frames over", hint="give frame times")
            count = self._even.count(self._last_us)
        while (times := self._block_times(self._frame, count)) is not None:
            if self._block is None:
                self._block = self._empty(len(times))
            self._block = self._block[: len(times) * self.bins]
            yield self._finished(len(times))

    def _check(self, events: Events) -> None:
        if (events.width, events.height) != self.size:
            raise InputError(
                f"events of {events.width}x{events.height} after those of "
                f"{self.size[0]}x{self.size[1]}",
                hint="crop them to one size",
            )
        first = int(events.array["t"][0])
        if self._last_us is not None and first < self._last_us:
            raise InputError(
                f"event {self._seen} at {first} us comes after one at {self._last_us} us",
                hint="give the parts in order of time",
            )

    def _block_times(self, first: int, count: int | None) -> NDArray[np.int64] | None:
        """Return frame times of the block from frame `first` on; None where no frame is left."""
        last = first + self._frames_per_block
        last = last if count is None else min(last, count)
        if self._times is not None:
            found = self._times[first:last]
        elif self._even is not None and last > first:
            found = np.array([self._even.time(f) for f in range(first, last)], np.int64)
        else:
            return None
        return found if len(found) else None

    def _before(self, first: int) -> int | None:
        """Return where the interval of frame `first` begins."""
        if first and self._times is not None:
            return int(self._times[first - 1])
        if first and self._even is not None:
            return self._even.time(first - 1)
        if self._start is None and self._even is not None:
            return self._even.start()
        return self._start

    def _bin(self, times: NDArray[np.int64], events: Events) -> None:
        from . import binning

        if self._block is None:
            self._block = self._empty(len(times))
        edges = step_edges(times, self.bins, self._before(self._frame))
        bounds = np.empty(len(edges), np.int64)
        binning.bounds_of(events.array, edges, bounds)
        fill(self._block, events, bounds, binary=self.binary, first=self._seen)

    def _empty(self, frames: int) -> NDArray[np.uint8]:
        return np.zeros((frames * self.bins, 2, self.size[1], self.size[0]), np.uint8)

    def _finished(self, frames: int) -> NDArray[np.uint8]:
        block = self._block
        if block is None:
            raise ValueError("no block to give away")
        self._block, self._frame = None, self._frame + frames
        return block


def encode_stream(parts: Iterable[Events], encoder: StreamEncoder) -> Iterator[NDArray[np.uint8]]:
    """Yield all blocks ``[t, 2, H, W]`` of all parts, one after another."""
    for part in parts:
        yield from encoder.add(part)
    yield from encoder.finish()
