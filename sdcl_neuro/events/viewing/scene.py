"""What is shown: events on the picture's pixels and clock, and the frames beside them if any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from ..alignment import Fitted
from ..array import Events
from ..frames import VideoFrames

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """Events and frames on one clock and one grid of pixels.

    Attributes:
        name: of the recording.
        events: on the picture's pixels, at the picture's times.
        frames: of the same view; None if there are none.
        start_us, end_us: of what is shown.
        notes: what was assumed, in words.
    """

    name: str
    events: Events
    frames: VideoFrames | None
    start_us: int
    end_us: int
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return self.events.width, self.events.height

    @property
    def seconds(self) -> float:
        """Return how long it lasts."""
        return (self.end_us - self.start_us) / 1e6

    def shown_frames(self, most: int) -> Iterator[tuple[int, Picture]]:
        """Yield time and picture of at most `most` frames within the span, evenly chosen.

        The frame before the span begins is one of them: it is on the screen when it does.
        """
        if self.frames is None:
            return
        times = np.array([time for _, time, _ in self.frames], np.int64)
        first = max(0, int(np.searchsorted(times, self.start_us, side="right")) - 1)
        last = int(np.searchsorted(times, self.end_us, side="right"))
        step = max(1, -(-(last - first) // most))
        chosen = set(range(first, last, step))
        for index, time, picture in self.frames:
            if index >= last:
                return
            if index in chosen:
                yield time, picture


def open_scene(
    name: str, events: Events, frames: VideoFrames | None = None, fitted: Fitted | None = None
) -> Scene:
    """Lay events on the picture.

    Args:
        name: of the recording.
        events: on their own clock and pixels.
        frames: a video beside them.
        fitted: how the two lie to each other; needed with `frames`.

    Raises:
        InputError: nothing to be seen.
    """
    notes = list(events.notes)
    if frames is not None and fitted is not None:
        width, height = frames.size
        box = (0.0, 0.0, float(width), float(height))
        laid = fitted.view.crop(events, box, (height, width))
        array = laid.array.copy()
        array["t"] += fitted.shift_us
        events = laid.with_array(array)
        notes += [*fitted.assumed, *fitted.said]
    if not len(events):
        raise InputError("no events to be seen", hint="choose another --between, or check the view")
    t = events.array["t"]
    return Scene(name, events, frames, int(t[0]) - 1, int(t[-1]), tuple(notes))
