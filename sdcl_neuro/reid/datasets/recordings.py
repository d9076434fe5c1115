"""Whole recordings of events as tracklets, without frames: some of their intervals are shown.

A recording of many intervals is one long tracklet, as a video is: of each evenly divided part one
interval is shown, in K bins, cropped by the person's box.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.events import Events, encode
from sdcl_neuro.events.options import ReadingOptions
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.events.tracklets.tracklet import CROP_SIZE
from sdcl_neuro.network.arguments import public_class

from .clip import Clip, pick_frames
from .event_reid import person_box
from .index import describe

Box = tuple[float, float, float, float]
ASPECT = CROP_SIZE[1] / CROP_SIZE[0]
HELD = 4
"""Recordings kept in memory: a batch takes several tracklets of one."""


@public_class
@dataclass(frozen=True)
class RecordingEntry:
    """One recording, or a window of it.

    Attributes:
        name, person, camera: as every entry's.
        path: of the event file.
        unit_us: microseconds per unit of time; None for what the data set says.
        labels: numbers of the labelled intervals, ascending, from 0; empty if there are none.
        boxes: of the labels: left, top, width, height in pixels.
        window: the one interval that is the whole tracklet; None takes all.
    """

    name: str
    person: int
    camera: int
    path: Path
    unit_us: float | None = None
    labels: tuple[int, ...] = ()
    boxes: tuple[Box, ...] = ()
    window: int | None = None


@public_class
@dataclass(frozen=True)
class RecordingData:
    """A data set of recordings; see `index.DataSet` for what it offers.

    Frames of its tracklets are black, for models that take events only.

    Attributes:
        name: of the data set.
        root: the folder its user gave.
        entries: the recordings.
        train, query, gallery: positions in `entries`.
        reading: how the files are to be read.
        interval_us: length of one interval.
        notes: what was assumed, in words.
    """

    name: str
    root: Path
    entries: tuple[RecordingEntry, ...]
    train: tuple[int, ...]
    query: tuple[int, ...]
    gallery: tuple[int, ...]
    reading: ReadingOptions
    interval_us: float
    notes: tuple[str, ...] = ()
    has_events: bool = True
    has_frames: bool = False
    _held: _RecentRecordings = field(
        default_factory=lambda: _RecentRecordings(), repr=False, compare=False
    )

    def load(self, position: int, clip: Clip, *, seed: int | None = None) -> Tracklet:
        """Show one interval of each evenly divided part of a recording.

        Args:
            position: in `entries`.
            clip: what the tracklet shall look like.
            seed: picks intervals at random within their parts; without it, their middles.

        Raises:
            InputError: a file that is gone or damaged.
        """
        entry = self.entries[position]
        events = self._held.events(entry, self.reading)
        start = int(events.array["t"][0]) - 1 if len(events) else 0
        numbers, boxes = self._intervals(entry, events, start)
        picked = pick_frames(len(numbers), clip.frames, seed=seed)
        spikes: list[NDArray[np.uint8]] = []
        times: list[int] = []
        shown: list[NDArray[np.int64]] = []
        for k, place in enumerate(picked.tolist()):
            low = start + round(numbers[place] * self.interval_us)
            high = start + round((numbers[place] + 1) * self.interval_us)
            box = boxes[place if len(boxes) > 1 else 0]
            part = events.slice(low, high).crop(box, clip.size)
            spikes.append(
                encode(part, frame_times_us=[high], bins=clip.bins, start_us=low, threads=1)
            )
            # Intervals shown again, where a recording is short, still ascend.
            times.append(max(high, times[-1] + 1) if k else high)
            shown.append(np.rint(np.array(box)).astype(np.int64))
        return Tracklet(
            name=entry.name,
            person=entry.person,
            camera=entry.camera,
            frames=np.zeros((clip.frames, *CROP_SIZE, 3), np.uint8),
            spikes=np.concatenate(spikes),
            times_us=np.array(times, np.int64),
            boxes=np.stack(shown),
            indices=np.array([numbers[place] for place in picked], np.int64),
        )

    def _intervals(
        self, entry: RecordingEntry, events: Events, start: int
    ) -> tuple[list[int], list[Box]]:
        """Return numbers of the intervals that may be shown, and their boxes, or one for all."""
        if entry.labels:
            chosen = list(zip(entry.labels, entry.boxes, strict=True))
            if entry.window is not None:
                chosen = [(n, box) for n, box in chosen if n == entry.window] or chosen[:1]
            return [n for n, _ in chosen], [box for _, box in chosen]
        whole = [person_box(events)]
        if entry.window is not None:
            return [entry.window], whole
        last = int(events.array["t"][-1]) if len(events) else start + 1
        count = max(1, int(np.ceil((last - start) / self.interval_us)))
        return list(range(count)), whole

    def __str__(self) -> str:
        return f"{self.name} in {self.root}: {len(self.entries)} recordings; {describe(self)}"


class _RecentRecordings:
    """The recordings that were read last, for any number of threads."""

    def __init__(self) -> None:
        self._found: OrderedDict[Path, Events] = OrderedDict()
        self._lock = Lock()

    def __getstate__(self) -> dict[str, object]:
        return {}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__()  # type: ignore[misc]

    def events(self, entry: RecordingEntry, reading: ReadingOptions) -> Events:
        """Return the events of an entry's file."""
        with self._lock:
            if entry.path in self._found:
                self._found.move_to_end(entry.path)
                return self._found[entry.path]
        own = reading if entry.unit_us is None else replace(reading, time_unit_us=entry.unit_us)
        events = own.read(entry.path)
        with self._lock:
            self._found[entry.path] = events
            while len(self._found) > HELD:
                self._found.popitem(last=False)
        return events


def fitted(left: float, top: float, right: float, bottom: float) -> Box:
    """Return the smallest box of a crop's proportions around another: left, top, width, height."""
    height = max(bottom - top, (right - left) / ASPECT, 2.0)
    width = height * ASPECT
    return (left + right - width) / 2, (top + bottom - height) / 2, width, height


def numbered(values: NDArray[np.int64] | list[int]) -> tuple[int, ...]:
    """Return positions as a data set keeps them."""
    return tuple(int(value) for value in values)
