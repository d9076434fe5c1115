"""Videos as RGB frames with times, one frame in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

Frame = NDArray[np.uint8]
FPS_MAX = 100_000.0


class Video:
    """A video file; iterate over it for ``(index, time_us, frame)``, as often as you like.

    `index` counts from 0, `time_us` is ``round(index * 1e6 / fps)`` with the container's rate (a
    variable rate is taken as its mean), `frame` is uint8 RGB ``[height, width, 3]``.

    Attributes:
        path: the file.
        width, height: in pixels.
        fps: frames a second.
        count: frames as the container claims, or None if it does not say.

    Raises:
        InputError: the file is missing, empty, or holds no video that can be decoded.
    """

    def __init__(self, path: Path | str, *, fps: float | None = None) -> None:
        self.path = Path(path)
        import cv2

        with _opened(self.path) as capture:
            count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            claimed = float(capture.get(cv2.CAP_PROP_FPS))
            good, first = capture.read()
        if not good:
            raise InputError(
                "no frame of it can be decoded", where=str(self.path), mend="give another video"
            )
        self.height, self.width = int(first.shape[0]), int(first.shape[1])
        self.fps = claimed if fps is None else fps
        if not 0 < self.fps <= FPS_MAX:
            raise InputError(
                f"a rate of {self.fps:g} frames a second", where=str(self.path), mend="give fps"
            )
        self.count = count if count > 0 else None

    def __str__(self) -> str:
        count = "?" if self.count is None else str(self.count)
        size = f"{self.width}x{self.height}"
        return f"{self.path.name}: {count} frames, {size}, {self.fps:g} frames/s"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    def time_us(self, index: int) -> int:
        """Time of frame `index` (also a negative one) in microseconds."""
        return round(index * 1e6 / self.fps)

    def __iter__(self) -> Iterator[tuple[int, int, Frame]]:
        import cv2

        index = 0
        with _opened(self.path) as capture:
            while True:
                good, picture = capture.read()
                if not good:
                    return
                if picture.shape[:2] != (self.height, self.width):
                    raise InputError(
                        f"frame {index} has {picture.shape[1]}x{picture.shape[0]} pixels, the "
                        f"first has {self.width}x{self.height}",
                        where=str(self.path),
                        mend="re-encode it to one size",
                    )
                frame = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)
                yield index, self.time_us(index), frame
                index += 1


class _opened:
    """A capture that is released at the end; InputError if the file cannot be one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        import cv2

        if not self.path.is_file():
            raise InputError("no such file", where=str(self.path), mend="give a video file")
        if self.path.stat().st_size == 0:
            raise InputError("is empty", where=str(self.path), mend="give a video file")
        # A damaged video is told of in our own words; FFmpeg would write dozens of its own.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        self.capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        if not self.capture.isOpened():
            self.capture.release()
            raise InputError(
                "is not a video that OpenCV can read",
                where=str(self.path),
                mend="give MP4, AVI, MKV or the like",
            )
        return self.capture

    def __exit__(self, *_: object) -> None:
        self.capture.release()
