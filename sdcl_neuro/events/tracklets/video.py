"""Videos as RGB frames with times, one frame in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public

from ..alignment import Alignment, FrameSpan, FrameStamps, read_frame_stamps
from ..options import ReadingOptions
from .frame_files import Frame, open_frames

FPS_MAX = 100_000.0
_TIMES_ADVICE = "give --frame-times FILE, or --fps N if the frames are evenly spaced"


class Video:
    """A video file or a folder of pictures; iterate over it for ``(index, time_us, frame)``.

    `index` counts from 0, `frame` is uint8 RGB ``[height, width, 3]``, `time_us` is the file's own
    presentation timestamp from the first frame on, or what `fps` or `stamps` say.

    Args:
        path: of the file or folder.
        fps: frames a second: frame f is at ``round(f * 1e6 / fps)``, whatever the file says.
        stamps: one time for each frame.
        shift_us: added to all times.
        reading: which stream of an event recording holds the frames.

    Attributes:
        width, height: in pixels.
        fps: frames a second, the mean where frames are not evenly spaced.
        count: frames as the container claims, or None if it does not say; see `length`.
        timing: where the times come from, in words.

    Raises:
        InputError: nothing there, nothing that can be decoded, or frames without times.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        fps: float | None = None,
        stamps: FrameStamps | None = None,
        shift_us: int = 0,
        reading: ReadingOptions | None = None,
    ) -> None:
        self.path, self._given, self._shift = Path(path), stamps, shift_us
        self.reader = open_frames(self.path, reading)
        if fps is not None and not 0 < fps <= FPS_MAX:
            raise InputError(
                f"a rate of {fps:g} frames a second", where=str(self.path), hint="give fps"
            )
        self._rate = fps
        begun = list(islice(self.reader.pictures(), 2))
        if not begun:
            raise InputError(
                "no frame of it can be decoded here",
                where=str(self.path),
                hint="convert it and keep its times: ffmpeg -i VIDEO -fps_mode passthrough "
                "-c:v libx264 OUT.mkv",
            )
        self.height, self.width = map(int, begun[0][1].shape[:2])
        self._begun = [stamp for stamp, _ in begun]
        origin = self.reader.origin_us
        self._origin = self._begun[0] if origin is None else origin
        self.count = self.reader.count
        self._assumed: tuple[str, ...] = ()
        self.timing = self._timing()
        self.fps = self._mean_rate()

    def _timing(self) -> str:
        where = str(self.path)
        if self._given is not None:
            return f"a file with {self._given.layout} for each frame"
        if self._rate is not None:
            return f"{self._rate:g} frames/s, as given"
        if self.reader.timing == "none":
            raise InputError("its frames have no times", where=where, hint=_TIMES_ADVICE)
        if self.reader.timing == "rate":
            fps = self.reader.fps
            if fps is None or fps > FPS_MAX:
                raise InputError("its frames have no times", where=where, hint=_TIMES_ADVICE)
            self._assumed = (
                f"{self.path.name} states a rate and no times: its frames are evenly spaced at "
                f"{fps:g} frames/s but for gaps that it marks (--frame-times, --fps)",
            )
            return f"the container's rate of {fps:g} frames/s"
        return "presentation timestamps of the file"

    def _mean_rate(self) -> float:
        if self._rate is not None:
            return self._rate
        if self._given is not None:
            times = self._given.times_us
            span = int(times[-1] - times[0])
            return 1e6 * (len(times) - 1) / span if span else 0.0
        return self.reader.fps or 0.0

    def __str__(self) -> str:
        count = "?" if self.count is None else str(self.count)
        size = f"{self.width}x{self.height}"
        return f"{self.path.name}: {count} frames, {size}, {self.fps:g} frames/s"

    @property
    def assumed(self) -> tuple[str, ...]:
        """Return what was taken for granted in the part read so far, in words."""
        timed = self._given is None and self._rate is None
        return (*self._assumed, *self.reader.notes) if timed else self._assumed

    @property
    def middles(self) -> bool:
        """Return whether times are known to be of the middle of the exposure."""
        if self._given is not None:
            return self._given.exposure_us is not None
        return self._rate is None and bool(getattr(self.reader, "middles", False))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    @cached_property
    def times_us(self) -> NDArray[np.int64]:
        """Time of every frame there really is, int64 ``[F]``; reads the file once."""
        stamps = [self._stamped(k, stamp) for k, stamp in enumerate(self.reader.stamps())]
        for index in range(1, len(stamps)):
            self._check_order(index, stamps[index - 1], stamps[index])
        self._check_count(len(stamps))
        return np.array(stamps, np.int64)

    @property
    def length(self) -> int:
        """Frames that can be decoded, which the container's claim may miss; reads the file once."""
        return len(self.times_us)

    @property
    def first_us(self) -> int:
        """Time of the first frame."""
        return self._stamped(0, self._begun[0])

    @property
    def before_us(self) -> int:
        """Where the first frame's interval begins: as long before it as the second is after it."""
        if self._rate is not None:
            return round(-1e6 / self._rate) + self._shift
        if len(self._begun) > 1:
            second = self._stamped(1, self._begun[1])
            self._check_order(1, self.first_us, second)
            return 2 * self.first_us - second
        return self.first_us - (round(1e6 / self.fps) if 0 < self.fps <= FPS_MAX else 1)

    def time_us(self, index: int) -> int:
        """Return time of frame `index`; -1 is the time before the first frame, see `before_us`."""
        return self.before_us if index < 0 else int(self.times_us[index])

    def span(self) -> FrameSpan:
        """Return what an alignment has to know; reads the file once."""
        middles = self.middles
        return FrameSpan(
            self.size,
            self.before_us,
            self.first_us,
            int(self.times_us[-1]),
            str(self.path),
            middles,
        )

    def __iter__(self) -> Iterator[tuple[int, int, Frame]]:
        index, before = -1, None
        for index, (stamp, frame) in enumerate(self.reader.pictures()):
            if frame.shape[:2] != (self.height, self.width):
                raise InputError(
                    f"frame {index} has {frame.shape[1]}x{frame.shape[0]} pixels, the "
                    f"first has {self.width}x{self.height}",
                    where=str(self.path),
                    hint="re-encode it to one size",
                )
            time = self._stamped(index, stamp)
            if before is not None:
                self._check_order(index, before, time)
            before = time
            yield index, time, frame
        self._check_count(index + 1)

    def _stamped(self, index: int, stamp: float) -> int:
        """Return time of a frame with the reader's `stamp`."""
        if self._given is not None:
            if index >= len(self._given.times_us):
                raise self._miscounted(f"more than {index}")
            return int(self._given.times_us[index]) + self._shift
        if self._rate is not None:
            return round(index * 1e6 / self._rate) + self._shift
        return round(stamp - self._origin) + self._shift

    def _check_order(self, index: int, before: int, time: int) -> None:
        if time <= before:
            raise InputError(
                f"frame {index} at {time} us does not come after frame {index - 1} at {before} us",
                where=str(self.path),
                hint=_TIMES_ADVICE,
            )

    def _check_count(self, count: int) -> None:
        if self._given is not None and count != len(self._given.times_us):
            raise self._miscounted(str(count))

    def _miscounted(self, count: str) -> InputError:
        stated = 0 if self._given is None else len(self._given.times_us)
        return InputError(
            f"{stated} frame times for {count} frames",
            where=str(self.path),
            hint="give one time for each frame",
        )


@public
def open_video(
    path: Path | str, alignment: Alignment, reading: ReadingOptions | None = None
) -> Video:
    """Return a video with the frame times that an alignment states, of the middle of the exposure.

    Args:
        path: a video, a folder of pictures, or an event recording with frames.
        alignment: what is said of their times.
        reading: which stream of an event recording holds the frames.

    Raises:
        InputError: see `Video` and `read_frame_stamps`; a stamp together with a file that gives
            start and end of each exposure.
    """
    stamps = None
    if alignment.frame_times is not None:
        stamps = read_frame_stamps(alignment.frame_times, unit_us=alignment.frame_time_unit_us)
        if stamps.exposure_us is not None and alignment.stamp is not None:
            raise InputError(
                "the file of frame times gives start and end of each exposure",
                where=str(alignment.frame_times),
                hint="leave --stamp out",
            )
    fps = None if alignment.fps is None else float(alignment.fps)
    video = Video(
        path, fps=fps, stamps=stamps, shift_us=alignment.shift_of_stamps_us, reading=reading
    )
    if video.middles and stamps is None and alignment.stamp is not None:
        raise InputError(
            "the recording says when each exposure began and ended",
            where=str(path),
            hint="leave --stamp out",
        )
    return video
