"""Files that hold frames, opened by their content: videos, event recordings, picture folders.

To add a kind, write a `FrameReader` and a row in `READERS`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.extras import need
from sdcl_neuro.files.reading import regular_file

from ..frames import holds_frames
from ..frames import open_frames as open_recorded
from ..options import ReadingOptions

Frame = NDArray[np.uint8]
Timing = Literal["stamps", "rate", "none"]
"""What a file says of its frames' times: each one's own, a steady rate, or nothing."""

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
# Containers that state a rate and no times (RIFF AVI, YUV4MPEG2).
RATE_ONLY = (b"RIFF", b"YUV4MPEG2")
# Decoders hand out their last frames, at most 16 (H.264, A.4.2), without times in some containers.
UNTIMED_MAX = 16
# Elementary streams carry neither: FFmpeg invents 25 frames/s for them.
NO_TIMES = (b"\xff\xd8\xff", b"\x00\x00\x00\x01", b"\x00\x00\x01\xb3", b"\x00\x00\x01\xb0")

FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
# FFmpeg's readers that keep to the file itself, without playlists (hls, dash, concat, sdp, image2).
CONTAINERS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "flv", "asf", "ogg"),
    *("mpegts", "mpeg", "mpegvideo", "m4v", "h264", "hevc", "av1", "ivf", "obu", "mjpeg"),
    *("yuv4mpegpipe", "gif", "apng", "mxf", "nut", "dv", "swf", "rm", "wtv"),
)


class FrameReader(Protocol):
    """Frames of a file, in order, each with its stamp in microseconds."""

    timing: Timing
    count: int | None
    """As the file claims; None if it does not say."""
    fps: float | None
    """As the file claims; the mean where frames have times of their own."""
    origin_us: float | None
    """Stamp that counts as 0; None takes the first frame's."""
    notes: tuple[str, ...]
    """What was assumed about the stamps read so far, in words."""

    def pictures(self) -> Iterator[tuple[float, Frame]]:
        """Return stamp and uint8 RGB ``[H, W, 3]`` of each frame, from the first on."""

    def stamps(self) -> Iterator[float]:
        """Return the same stamps without the pictures."""


def open_frames(path: Path, reading: ReadingOptions | None = None) -> FrameReader:
    """Return a reader for what lies at `path`; `reading` says which stream of an event recording.

    Raises:
        InputError: nothing there, or nothing that has frames.
    """
    for fits, reader in READERS:
        if fits(path):
            return reader(path, reading or ReadingOptions())
    regular_file(path, what="a video file")  # says what it is
    raise InputError("no such file", where=str(path), hint="give a video file")


class VideoFile:
    """A video that OpenCV decodes through FFmpeg; see `FrameReader`."""

    origin_us: float | None = None

    def __init__(self, path: Path, reading: ReadingOptions | None = None) -> None:
        cv2 = need("cv2", "reading frames")

        self.path = regular_file(path, what="a video file")
        if path.stat().st_size == 0:
            raise InputError("is empty", where=str(path), hint="give a video file")
        with path.open("rb") as stream:
            head = stream.read(12)
        self.timing: Timing = "stamps"
        if head.startswith(NO_TIMES):
            self.timing = "none"
        elif head.startswith(RATE_ONLY):
            self.timing = "rate"
        with _OpenedCapture(path) as capture:
            count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.count = count if count > 0 else None
        self.fps = fps if np.isfinite(fps) and fps > 0 else None
        self.notes: tuple[str, ...] = ()

    def pictures(self) -> Iterator[tuple[float, Frame]]:
        """See `FrameReader`."""
        cv2 = need("cv2", "reading frames")

        with _OpenedCapture(self.path) as capture:
            for stamp in self._stamps(capture):
                good, picture = capture.retrieve()
                if not good:
                    return
                yield stamp, np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)

    def stamps(self) -> Iterator[float]:
        """See `FrameReader`."""
        with _OpenedCapture(self.path) as capture:
            yield from self._stamps(capture)

    def _stamps(self, capture: Any) -> Iterator[float]:
        """Grab one frame after another; those without a time follow at the container's rate.

        Raises:
            InputError: a frame without a time that is not one of the last.
        """
        cv2 = need("cv2", "reading frames")

        last, index, untimed = 0.0, -1, 0
        while capture.grab():
            index += 1
            # OpenCV gives 0 where there is no time.
            stamp = float(capture.get(cv2.CAP_PROP_POS_MSEC)) * 1e3
            if stamp == 0.0 and index and last > 0 and self.fps and untimed < UNTIMED_MAX:
                untimed += 1
                stamp = last + 1e6 / self.fps
                self.notes = (
                    f"no time for the last {number_of(untimed, 'frame')} of {self.path.name}: put "
                    f"at the container's rate of {self.fps:g} frames/s (--frame-times, --fps)",
                )
            elif untimed and self.timing == "stamps":
                raise InputError(
                    f"frame {index - 1} has no time",
                    where=str(self.path),
                    hint="give --frame-times FILE, or --fps N if the frames are evenly spaced",
                )
            last = stamp
            yield stamp


class PictureFolder:
    """A folder of pictures in the order of their names, numbers by value; see `FrameReader`."""

    timing: Timing = "none"
    fps: float | None = None
    origin_us: float | None = 0.0
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, reading: ReadingOptions | None = None) -> None:
        self.path = path
        self.files = sorted(
            (item for item in path.iterdir() if item.suffix.lower() in PICTURES),
            key=lambda item: _natural(item.name),
        )
        if not self.files:
            raise InputError(
                f"a folder without pictures ({', '.join(sorted(PICTURES))})",
                where=str(path),
                hint="give a video file or a folder of pictures",
            )
        self.count: int | None = len(self.files)

    def pictures(self) -> Iterator[tuple[float, Frame]]:
        """See `FrameReader`; there are no stamps, so each is 0."""
        cv2 = need("cv2", "reading frames")

        for file in self.files:
            picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if picture is None:
                raise InputError("not a picture", where=str(file), hint="remove or replace it")
            yield 0.0, np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)

    def stamps(self) -> Iterator[float]:
        """See `pictures`."""
        return iter([0.0] * len(self.files))


class RecordedFrames:
    """Frames within an event recording, on the clock of its events; see `FrameReader`.

    Where the file says when each exposure began and ended, a frame is at its middle.
    """

    timing: Timing = "stamps"
    origin_us: float | None = 0.0
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, reading: ReadingOptions) -> None:
        found = open_recorded(path, stream=reading.stream, mend=tuple(reading.mend))
        self.middles = found.exposure_known
        if self.middles:
            found = open_recorded(
                path, stream=reading.stream, stamp="middle", mend=tuple(reading.mend)
            )
        self._found, self._times = found, found.times_us
        self.count: int | None = found.count
        span = int(self._times[-1] - self._times[0])
        self.fps: float | None = 1e6 * (found.count - 1) / span if span > 0 else None

    def pictures(self) -> Iterator[tuple[float, Frame]]:
        """See `FrameReader`."""
        for _, time_us, frame in self._found:
            yield float(time_us), frame

    def stamps(self) -> Iterator[float]:
        """See `FrameReader`."""
        return iter(self._times.astype(np.float64).tolist())


READERS: list[tuple[Callable[[Path], bool], Callable[[Path, ReadingOptions], FrameReader]]] = [
    (holds_frames, RecordedFrames),
    (Path.is_dir, PictureFolder),
    (Path.is_file, VideoFile),
]


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts ``frame2`` before ``frame10``."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


class _OpenedCapture:
    """A capture that is released at the end; InputError if the file cannot be one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        cv2 = need("cv2", "reading frames")

        # A damaged video is told of in our own words; OpenCV and FFmpeg would write their own.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        users = os.environ.get(FFMPEG_OPTIONS)
        os.environ[FFMPEG_OPTIONS] = users or f"format_whitelist;{','.join(CONTAINERS)}"
        try:
            self.capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        finally:
            cv2.utils.logging.setLogLevel(level)
            if users is None:
                del os.environ[FFMPEG_OPTIONS]
        if not self.capture.isOpened():
            self.capture.release()
            raise InputError(
                "is not a video that OpenCV can read",
                where=str(self.path),
                hint="give MP4, AVI, MKV or the like; a playlist, which names other files, is not "
                "read",
            )
        return self.capture

    def __exit__(self, *_: object) -> None:
        self.capture.release()
