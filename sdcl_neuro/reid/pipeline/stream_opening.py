"""The sources of a stream, opened and checked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.events.alignment import view_of
from sdcl_neuro.events.options import ReadingOptions
from sdcl_neuro.events.tracklets import open_video
from sdcl_neuro.events.tracklets.event_source import EventSource, RecordedEvents, SimulatedEvents
from sdcl_neuro.hybrid.live.boxes import BoxSource, RecordedBoxes, StreamedBoxes
from sdcl_neuro.hybrid.live.cameras import (
    CameraEvents,
    PlayedCamera,
    is_event_camera,
    open_event_camera,
)
from sdcl_neuro.hybrid.live.events import StreamedEvents
from sdcl_neuro.hybrid.live.follow import STDIN
from sdcl_neuro.hybrid.live.frames import Camera, FrameSource, PacedVideo, RawFrames, is_camera
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat

from .live_source import LiveSource


@dataclass
class OpenedStream:
    """The sources of a stream, opened and checked.

    Attributes:
        frames, events, boxes: of one camera, on one clock.
        contexts: entered while the stream is read.
        assumed: what neither sources nor options state.
        said: what a user should know before the stream begins.
    """

    frames: FrameSource
    events: EventSource
    boxes: BoxSource
    contexts: list[AbstractContextManager[Any]] = field(default_factory=list)
    assumed: tuple[str, ...] = ()
    said: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """Return what was said before the session, and of the events' clock in its course."""
        events = self.events
        clock = tuple(events.clock.notes) if isinstance(events, StreamedEvents) else ()
        if isinstance(events, CameraEvents):
            clock = (*clock, *events.notes())
        return (*self.said, *clock, *(f"left out: {line}" for line in self.boxes.left_out))


def open_stream(source: LiveSource, clip: ClipFormat, say: Callable[[str], None]) -> OpenedStream:
    """Open the sources of a stream.

    Args:
        source: the stream.
        clip: what the model's tracklets look like.
        say: told in one line, while the stream is read, if the events are on another clock.

    Raises:
        InputError: a source that cannot be opened or used.
        EnvironmentFault: a camera that is not there.
    """
    frames = _frames(source)
    contexts: list[AbstractContextManager[Any]] = []
    boxes: BoxSource
    if source.growing or source.tracks == STDIN:
        boxes = streamed = StreamedBoxes(
            source.tracks, patience_s=source.patience_s, idle_s=source.idle_s
        )
        contexts.append(streamed)
    else:
        boxes = RecordedBoxes(Path(source.tracks))
    if source.events is not None and is_event_camera(source.events):
        opened = _from_camera(source, frames, boxes, say)
        contexts.append(opened.contexts.pop())
    elif source.event_format is not None and source.events is not None:
        opened = _arriving(source, frames, boxes, say)
        contexts.append(opened.contexts.pop())
    else:
        opened = _recorded_or_simulated(source, frames, boxes, clip)
    opened.contexts += contexts
    if isinstance(frames, PacedVideo):
        opened.assumed = (*frames.video.assumed, *opened.assumed)
    return opened


def _from_camera(
    source: LiveSource, frames: FrameSource, boxes: BoxSource, say: Callable[[str], None]
) -> OpenedStream:
    """Open a stream with the events of a camera, or of a recording that plays one."""
    name, alignment = source.events or "", source.alignment
    if source.event_format is not None:
        raise InputError(
            "a camera is not a stream of bytes", where="--event-format", hint="leave it out"
        )
    camera = open_event_camera(name, source.reading, speed=source.speed)
    assumed: list[str] = []
    said = [f"events from {camera.name}, {camera.size[0]}x{camera.size[1]}"]
    view = view_of(alignment, frames.size, camera.size, assumed, said, where=name)
    if alignment.event_clock == "frame" and alignment.offset_us == 0:
        # A camera counts from when it was switched on: the frames' clock it cannot be.
        alignment = replace(alignment, event_clock="first")
        assumed.append("the first event is at the first frame (--event-clock, --event-offset)")
    reading = ReadingOptions() if isinstance(camera, PlayedCamera) else source.reading
    events = CameraEvents(
        camera,
        reading=reading,
        alignment=alignment,
        view=view,
        frames=frames,
        patience_s=source.patience_s,
        say=say,
    )
    return OpenedStream(frames, events, boxes, [events], tuple(assumed), tuple(said))


def _arriving(
    source: LiveSource, frames: FrameSource, boxes: BoxSource, say: Callable[[str], None]
) -> OpenedStream:
    """Open a stream with events that are still being written."""
    if source.reading.sensor is None or source.events is None or source.event_format is None:
        raise InputError(
            "a stream of events does not say its size",
            where=source.events or "--events",
            hint="give --sensor WxH",
        )
    assumed: list[str] = []
    said: list[str] = []
    alignment, sensor = source.alignment, source.reading.sensor
    view = view_of(alignment, frames.size, sensor, assumed, said, where=source.events)
    if alignment.event_clock == "frame" and alignment.offset_us == 0:
        assumed.append("events and frames share one clock (--event-clock, --event-offset)")
    arriving = StreamedEvents(
        source.events,
        sensor,
        kind=source.event_format,
        alignment=alignment,
        view=view,
        frames=frames,
        patience_s=source.patience_s,
        idle_s=source.idle_s,
        say=say,
    )
    return OpenedStream(frames, arriving, boxes, [arriving], tuple(assumed), tuple(said))


def _frames(source: LiveSource) -> FrameSource:
    if source.raw_size is not None:
        if source.fps is None:
            raise InputError(
                "raw frames do not say their rate", where=source.frames, hint="give --fps"
            )
        _refuse_frame_times(source)
        return RawFrames(source.frames, source.raw_size, source.fps, source.idle_s)
    if source.frames == STDIN:
        raise InputError(
            "raw frames on standard input do not say their size",
            where="--frames -",
            hint="give --frame-size WxH and --fps",
        )
    if is_camera(source.frames):
        _refuse_frame_times(source)
        return Camera(source.frames)
    alignment = source.alignment
    if source.fps is not None:
        alignment = replace(alignment, fps=Fraction(source.fps).limit_denominator(1_000_000))
    return PacedVideo(open_video(source.frames, alignment, source.reading), source.speed)


def _refuse_frame_times(source: LiveSource) -> None:
    """Raise InputError where frames have the times of their arrival, and others are stated."""
    alignment = source.alignment
    for name in ("frame_times", "fps", "stamp", "exposure_us"):
        if getattr(alignment, name) is not None:
            raise InputError(
                f"{name} for frames whose times are those of their arrival",
                where=source.frames,
                hint="leave it out, or say the difference with --event-offset",
            )


def _recorded_or_simulated(
    source: LiveSource, frames: FrameSource, boxes: BoxSource, clip: ClipFormat
) -> OpenedStream:
    if source.events is None:
        config = clip.simulator or SimulatorConfig()
        sensor = source.reading.sensor or clip.sensor(frames.size)
        said = ("no events: they are simulated from the frames",)
        return OpenedStream(
            frames, SimulatedEvents(config, sensor, frames.size), boxes, assumed=said
        )
    if not isinstance(frames, PacedVideo):
        raise InputError(
            "a recording of events needs the recorded video it belongs to",
            where=source.events,
            hint="give a video file for --frames, or say --event-format for a stream",
        )
    recorded = source.reading.read(source.events)
    events = RecordedEvents(frames.video, recorded, source.alignment)
    return OpenedStream(
        frames, events, boxes, assumed=events.fitted.assumed, said=events.fitted.said
    )
