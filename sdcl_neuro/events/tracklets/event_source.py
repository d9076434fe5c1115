"""Where the events of each video interval come from: a recording, or a simulator."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import need
from sdcl_neuro.network.arguments import public

from .. import Events, concatenate
from ..alignment import Alignment, EventSpan, Fitted, StretchedView, View, fit
from ..array import unchecked
from ..simulator import Simulator, SimulatorConfig
from .frame_files import Frame
from .video import Video

Size = tuple[int, int]


class EventSource(Protocol):
    """Events of a video, one interval after another."""

    @property
    def view(self) -> View:
        """Cuts boxes of the frame out of the events."""

    def interval(self, after_us: int, time_us: int, frame: Frame) -> Events:
        """Return events with ``after_us < t <= time_us``, of the whole sensor.

        Args:
            after_us: time of the frame before; a time before the video for its first frame.
            time_us: time of `frame`.
            frame: uint8 RGB ``[H, W, 3]``, the frame that ends the interval.
        """


class RecordedEvents:
    """Events that exist already, laid on the video's clock and view by an alignment.

    Raises:
        InputError: see `events.alignment.fit`.
    """

    def __init__(self, video: Video, events: Events, alignment: Alignment | None = None) -> None:
        self.events = events
        times = events.array["t"]
        span = EventSpan(
            (events.width, events.height),
            int(times[0]) if len(times) else None,
            int(times[-1]) if len(times) else None,
        )
        self.fitted: Fitted = fit(alignment or Alignment(), video.span(), span)

    @property
    def view(self) -> View:
        """See `EventSource`."""
        return self.fitted.view

    def interval(self, after_us: int, time_us: int, frame: Frame) -> Events:
        """See `EventSource`."""
        return shifted_slice(self.events, after_us, time_us, self.fitted.shift_us)


def shifted_slice(events: Events, after_us: int, until_us: int, shift_us: int) -> Events:
    """Return events with ``after_us < t + shift_us <= until_us``, their times shifted."""
    part = events.slice(after_us - shift_us, until_us - shift_us)
    if not shift_us:
        return part
    array = part.array.copy()
    array["t"] += shift_us
    return events.with_array(array)


class SimulatedEvents:
    """Events made from the frames as they pass by.

    Args:
        config: of the simulated pixels.
        sensor: width and height at which to simulate.
        picture: width and height of the frames; those of the sensor if None.
    """

    def __init__(self, config: SimulatorConfig, sensor: Size, picture: Size | None = None) -> None:
        self.width, self.height = sensor
        self.view: View = StretchedView(sensor, picture or sensor)
        self.simulator = Simulator(config)

    def interval(self, after_us: int, time_us: int, frame: Frame) -> Events:
        """See `EventSource`."""
        cv2 = need("cv2", "resizing frames")

        if frame.shape[:2] != (self.height, self.width):
            small = cv2.resize(frame, (self.width, self.height), interpolation=cv2.INTER_AREA)
            frame = np.asarray(small, dtype=np.uint8)
        array = self.simulator.advance(frame, time_us)
        return unchecked(array, self.width, self.height, "simulated")


def event_source(
    video: Video,
    events: Events | SimulatorConfig,
    *,
    sensor: Size | None = None,
    alignment: Alignment | None = None,
) -> RecordedEvents | SimulatedEvents:
    """Return a recording's events, or simulated ones at `sensor` (width, height; the video's
    own).
    """
    if isinstance(events, SimulatorConfig):
        return SimulatedEvents(events, sensor or video.size, video.size)
    return RecordedEvents(video, events, alignment)


@public
def simulate_video(
    video: Video, config: SimulatorConfig | None = None, *, sensor: Size | None = None
) -> Events:
    """Return all events of a video, simulated frame by frame at `sensor` (width, height) pixels."""
    source = SimulatedEvents(config or SimulatorConfig(), sensor or video.size, video.size)
    parts, before = [], video.before_us
    for _, time, frame in video:
        parts.append(source.interval(before, time, frame))
        before = time
    if not parts:
        raise InputError("no frames", where=str(video.path), hint="give another video")
    return concatenate(parts)
