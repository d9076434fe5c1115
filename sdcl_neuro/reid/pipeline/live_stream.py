"""A checkpoint and the sources of a stream, opened and checked, for `sdcl_neuro.hybrid.live`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig, read_events
from sdcl_neuro.events.tracklets import Video
from sdcl_neuro.events.tracklets.event_source import (
    EventSource,
    RecordedEvents,
    SimulatedEvents,
    check_view,
)
from sdcl_neuro.hybrid.live import LiveReport, LiveSettings, Seen, run_live
from sdcl_neuro.hybrid.live.boxes import BoxSource, RecordedBoxes, StreamedBoxes
from sdcl_neuro.hybrid.live.events import EventFormat, StreamedEvents
from sdcl_neuro.hybrid.live.follow import STDIN
from sdcl_neuro.hybrid.live.frames import Camera, FrameSource, PacedVideo, RawFrames, is_camera
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat
from sdcl_neuro.network.spec import Pair

from .loading import check_means, load_hybrid
from .session import event_backend


@dataclass(frozen=True)
class LiveSource:
    """Where frames, boxes and events come from.

    Attributes:
        frames: a video file, a camera (number, device, address), or raw pictures (with `raw_size`).
        tracks: MOTChallenge text: a file, or what a tracker is writing.
        events: a recording, or what a camera is writing (with `event_format`); None simulates.
        growing: tracks and raw frames are files or pipes that are still being written.
        raw_size, fps: of raw frames.
        sensor: width and height of the events' sensor.
        event_format: of a stream of events; None for a recording that any reader reads.
        speed: of a recorded video, as `PacedVideo` has it.
        patience_s: how long a frame waits for its events and boxes.
        idle_s: how long a growing file may rest before it counts as complete.
    """

    frames: str
    tracks: str
    events: str | None = None
    growing: bool = False
    raw_size: Pair | None = None
    fps: float | None = None
    sensor: Pair | None = None
    event_format: EventFormat | None = None
    speed: float = 1.0
    patience_s: float = 0.1
    idle_s: float = 5.0

    def __post_init__(self) -> None:
        piped = [name for name in (self.frames, self.tracks, self.events) if name == STDIN]
        if len(piped) > 1:
            raise InputError(
                f"{len(piped)} sources on standard input",
                mend="give named pipes (mkfifo) for all but one",
            )
        if not 0 <= self.patience_s <= 60:
            raise InputError(
                f"frames wait {1e3 * self.patience_s:g} ms",
                where="--patience",
                mend="give 0 to 60000 ms",
            )
        if not 0 < self.idle_s <= 86400:
            raise InputError(
                f"a growing file may rest for {self.idle_s:g} s",
                where="--idle",
                mend="give more than 0 s, up to a day",
            )
        if self.fps is not None and self.raw_size is None:
            raise InputError(
                "only raw pictures are told their rate", where="--fps", mend="give --size, too"
            )
        if self.event_format is not None and self.events is None:
            raise InputError(
                "there is no stream of events", where="--event-format", mend="give --events, too"
            )


@dataclass
class _Opened:
    frames: FrameSource
    events: EventSource
    boxes: BoxSource
    contexts: list[AbstractContextManager[Any]] = field(default_factory=list)


def watch(
    checkpoint: Path | str,
    source: LiveSource,
    *,
    backend: str = "loihi",
    settings: LiveSettings | None = None,
    on_seen: Callable[[Seen, NDArray[np.float32]], None] = lambda seen, embedding: None,
    stop: threading.Event | None = None,
) -> LiveReport:
    """Run hybrid inference on a stream until it ends or `stop` is set.

    Args:
        checkpoint: folder of a whole SDCL, its event branch in the chip's integers.
        source: the stream.
        backend: of the event branch.
        settings: see `LiveSettings`.
        on_seen: called with each tracklet and its embedding as it is done.
        stop: ends the session in good order.

    Raises:
        InputError: a source that cannot be opened or used, an unknown backend or device.
        EnvironmentFault: a backend that is not installed, a GPU or camera that is not there.
    """
    settings = settings or LiveSettings()
    check_means(backend, settings.device)
    loaded, events = load_hybrid(checkpoint)
    opened = _open(source, loaded.clip)
    with ExitStack() as stack:
        for context in opened.contexts:
            stack.enter_context(context)
        return run_live(
            loaded.model,
            loaded.clip,
            event_backend(events, backend),
            frames=opened.frames,
            events=opened.events,
            boxes=opened.boxes,
            settings=settings,
            on_seen=on_seen,
            stop=stop,
        )


def _open(source: LiveSource, clip: ClipFormat) -> _Opened:
    frames = _frames(source)
    waits = {"patience_s": source.patience_s, "idle_s": source.idle_s}
    contexts: list[AbstractContextManager[Any]] = []
    boxes: BoxSource
    if source.growing or source.tracks == STDIN:
        boxes = streamed = StreamedBoxes(source.tracks, **waits)
        contexts.append(streamed)
    else:
        boxes = RecordedBoxes(Path(source.tracks))
    events: EventSource
    if source.event_format is not None and source.events is not None:
        if source.sensor is None:
            raise InputError(
                "a stream of events does not say its size",
                where=source.events,
                mend="give --sensor WxH",
            )
        check_view(frames.size, source.sensor, where=source.events)
        events = arriving = StreamedEvents(
            source.events, source.sensor, kind=source.event_format, **waits
        )
        contexts.append(arriving)
    else:
        events = _recorded_or_simulated(source, frames, clip)
    return _Opened(frames, events, boxes, contexts)


def _frames(source: LiveSource) -> FrameSource:
    if source.raw_size is not None:
        if source.fps is None:
            raise InputError(
                "raw frames do not say their rate", where=source.frames, mend="give --fps"
            )
        return RawFrames(source.frames, source.raw_size, source.fps, source.idle_s)
    if source.frames == STDIN:
        raise InputError(
            "raw frames on standard input do not say their size",
            where="--frames -",
            mend="give --size WxH and --fps",
        )
    if is_camera(source.frames):
        return Camera(source.frames)
    return PacedVideo(Video(source.frames), source.speed)


def _recorded_or_simulated(
    source: LiveSource, frames: FrameSource, clip: ClipFormat
) -> EventSource:
    if source.events is None:
        config = clip.simulator or SimulatorConfig()
        return SimulatedEvents(config, source.sensor or clip.sensor(frames.size))
    recorded = read_events(source.events, sensor=source.sensor)
    if not isinstance(frames, PacedVideo):
        raise InputError(
            "a recording of events needs the recorded video it belongs to",
            where=source.events,
            mend="give a video file for --frames, or say --event-format for a stream",
        )
    return RecordedEvents(frames.video, recorded)
