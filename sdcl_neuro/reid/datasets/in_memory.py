"""Tracklets that are cut already, as a data set: your own video with its tracks, for example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet

from .clip import Clip
from .index import describe
from .table import Choices


@dataclass(frozen=True, eq=False)
class TrackletsInMemory:
    """Tracklets in memory; see `index.DataSet` for what it offers.

    Attributes:
        entries: the tracklets themselves.
        train, query, gallery: positions in `entries`.
    """

    entries: tuple[Tracklet, ...]
    train: tuple[int, ...] = ()
    query: tuple[int, ...] = ()
    gallery: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for part in (self.train, self.query, self.gallery):
            outside = [position for position in part if not 0 <= position < len(self.entries)]
            if outside:
                raise InputError(
                    f"position {outside[0]} of {len(self.entries)} tracklets",
                    hint="give positions in entries",
                )

    def load(self, position: int, clip: Clip, *, seed: int | None = None) -> Tracklet:
        """Return the tracklet as it was cut; a seed changes nothing.

        Raises:
            InputError: it was cut to another shape than `clip`.
        """
        tracklet = self.entries[position]
        cut = Clip(len(tracklet.times_us), tracklet.bins, tracklet.spikes.shape[2:4])
        if cut != clip:
            raise InputError(
                f"was cut as {cut}, not {clip}",
                where=f"tracklet {tracklet.name}",
                hint="cut the video with these frames, bins and size",
            )
        return tracklet

    def __str__(self) -> str:
        return f"{len(self.entries)} tracklets; {describe(self)}"


def hold_segments(
    tracklets: Sequence[Tracklet], *, query: str = "arriving", gallery: str = "leaving"
) -> TrackletsInMemory:
    """Split tracklets of `sdcl_neuro.events.tracklets.cut_tracklets` by segment.

    Everything else is for neither; to train on them too, name their positions yourself.

    Raises:
        InputError: no tracklets of one of the two segments.
    """
    places = {
        name: tuple(k for k, tracklet in enumerate(tracklets) if tracklet.segment == name)
        for name in (query, gallery)
    }
    empty = [name for name, found in places.items() if not found]
    if empty:
        raise InputError(
            f"no tracklets of segment {empty[0]!r}", hint="cut the video with by_segment=True"
        )
    return TrackletsInMemory(tuple(tracklets), query=places[query], gallery=places[gallery])


@dataclass(frozen=True)
class MotTable:
    """A video with tracks in MOTChallenge's format: who leaves is asked of who arrived.

    Attributes:
        video, tracks: files below the root.
        events: an event file; empty simulates them. How it is read and lies to the video say
            `data.reading` and `data.alignment`.
        stride: video frames per tracklet frame.
        sensor_scale: pixels of the simulated sensor per pixel of the video, along a side.
    """

    video: str = ""
    tracks: str = ""
    events: str = ""
    stride: int = 1
    sensor_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise InputError(f"stride is {self.stride}", hint="give 1 or more")
        if not 0 < self.sensor_scale <= 1:
            raise InputError(
                f"sensor_scale is {self.sensor_scale}", hint="give one above 0, up to 1"
            )


def open_data(root: Path, choices: Choices) -> TrackletsInMemory:
    """Return tracklets of a video, all of them held; who leaves is asked of who arrived."""
    from sdcl_neuro.events import holds_both
    from sdcl_neuro.events.alignment import Alignment
    from sdcl_neuro.events.tracklets import cut_tracklets, open_video, read_mot

    own, clip = choices.own, choices.clip
    if not isinstance(own, MotTable):
        raise InputError("no video and no tracks", where="data.mot", hint="name both files")
    alignment = choices.alignment or Alignment()
    video = open_video(root / own.video, alignment, choices.reading)
    events = own.events or (own.video if holds_both(root / own.video) else "")
    sensor = tuple(max(1, round(side * own.sensor_scale)) for side in video.size)
    found = cut_tracklets(
        video,
        read_mot(root / own.tracks),
        choices.reading.read(root / events) if events else choices.simulator,
        frames=clip.frames,
        bins=clip.bins,
        size=clip.size,
        stride=own.stride,
        sensor=(sensor[0], sensor[1]),
        alignment=alignment,
    )
    return hold_segments(found)
