"""A user's own video: its tracks cut into tracklets as a model wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.events import Events, SimulatorConfig, holds_both
from sdcl_neuro.events.alignment import Alignment, Fitted
from sdcl_neuro.events.options import ReadingOptions
from sdcl_neuro.events.tracklets import (
    Plan,
    Track,
    TrackFile,
    Tracklet,
    Video,
    iterate_tracklets,
    open_video,
    plan_chunks,
    read_tracks,
)
from sdcl_neuro.events.tracklets.detecting import (
    Detected,
    DetectionOptions,
    TrackScore,
    detect_tracks,
    score_tracks,
)
from sdcl_neuro.events.tracklets.event_source import RecordedEvents
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat
from sdcl_neuro.network.arguments import public_class
from sdcl_neuro.network.spec import Pair


@public_class
@dataclass(frozen=True)
class Source:
    """What a user has.

    Attributes:
        video: of a camera that stands still: a file, or a folder of pictures.
        tracks: a file in a layout of `events.tracklets.track_rows`.
        events: a recording; None takes the video's own, where it is an event recording with frames,
            and else simulates them.
        reading: how the event file is to be read. Without one, its sensor is the size at which to
            simulate; what the model was trained at if None.
        alignment: how events and frames lie to each other, and the frames' times.
        clip_boxes: cut boxes that reach over the picture's border.
        limit: at most so many tracklets of each track; None takes all.
        detection: find the persons in the video; tracks that are given, too, are compared with.
    """

    video: Path
    tracks: Path | None = None
    events: Path | None = None
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    alignment: Alignment = field(default_factory=Alignment)
    clip_boxes: bool = False
    limit: int | None = None
    detection: DetectionOptions | None = None

    def __post_init__(self) -> None:
        if self.events is None and holds_both(self.video):
            object.__setattr__(self, "events", self.video)


@dataclass(frozen=True, eq=False)
class Detection:
    """Persons that were found in a video.

    Attributes:
        found: the tracks and how they were found.
        assumed: what nothing states.
        agreement: with the tracks of a file, if one was given, too.
    """

    found: Detected
    assumed: tuple[str, ...]
    agreement: TrackScore | None = None

    def lines(self) -> tuple[str, ...]:
        """Return lines for the terminal."""
        return (str(self.found), *(() if self.agreement is None else (str(self.agreement),)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        agreement = None if self.agreement is None else self.agreement.to_dict()
        return {**self.found.to_dict(), "agreement": agreement}


Detecting = Callable[[int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, eq=False)
class Footage:
    """A video with its tracks and events, checked, its tracklets planned; no frame is read yet.

    Attributes:
        source: where it comes from.
        video: the video.
        file: the tracks of persons, and which rows were left out.
        events: read, or how they will be simulated.
        plan: the tracklets, and in words what gave none.
        clip: what a tracklet looks like.
        fitted: how recorded events lie to the frames; None where they are simulated.
        detection: how the tracks were found; None where a file gives them.
    """

    source: Source
    video: Video
    file: TrackFile
    events: Events | SimulatorConfig
    plan: Plan
    clip: ClipFormat
    fitted: Fitted | None = None
    detection: Detection | None = None

    @property
    def tracks(self) -> tuple[Track, ...]:
        """All tracks of persons to be considered."""
        return self.file.tracks

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
        found = self.detection.assumed if self.detection else ()
        if not isinstance(self.events, Events) or self.fitted is None:
            simulated = "no event file: events are simulated from the frames"
            return (*self.video.assumed, *found, simulated)
        return (*self.video.assumed, *found, *self.events.notes, *self.fitted.assumed)

    @property
    def said(self) -> tuple[str, ...]:
        """What a user should know of how events and frames lie to each other."""
        found = self.detection.lines() if self.detection else ()
        if not isinstance(self.events, Events) or self.fitted is None:
            return found
        counts = {**self.events.mended, **self.events.removed}
        changed = [f"events, {name}: {count:,}" for name, count in counts.items()]
        return (*found, *self.fitted.said, *changed)

    @property
    def left_out(self) -> tuple[str, ...]:
        """List what no tracklet covers of the tracks, and what was repaired."""
        mended = [
            f"track {track.identity}: {number_of(track.mended, 'box')} cut to the "
            "picture or dropped"
            for track in self.tracks
            if track.mended
        ]
        return (*self.file.left_out, *self.plan.left_out, *mended)

    def cut(self) -> Iterator[Tracklet]:
        """Read the video once and yield tracklets as they are complete.

        Raises:
            InputError: events of another view or clock, or a video that ends too early.
        """
        return iterate_tracklets(
            self.video,
            self.plan,
            self.events,
            bins=self.clip.bins,
            size=self.clip.size,
            sensor=self._simulated_sensor() if self.simulated else None,
            alignment=self.source.alignment,
        )

    def _simulated_sensor(self) -> Pair:
        return self.source.reading.sensor or self.clip.sensor(self.video.size)


def open_footage(
    source: Source,
    clip: ClipFormat,
    *,
    on_detecting: Detecting = lambda count: nullcontext(lambda done: None),
) -> Footage:
    """Open the video, read or find tracks, read events, plan the tracklets.

    Args:
        source: what there is.
        clip: what a tracklet looks like.
        on_detecting: makes a progress bar over so many frames, where persons have to be found.

    Raises:
        InputError: a file that is missing, damaged or does not go with the video, or tracks all
            shorter than a tracklet.
    """
    video = open_video(source.video, source.alignment, source.reading)
    events, fitted = _events(source, video, clip)
    found, detection = _tracks(source, video, on_detecting)
    tracks = found.tracks
    plan = plan_chunks(tracks, frames=clip.frames, stride=clip.stride, limit=source.limit)
    if not plan.windows:
        raise InputError(
            f"no track gives a tracklet: {plan.left_out[0]}",
            where=str(source.tracks or source.video),
            hint=f"give tracks of at least {clip.frames * clip.stride} frames without a gap",
        )
    return Footage(source, video, found, events, plan, clip, fitted, detection)


def _events(
    source: Source, video: Video, clip: ClipFormat
) -> tuple[Events | SimulatorConfig, Fitted | None]:
    """Return recorded events and how they lie to the frames, or how events are to be simulated.

    Before anybody looks for persons: a clock or view that nothing states is told at once.
    """
    if source.events is None:
        return clip.simulator or SimulatorConfig(), None
    events = source.reading.read(source.events)
    return events, RecordedEvents(video, events, source.alignment).fitted


def _tracks(
    source: Source, video: Video, on_detecting: Detecting
) -> tuple[TrackFile, Detection | None]:
    """Return tracks of the file, or found in the video and then compared with the file's."""
    given = None if source.tracks is None else _file_tracks(source, source.tracks, video)
    if source.detection is None:
        if given is None:
            raise InputError("no tracks", where="--tracks", hint="give --tracks FILE or --detect")
        return given, None
    detector, assumed = source.detection.open(video)
    with on_detecting(video.count or 0) as advance:
        settings = source.detection.settings()
        found = detect_tracks(video, detector, settings, on_frame=advance)
    agreement = None if given is None else score_tracks(given.tracks, found.tracks)
    return TrackFile(found.tracks, found.left_out), Detection(found, assumed, agreement)


def _file_tracks(source: Source, path: Path, video: Video) -> TrackFile:
    """Return all tracks; the frames are counted where the container's claim does not cover them."""
    found = read_tracks(path, frame_size=video.size, clip_boxes=source.clip_boxes)
    last = max(int(track.indices[-1]) for track in found.tracks)
    if (video.count is None or last >= video.count) and last >= video.length:
        read_tracks(path, frame_count=video.length)  # names the line that reaches beyond
    return found
