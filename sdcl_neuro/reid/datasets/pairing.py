"""Pair event files with frames: the paper's two trees match by person, camera and sorted name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import encode, read_events
from sdcl_neuro.network.arguments import public_class

from .clip import Clip
from .folder import FolderEntry, Size

EVENT_FILES = (".mat",)


@public_class
@dataclass(frozen=True)
class EventFiles:
    """The paper's released events: one file per frame interval, read when needed.

    A file is one interval, and its own first and last event bound it, as the published code bins
    it: so the unit of its times does not matter, as long as they are whole numbers.

    Attributes:
        sensor: width and height of the events' coordinates; the frames' own if left out.
        time_unit_us: microseconds per unit, for files whose times are not whole numbers.
        mend: what may be repaired, names from `sdcl_neuro.events.MENDS`.
    """

    sensor: Size | None = None
    time_unit_us: float | None = None
    mend: tuple[str, ...] = ()

    def spikes(
        self, entry: FolderEntry, picked: NDArray[np.int64], clip: Clip, size: Size
    ) -> NDArray[np.uint8]:
        """Read the picked frames' files; a frame without one has empty bins."""
        parts = [self._interval(entry.event_path(int(frame)), clip, size) for frame in picked]
        return np.concatenate(parts)

    def _interval(self, path: Path | None, clip: Clip, size: Size) -> NDArray[np.uint8]:
        if path is None:
            return np.zeros((clip.bins, 2, *clip.size), np.uint8)
        events = read_events(
            path, sensor=self.sensor or size, mend=self.mend, time_unit_us=self.time_unit_us
        )
        if not len(events):
            return np.zeros((clip.bins, 2, *clip.size), np.uint8)
        start, end = int(events.array["t"][0]) - 1, int(events.array["t"][-1])
        whole = (0.0, 0.0, float(events.width), float(events.height))
        seen = events.crop(whole, clip.size)
        return encode(seen, frame_times_us=[end], bins=clip.bins, start_us=start)


def names_in(folder: Path, endings: Sequence[str]) -> list[str]:
    """Return sorted names of a folder's files with one of `endings`; empty if there is no such
    folder.
    """
    try:
        with os.scandir(folder) as listing:
            return sorted(
                item.name
                for item in listing
                if item.name.lower().endswith(tuple(endings)) and not item.name.startswith(".")
            )
    except (FileNotFoundError, NotADirectoryError):
        return []


def pair(frames: Sequence[str], events: Sequence[str]) -> tuple[str | None, ...]:
    """Return each frame's event file: as many files as frames, or one fewer.

    With one fewer, files are the intervals between frames: the first frame has none.

    Raises:
        InputError: any other number of event files.
    """
    if len(events) == len(frames):
        return tuple(events)
    if len(events) == len(frames) - 1:
        return (None, *events)
    raise InputError(f"{len(frames)} frames with {len(events)} event files")
