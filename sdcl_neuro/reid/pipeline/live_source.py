"""`LiveSource`: where the frames, boxes and events of a stream come from."""

from __future__ import annotations

from dataclasses import dataclass, field

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import holds_both
from sdcl_neuro.events.alignment import Alignment
from sdcl_neuro.events.options import ReadingOptions
from sdcl_neuro.hybrid.live.events import EventFormat
from sdcl_neuro.hybrid.live.follow import STDIN
from sdcl_neuro.network.arguments import public_class
from sdcl_neuro.network.spec import Pair


@public_class
@dataclass(frozen=True)
class LiveSource:
    """Where frames, boxes and events come from.

    Attributes:
        frames: a video file, a camera (number, device, address), or raw pictures (with `raw_size`).
        tracks: MOTChallenge text: a file, or what a tracker is writing.
        events: a recording, what a camera is writing (with `event_format`), ``camera``,
            ``camera:SERIAL``, or ``play:FILE``, a recording in real time; None takes the
            frames' own, where they are an event recording's, and else simulates.
        growing: tracks and raw frames are files or pipes that are still being written.
        raw_size, fps: of raw frames.
        reading: how a recording of events is to be read; its sensor is that of a stream, too.
        alignment: how events and frames lie to each other.
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
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    alignment: Alignment = field(default_factory=Alignment)
    event_format: EventFormat | None = None
    speed: float = 1.0
    patience_s: float = 0.1
    idle_s: float = 5.0

    def __post_init__(self) -> None:
        piped = [name for name in (self.frames, self.tracks, self.events) if name == STDIN]
        if len(piped) > 1:
            raise InputError(
                f"{len(piped)} sources on standard input",
                hint="give named pipes (mkfifo) for all but one",
            )
        if not 0 <= self.patience_s <= 60:
            raise InputError(
                f"frames wait {1e3 * self.patience_s:g} ms",
                where="--patience",
                hint="give 0 to 60000 ms",
            )
        if not 0 < self.idle_s <= 86400:
            raise InputError(
                f"a growing file may rest for {self.idle_s:g} s",
                where="--idle",
                hint="give more than 0 s, up to a day",
            )
        whole = self.raw_size is None and self.event_format is None
        if self.events is None and whole and holds_both(self.frames):
            object.__setattr__(self, "events", self.frames)
        if self.event_format is not None and self.events is None:
            raise InputError(
                "there is no stream of events", where="--event-format", hint="give --events, too"
            )
