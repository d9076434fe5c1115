"""Cutting tracklets out of a video and its events, in one pass and bounded memory.

The camera stands still, so events are those of the whole picture. The events of each video
interval ``(t[g-1], t[g]]`` are cropped by the box of the frame g that ends it: the window follows
the person, and the still background stays silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..errors import InputError
from ..events import Events, concatenate
from ..events.simulator import Simulator, SimulatorConfig
from .crop import Crop, assemble, crop_person, whole_box
from .mot import Track
from .plan import Plan, Window, plan_chunks, plan_segments
from .tracklet import Tracklet
from .video import Frame, Video

Size = tuple[int, int]


def cut_tracklets(
    video: Video,
    tracks: Sequence[Track],
    events: Events | SimulatorConfig,
    *,
    frames: int = 4,
    bins: int = 4,
    size: Size = (64, 32),
    stride: int = 1,
    by_segment: bool = True,
    sensor: Size | None = None,
) -> list[Tracklet]:
    """Plan windows and cut them: by segment (`plan_segments`), else in chunks (`plan_chunks`).

    Args:
        video: the fixed camera's frames.
        tracks: boxes in the video's pixels.
        events: of the same view and clock (microseconds from the video's first frame), or a
            simulator that makes them from the frames.
        frames: F of each tracklet.
        bins: K, time steps per frame.
        size: rows and columns of the spike tensor.
        stride: video frames per tracklet frame.
        by_segment: split tracks in arriving, standing and leaving.
        sensor: width and height at which to simulate; the video's own if left out.

    Returns:
        Tracklets in the order of the plan.

    Raises:
        InputError: see `iterate_tracklets`.
    """
    planner = plan_segments if by_segment else plan_chunks
    plan = planner(tracks, frames=frames, stride=stride)
    return cut_plan(video, plan, events, bins=bins, size=size, sensor=sensor)


def cut_plan(
    video: Video,
    plan: Plan,
    events: Events | SimulatorConfig,
    *,
    bins: int = 4,
    size: Size = (64, 32),
    sensor: Size | None = None,
    on_tracklet: Callable[[int], None] = lambda count: None,
) -> list[Tracklet]:
    """All tracklets of a plan, in its order; arguments and errors as `iterate_tracklets`.

    Args:
        on_tracklet: called with 1 after each, for a progress bar.
    """
    found = {}
    for tracklet in iterate_tracklets(video, plan, events, bins=bins, size=size, sensor=sensor):
        found[tracklet.name] = tracklet
        on_tracklet(1)
    return [found[window.name] for window in plan.windows]


def iterate_tracklets(
    video: Video,
    plan: Plan,
    events: Events | SimulatorConfig,
    *,
    bins: int = 4,
    size: Size = (64, 32),
    sensor: Size | None = None,
) -> Iterator[Tracklet]:
    """Yield tracklets as the video passes by; only windows under way are held in memory.

    Raises:
        InputError: events of other proportions than the video or of another time, a box outside
            the picture, or a video that ends before the last window does.
    """
    source = _source(video, events, sensor)
    waiting = sorted(plan.windows, key=lambda window: int(window.span[0]))[::-1]
    active: list[_Cutting] = []
    index = -1
    for index, time_us, frame in video:
        seen = source.interval(index, time_us, frame)
        while waiting and int(waiting[-1].span[0]) == index:
            active.append(_Cutting(waiting.pop(), video.time_us(index - 1)))
        crops: dict[int, Crop] = {}
        for cutting in active:
            track = cutting.window.track
            if track.identity not in crops:
                box = whole_box(track.box(index), video.size, where=_place(track, index))
                crops[track.identity] = crop_person(frame, seen, box, size)
            cutting.crops.append((time_us, crops[track.identity]))
        for cutting in [c for c in active if c.complete]:
            active.remove(cutting)
            yield cutting.finish(bins)
        if not waiting and not active:
            return
    if waiting or active:
        name = active[0].window.name if active else waiting[-1].name
        raise InputError(
            f"the video ends after {index + 1} frames, before tracklet {name} does",
            where=str(video.path),
            mend="give the video these tracks were made from",
        )


def simulate_video(
    video: Video, config: SimulatorConfig | None = None, *, sensor: Size | None = None
) -> Events:
    """All events of a video, simulated frame by frame at `sensor` (width, height) pixels."""
    source = _Simulated(video, config or SimulatorConfig(), sensor)
    return concatenate([source.interval(*item) for item in video])


class _Source(Protocol):
    def interval(self, index: int, time_us: int, frame: Frame) -> Events: ...


class _Recorded:
    """Events that exist already."""

    def __init__(self, video: Video, events: Events) -> None:
        wide = events.width * video.height - events.height * video.width
        if abs(wide) > 0.02 * events.height * video.width:
            raise InputError(
                f"events of {events.width}x{events.height} do not show the same view as a video "
                f"of {video.width}x{video.height}",
                where=str(video.path),
                mend="crop one of them to the other's proportions",
            )
        self.video, self.events = video, events
        _check_clock(video, events)

    def interval(self, index: int, time_us: int, frame: Frame) -> Events:
        return self.events.slice(self.video.time_us(index - 1), time_us)


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


class _Simulated:
    """Events made from the frames as they pass by."""

    def __init__(self, video: Video, config: SimulatorConfig, sensor: Size | None) -> None:
        self.width, self.height = sensor or video.size
        self.simulator = Simulator(config)

    def interval(self, index: int, time_us: int, frame: Frame) -> Events:
        import cv2

        if frame.shape[:2] != (self.height, self.width):
            small = cv2.resize(frame, (self.width, self.height), interpolation=cv2.INTER_AREA)
            frame = np.asarray(small, dtype=np.uint8)
        array = self.simulator.advance(frame, time_us)
        return Events(array, self.width, self.height, "simulated")


def _source(video: Video, events: Events | SimulatorConfig, sensor: Size | None) -> _Source:
    if isinstance(events, SimulatorConfig):
        return _Simulated(video, events, sensor)
    return _Recorded(video, events)


def _place(track: Track, index: int) -> str:
    return f"track {track.identity}, frame {index + 1}"


@dataclass
class _Cutting:
    """A window under way."""

    window: Window
    start_us: int
    crops: list[tuple[int, Crop]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return len(self.crops) == self.window.frames * self.window.stride

    def finish(self, bins: int) -> Tracklet:
        window = self.window
        return assemble(
            self.crops,
            name=window.name,
            person=window.track.identity,
            camera=window.camera,
            start_us=self.start_us,
            stride=window.stride,
            bins=bins,
            segment=window.segment,
            indices=window.sampled.copy(),
        )
