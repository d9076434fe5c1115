"""A user's own video: its tracks cut into tracklets as a model wants them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events, SimulatorConfig, holds_both
from sdcl_neuro.events.alignment import Alignment, Fitted
from sdcl_neuro.events.options import ReadingOptions
from sdcl_neuro.events.tracklets import (
    Plan,
    Track,
    Tracklet,
    Video,
    cut_plan,
    open_video,
    plan_chunks,
    read_mot,
)
from sdcl_neuro.events.tracklets.event_source import RecordedEvents
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat
from sdcl_neuro.network.spec import Pair


@dataclass(frozen=True)
class Source:
    """What a user has.

    Attributes:
        video: of a camera that stands still: a file, or a folder of pictures.
        tracks: in MOTChallenge format.
        events: a recording; None takes the video's own, where it is an event recording with frames,
            and else simulates them.
        reading: how the event file is to be read. Without one, its sensor is the size at which to
            simulate; what the model was trained at if None.
        alignment: how events and frames lie to each other, and the frames' times.
        clip_boxes: cut boxes that reach over the picture's border.
        limit: at most so many tracklets of each track; None takes all.
    """

    video: Path
    tracks: Path
    events: Path | None = None
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    alignment: Alignment = field(default_factory=Alignment)
    clip_boxes: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.events is None and holds_both(self.video):
            object.__setattr__(self, "events", self.video)


@dataclass(frozen=True, eq=False)
class Footage:
    """A video with its tracks and events, checked, its tracklets planned; no frame is read yet.

    Attributes:
        source: where it comes from.
        video: the video.
        tracks: all of the file's.
        events: read, or how they will be simulated.
        plan: the tracklets, and in words what gave none.
        clip: what a tracklet looks like.
        fitted: how recorded events lie to the frames; None where they are simulated.
    """

    source: Source
    video: Video
    tracks: tuple[Track, ...]
    events: Events | SimulatorConfig
    plan: Plan
    clip: ClipFormat
    fitted: Fitted | None = None

    @property
    def simulated(self) -> bool:
        """Whether no camera saw the events."""
        return isinstance(self.events, SimulatorConfig)

    @property
    def origin(self) -> str:
        """Where the events come from, in words."""
        if isinstance(self.events, SimulatorConfig):
            return "events simulated from the frames"
        return f"events from {self.source.events}"

    @property
    def assumed(self) -> tuple[str, ...]:
        """What neither files nor options state, and was taken for granted."""
        if not isinstance(self.events, Events) or self.fitted is None:
            return (*self.video.assumed, "no event file: events are simulated from the frames")
        return (*self.video.assumed, *self.events.notes, *self.fitted.assumed)

    @property
    def said(self) -> tuple[str, ...]:
        """What a user should know of how events and frames lie to each other."""
        if not isinstance(self.events, Events) or self.fitted is None:
            return ()
        counts = {**self.events.mended, **self.events.removed}
        changed = [f"events, {name}: {count:,}" for name, count in counts.items()]
        return (*self.fitted.said, *changed)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What of the tracks is in no tracklet, and what was mended."""
        mended = [
            f"track {track.identity}: {track.mended} box(es) cut to the picture or dropped"
            for track in self.tracks
            if track.mended
        ]
        return (*self.plan.left_out, *mended)

    def cut(self, *, on_tracklet: Callable[[int], None] = lambda count: None) -> list[Tracklet]:
        """Read the video once and cut all tracklets, in the plan's order.

        Raises:
            InputError: events of another view or clock, or a video that ends too early.
        """
        return cut_plan(
            self.video,
            self.plan,
            self.events,
            bins=self.clip.bins,
            size=self.clip.size,
            sensor=self._simulated_sensor() if self.simulated else None,
            alignment=self.source.alignment,
            on_tracklet=on_tracklet,
        )

    def _simulated_sensor(self) -> Pair:
        return self.source.reading.sensor or self.clip.sensor(self.video.size)


def open_footage(source: Source, clip: ClipFormat) -> Footage:
    """Open the video, read tracks and events, plan the tracklets.

    Raises:
        InputError: a file that is missing, damaged or does not go with the video, or tracks all
            shorter than a tracklet.
    """
    video = open_video(source.video, source.alignment, source.reading)
    tracks = _tracks(source, video)
    plan = plan_chunks(tracks, frames=clip.frames, stride=clip.stride, limit=source.limit)
    if not plan.windows:
        raise InputError(
            f"no track gives a tracklet: {plan.left_out[0]}",
            where=str(source.tracks),
            mend=f"give tracks of at least {clip.frames * clip.stride} frames without a gap",
        )
    if source.events is None:
        simulator = clip.simulator or SimulatorConfig()
        return Footage(source, video, tuple(tracks), simulator, plan, clip)
    events = source.reading.read(source.events)
    fitted = RecordedEvents(video, events, source.alignment).fitted
    return Footage(source, video, tuple(tracks), events, plan, clip, fitted)


def _tracks(source: Source, video: Video) -> list[Track]:
    """All tracks; the frames are counted where the container's claim does not cover them."""
    found = read_mot(source.tracks, frame_size=video.size, clip_boxes=source.clip_boxes)
    last = max(int(track.indices[-1]) for track in found)
    if (video.count is None or last >= video.count) and last >= video.length:
        read_mot(source.tracks, frame_count=video.length)  # names the line that reaches beyond
    return found
