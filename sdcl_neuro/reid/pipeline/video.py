"""A user's own video: its tracks cut into tracklets as a model wants them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events, SimulatorConfig, read_events
from sdcl_neuro.events.tracklets import (
    Plan,
    Track,
    Tracklet,
    Video,
    cut_plan,
    plan_chunks,
    read_mot,
)
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat
from sdcl_neuro.network.spec import Pair


@dataclass(frozen=True)
class Source:
    """What a user has.

    Attributes:
        video: of a camera that stands still.
        tracks: in MOTChallenge format.
        events: of the same view and clock; None simulates them from the frames.
        sensor: width and height of the event file's sensor, where it does not say; without an
            event file those at which to simulate, what the model was trained at if None.
        clip_boxes: cut boxes that reach over the picture's border.
        limit: at most so many tracklets of each track; None takes all.
    """

    video: Path
    tracks: Path
    events: Path | None = None
    sensor: Pair | None = None
    clip_boxes: bool = False
    limit: int | None = None


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
    """

    source: Source
    video: Video
    tracks: tuple[Track, ...]
    events: Events | SimulatorConfig
    plan: Plan
    clip: ClipFormat

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
            on_tracklet=on_tracklet,
        )

    def _simulated_sensor(self) -> Pair:
        return self.source.sensor or self.clip.sensor(self.video.size)


def open_footage(source: Source, clip: ClipFormat) -> Footage:
    """Open the video, read tracks and events, plan the tracklets.

    Raises:
        InputError: a file that is missing, damaged or does not go with the video, or tracks all
            shorter than a tracklet.
    """
    video = Video(source.video)
    tracks = read_mot(
        source.tracks,
        frame_size=video.size,
        frame_count=video.count,
        clip_boxes=source.clip_boxes,
    )
    plan = plan_chunks(tracks, frames=clip.frames, stride=clip.stride, limit=source.limit)
    if not plan.windows:
        raise InputError(
            f"no track gives a tracklet: {plan.left_out[0]}",
            where=str(source.tracks),
            mend=f"give tracks of at least {clip.frames * clip.stride} frames without a gap",
        )
    if source.events is not None:
        events: Events | SimulatorConfig = read_events(source.events, sensor=source.sensor)
    else:
        events = clip.simulator or SimulatorConfig()
    return Footage(source, video, tuple(tracks), events, plan, clip)
