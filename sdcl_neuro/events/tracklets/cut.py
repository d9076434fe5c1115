"""Cutting tracklets out of a video and its events, in one pass and bounded memory.

The camera stands still, so events are those of the whole picture. The events of each video
interval ``(t[g-1], t[g]]`` are cropped by the box of the frame g that ends it: the window follows
the person, and the still background stays silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public

from .. import Events
from ..alignment import Alignment
from ..simulator import SimulatorConfig
from .crop import Crop, assemble, crop_person, whole_box
from .event_source import event_source
from .mot import Track
from .plan import Plan, Window, plan_chunks, plan_segments
from .tracklet import Tracklet
from .video import Video

Size = tuple[int, int]


@public
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
    alignment: Alignment | None = None,
) -> list[Tracklet]:
    """Plan windows and cut them: by segment (`plan_segments`), else in chunks (`plan_chunks`).

    Args:
        video: the fixed camera's frames.
        tracks: boxes in the video's pixels.
        events: recorded, or a simulator that makes them from the frames.
        frames: F of each tracklet.
        bins: K, time steps per frame.
        size: rows and columns of the spike tensor.
        stride: video frames per tracklet frame.
        by_segment: split tracks in arriving, standing and leaving.
        sensor: width and height at which to simulate; the video's own if left out.
        alignment: of recorded events; the same clock and view if left out.

    Returns:
        Tracklets in the order of the plan.

    Raises:
        InputError: see `iterate_tracklets`.
    """
    planner = plan_segments if by_segment else plan_chunks
    plan = planner(tracks, frames=frames, stride=stride)
    return cut_plan(video, plan, events, bins=bins, size=size, sensor=sensor, alignment=alignment)


def cut_plan(
    video: Video,
    plan: Plan,
    events: Events | SimulatorConfig,
    *,
    bins: int = 4,
    size: Size = (64, 32),
    sensor: Size | None = None,
    alignment: Alignment | None = None,
) -> list[Tracklet]:
    """Return all tracklets of a plan, in its order; arguments and errors as `iterate_tracklets`."""
    cut = iterate_tracklets(
        video, plan, events, bins=bins, size=size, sensor=sensor, alignment=alignment
    )
    found = {tracklet.name: tracklet for tracklet in cut}
    return [found[window.name] for window in plan.windows]


def iterate_tracklets(
    video: Video,
    plan: Plan,
    events: Events | SimulatorConfig,
    *,
    bins: int = 4,
    size: Size = (64, 32),
    sensor: Size | None = None,
    alignment: Alignment | None = None,
) -> Iterator[Tracklet]:
    """Yield tracklets as the video passes by; only windows under way are held in memory.

    Raises:
        InputError: events that the alignment does not lay on the video, a box outside the picture,
            or a video that ends before the last window does.
    """
    source = event_source(video, events, sensor=sensor, alignment=alignment)
    waiting = sorted(plan.windows, key=lambda window: int(window.span[0]))[::-1]
    active: list[_Cutting] = []
    index, before_us = -1, video.before_us
    for index, time_us, frame in video:
        seen = source.interval(before_us, time_us, frame)
        while waiting and int(waiting[-1].span[0]) == index:
            active.append(_Cutting(waiting.pop(), before_us))
        crops: dict[int, Crop] = {}
        for cutting in active:
            track = cutting.window.track
            if track.identity not in crops:
                box = whole_box(track.box(index), video.size, where=_place(track, index))
                crops[track.identity] = crop_person(frame, seen, box, size, source.view)
            cutting.crops.append((time_us, crops[track.identity]))
        for cutting in [c for c in active if c.complete]:
            active.remove(cutting)
            yield cutting.finish(bins)
        before_us = time_us
        if not waiting and not active:
            return
    if waiting or active:
        name = active[0].window.name if active else waiting[-1].name
        raise InputError(
            f"the video ends after {index + 1} frames, before tracklet {name} does",
            where=str(video.path),
            hint="give the video these tracks were made from",
        )


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
