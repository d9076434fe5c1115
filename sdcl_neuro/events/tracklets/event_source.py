"""Where the events of each video interval come from: a recording, or a simulator."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sdcl_neuro.errors import InputError

from .. import Events, concatenate
from ..simulator import Simulator, SimulatorConfig
from .video import Frame, Video

Size = tuple[int, int]


class EventSource(Protocol):
    """Events of a video, one interval after another."""

    def interval(self, after_us: int, time_us: int, frame: Frame) -> Events:
        """Events with ``after_us < t <= time_us``, of the whole picture.

        Args:
            after_us: time of the frame before; a time before the video for its first frame.
            time_us: time of `frame`.
            frame: uint8 RGB ``[H, W, 3]``, the frame that ends the interval.
        """


class RecordedEvents:
    """Events that exist already, of the same view and clock as the video.

    Raises:
        InputError: other proportions than the video's, or not one event during it.
    """

    def __init__(self, video: Video, events: Events) -> None:
        check_view(video.size, (events.width, events.height), where=str(video.path))
        self.events = events
        _check_clock(video, events)

    def interval(self, after_us: int, time_us: int, frame: Frame) -> Events:
        """See `EventSource`."""
        return self.events.slice(after_us, time_us)


class SimulatedEvents:
    """Events made from the frames as they pass by.

    Args:
        config: of the simulated pixels.
        sensor: width and height at which to simulate.
    """

    def __init__(self, config: SimulatorConfig, sensor: Size) -> None:
        self.width, self.height = sensor
        self.simulator = Simulator(config)

    def interval(self, after_us: int, time_us: int, frame: Frame) -> Events:
        """See `EventSource`."""
        import cv2

        if frame.shape[:2] != (self.height, self.width):
            small = cv2.resize(frame, (self.width, self.height), interpolation=cv2.INTER_AREA)
            frame = np.asarray(small, dtype=np.uint8)
        array = self.simulator.advance(frame, time_us)
        return Events(array, self.width, self.height, "simulated")


def event_source(
    video: Video, events: Events | SimulatorConfig, *, sensor: Size | None = None
) -> EventSource:
    """A recording's events, or simulated ones at `sensor` (width, height; the video's own)."""
    if isinstance(events, SimulatorConfig):
        return SimulatedEvents(events, sensor or video.size)
    return RecordedEvents(video, events)


def simulate_video(
    video: Video, config: SimulatorConfig | None = None, *, sensor: Size | None = None
) -> Events:
    """All events of a video, simulated frame by frame at `sensor` (width, height) pixels."""
    source = SimulatedEvents(config or SimulatorConfig(), sensor or video.size)
    return concatenate(
        [source.interval(video.time_us(index - 1), time, frame) for index, time, frame in video]
    )


def check_view(picture: Size, sensor: Size, *, where: str) -> None:
    """InputError unless both, width and height, have the same proportions to 2 %."""
    wide = sensor[0] * picture[1] - sensor[1] * picture[0]
    if abs(wide) > 0.02 * sensor[1] * picture[0]:
        raise InputError(
            f"events of {sensor[0]}x{sensor[1]} do not show the same view as a video "
            f"of {picture[0]}x{picture[1]}",
            where=where,
            mend="crop one of them to the other's proportions",
        )


def _check_clock(video: Video, events: Events) -> None:
    """InputError if not one event falls into the video: another clock would look like silence."""
    if not len(events):
        return
    first, last = int(events.array["t"][0]), int(events.array["t"][-1])
    end = last if video.count is None else video.time_us(video.count)
    if last <= video.time_us(-1) or first > end:
        raise InputError(
            f"events from {first} to {last} us, but the video lasts from 0 to {end} us",
            where=str(video.path),
            mend="shift the events so that the video's first frame is at 0 us",
        )
