"""Frames with times: from a file at its real speed, a pipe of raw pictures, or a camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.events.tracklets.frame_files import Frame
from sdcl_neuro.events.tracklets.video import Video
from sdcl_neuro.extras import need
from sdcl_neuro.network.spec import Pair

from .follow import follow, records

# Of a camera that does not say; used for the first interval only.
USUAL_FPS = 30.0

Timed = tuple[int, int, Frame]


class FrameSource(Protocol):
    """Pictures of a camera that stands still; iterate for index, time in us, RGB frame."""

    @property
    def size(self) -> Pair:
        """Width and height."""

    @property
    def start_us(self) -> int:
        """Return where the first frame's interval begins: the time of the frame before it."""

    @property
    def first_us(self) -> int:
        """Time of the first frame."""

    @property
    def unix_start_us(self) -> int | None:
        """When the first frame came, in us since 1970; None where nothing says it."""

    def frames(self, stop: threading.Event) -> Iterator[Timed]:
        """Return frames as they come, until the source ends or `stop` is set."""


@dataclass(frozen=True)
class PacedVideo:
    """A recorded video at `speed` times its real speed; 0 gives frames without a pause."""

    video: Video
    speed: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.speed <= 1000:
            raise InputError(f"a speed of {self.speed:g}", hint="give 0 (no pause) to 1000")

    @property
    def size(self) -> Pair:
        """See `FrameSource`."""
        return self.video.size

    @property
    def start_us(self) -> int:
        """See `FrameSource`."""
        return self.video.before_us

    @property
    def first_us(self) -> int:
        """See `FrameSource`."""
        return self.video.first_us

    @property
    def unix_start_us(self) -> int | None:
        """See `FrameSource`; when it is read says nothing on when it was taken."""
        return None

    def frames(self, stop: threading.Event) -> Iterator[Timed]:
        """See `FrameSource`; frame g comes ``(time(g) - time(0)) / speed`` after the first."""
        begun = time.perf_counter()
        for index, time_us, frame in self.video:
            if self.speed:
                left = begun + (time_us - self.first_us) / 1e6 / self.speed - time.perf_counter()
                if left > 0 and stop.wait(left):
                    return
            if stop.is_set():
                return
            yield index, time_us, frame


@dataclass
class RawFrames:
    """Raw RGB pictures of `size`, 24 bits a pixel, from a pipe, as FFmpeg's ``rawvideo`` writes.

    Times are counted by `fps` from the first picture: the clock that the events must share.
    """

    path: str
    size: Pair
    fps: float
    idle_s: float
    unix_start_us: int | None = None
    first_us: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fps <= 1e6 or min(self.size) < 1:
            raise InputError(
                f"raw frames of {self.size[0]}x{self.size[1]} at {self.fps:g} frames/s",
                where=self.path,
                hint="give --frame-size WxH and --fps",
            )

    @property
    def start_us(self) -> int:
        """See `FrameSource`."""
        return round(-1e6 / self.fps)

    def frames(self, stop: threading.Event) -> Iterator[Timed]:
        """See `FrameSource`."""
        width, height = self.size
        bytes_each, index = width * height * 3, 0
        chunks = follow(self.path, idle_s=self.idle_s, stop=stop)
        for block in records(chunks, bytes_each):
            for start in range(0, len(block), bytes_each):
                if self.unix_start_us is None:
                    self.unix_start_us = time.time_ns() // 1000
                picture = np.frombuffer(block, np.uint8, bytes_each, start)
                yield index, round(index * 1e6 / self.fps), picture.reshape(height, width, 3)
                index += 1


class Camera:
    """A camera or network stream that OpenCV opens: a number, a device, ``rtsp://``.

    Times are those of arrival, by this machine's clock from the first frame: late by what exposure
    and transfer take.

    Raises:
        EnvironmentFault: it cannot be opened, or sends nothing.
    """

    first_us = 0

    def __init__(self, name: str) -> None:
        cv2 = need("cv2", "a camera")

        self.unix_start_us: int | None = None

        self._name = name
        self._capture: Any = cv2.VideoCapture(int(name) if name.isdecimal() else name)
        good, first = self._capture.read()
        if not good:
            raise EnvironmentFault(
                "no picture comes from it", where=name, hint="check the camera's number or address"
            )
        self.size: Pair = (int(first.shape[1]), int(first.shape[0]))
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.start_us = round(-1e6 / (rate if 0 < rate < 1e6 else USUAL_FPS))

    def frames(self, stop: threading.Event) -> Iterator[Timed]:
        """See `FrameSource`."""
        cv2 = need("cv2", "a camera")

        begun, index, last_us = time.perf_counter(), 0, -1
        try:
            while not stop.is_set():
                good, picture = self._capture.read()
                if not good:
                    return
                if self.unix_start_us is None:
                    self.unix_start_us = time.time_ns() // 1000
                last_us = max(last_us + 1, round((time.perf_counter() - begun) * 1e6))
                yield index, last_us, np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
                index += 1
        finally:
            self._capture.release()


def is_camera(name: str) -> bool:
    """Return whether a name means a camera, not a file or pipe."""
    return name.isdecimal() or "://" in name or Path(name).is_char_device()
