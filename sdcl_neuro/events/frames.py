"""Frames within an event recording: what a camera with both stores beside its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import need_path, public, public_class

from .columns import Options
from .formats.table import KINDS, find_kind
from .streams import Size, StreamInfo

Stamp = Literal["start", "middle", "end"]
STAMPS: tuple[str, ...] = get_args(Stamp)

# Kinds that may hold frames: the module of this package's `formats` that opens them.
FRAME_MODULES = {"aedat4": "aedat4_frames", "rosbag": "rosbag_frames"}


class VideoFrames(Protocol):
    """A video that can be read more than once; yields ``(index, time_us, frame)``."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""

    def __iter__(self) -> Iterator[tuple[int, int, NDArray[np.uint8]]]: ...


@dataclass(frozen=True)
class FrameStamp:
    """Times of a frame, in microseconds of the recording's clock.

    Attributes:
        time_us: as the file stamps it.
        start_us, end_us: of the exposure; None where the file does not say.
    """

    time_us: int
    start_us: int | None = None
    end_us: int | None = None

    def at(self, stamp: Stamp | None) -> int:
        """Start, middle or end of the exposure; the file's own stamp if None, or if unknown."""
        if stamp is None or self.start_us is None or self.end_us is None:
            return self.time_us
        part = {"start": 0, "middle": 1, "end": 2}[stamp]
        return self.start_us + (self.end_us - self.start_us) * part // 2


@public_class
@dataclass(frozen=True)
class FrameRecording:
    """All frames of one stream; iterate for ``(index, time_us, frame)``, as often as you like.

    Times are those of the recording's own clock, which its events share: nothing is shifted.
    Frames are uint8 RGB ``[height, width, 3]``, one in memory at a time.

    Attributes:
        path: the file.
        stream: which of its streams.
        size: width and height in pixels.
        stamps: of every frame, in order.
        pictures: opens the file again and yields its frames.
        tail: in words, what at the end of the file was left out; empty if nothing.
        stamp: which time of a frame counts: start, middle or end of its exposure; None takes the
            file's own.
    """

    path: Path
    stream: StreamInfo
    size: Size
    stamps: tuple[FrameStamp, ...]
    pictures: Callable[[], Iterator[NDArray[np.uint8]]]
    tail: str = ""
    stamp: Stamp | None = None

    @property
    def width(self) -> int:
        """In pixels."""
        return self.size[0]

    @property
    def height(self) -> int:
        """In pixels."""
        return self.size[1]

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.stamps)

    @property
    def times_us(self) -> NDArray[np.int64]:
        """Time of each frame, int64 ``[F]``, in the recording's clock."""
        return np.array([one.at(self.stamp) for one in self.stamps], np.int64)

    @property
    def exposure_known(self) -> bool:
        """Return whether the file says when each exposure began and ended."""
        return all(one.start_us is not None for one in self.stamps)

    def __iter__(self) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
        times = self.times_us.tolist()
        for index, picture in enumerate(self.pictures()):
            yield index, times[index], picture

    def __str__(self) -> str:
        times = self.times_us
        span = (int(times[-1]) - int(times[0])) / 1e6 if len(times) > 1 else 0.0
        rate = f", {(len(times) - 1) / span:.3g} frames/s on average" if span > 0 else ""
        return f"{self.count} frames, {self.width}x{self.height}, {span:.3f} s{rate}"


def holds_frames(path: Path | str) -> bool:
    """Return whether a file is an event recording of a kind that may hold frames, by its
    content.
    """
    path = need_path(path, "events", "give the path of a file")
    try:
        return find_kind(path) in FRAME_MODULES
    except InputError:
        return False


def holds_both(path: Path | str) -> bool:
    """Return whether one file is a whole recording: frames and the events beside them."""
    path = need_path(path, "events", "give the path of a file")
    if not holds_frames(path):
        return False
    kind = KINDS[find_kind(path)]
    try:
        held = {stream.holds for stream in kind.lister()(path)}
    except InputError:
        return False
    return {"events", "frames"} <= held


@public
def open_frames(
    path: Path | str,
    *,
    stream: str | None = None,
    stamp: Stamp | None = None,
    mend: tuple[str, ...] = (),
) -> FrameRecording:
    """Open the frames within an event recording.

    Args:
        path: AEDAT 4 or a ROS bag.
        stream: number, name or camera of a stream of frames, or of events: then the frames of the
            same camera.
        stamp: which time of a frame counts.
        mend: ``drop-tail`` allows an incomplete end.

    Raises:
        InputError: not such a file, no frames in it, several streams and none chosen, times that do
            not ascend, or damaged content.
    """
    path = need_path(path, "events", "give the path of a file")
    if stamp is not None and stamp not in STAMPS:
        raise InputError(f"stamp {stamp!r}", hint=f"give one of {', '.join(STAMPS)}")
    try:
        kind = find_kind(path)
        if kind not in FRAME_MODULES:
            raise InputError(
                f"{KINDS[kind].text} holds no frames", hint="give the video they were filmed with"
            )
        module = import_module(f".formats.{FRAME_MODULES[kind]}", __package__)
        opener = cast(Callable[[Path, Options], FrameRecording], module.open_frames)
        found = opener(path, Options(stream=stream, mend=mend))
        if stamp is not None and not found.exposure_known:
            raise InputError(
                "the file does not say when each exposure began and ended",
                hint="leave --stamp out: frames are taken at the time that the file gives",
            )
    except InputError as error:
        if error.where:
            raise
        raise InputError(error.what, where=str(path), hint=error.hint) from error
    fields = {name: getattr(found, name) for name in FrameRecording.__dataclass_fields__}
    stamped = FrameRecording(**{**fields, "stamp": stamp})
    late = np.flatnonzero(np.diff(stamped.times_us) <= 0)
    if len(late):
        index = int(late[0]) + 1
        raise InputError(
            f"frame {index} at {stamped.times_us[index]} us does not come after frame {index - 1} "
            f"at {stamped.times_us[index - 1]} us",
            where=str(path),
            hint="give frame times of your own (--frame-times)",
        )
    return stamped
