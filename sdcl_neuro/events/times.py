"""Frame times for encoding: from a file, or evenly spaced over a recording."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .array import Events
from .encoding import frame_times
from .read_table import load_npy

SECOND_US = 1_000_000
FPS_MAX = 1_000_000
MAX_FRAMES = 10_000_000


def read_frame_times(path: Path) -> NDArray[np.int64]:
    """Frame times ``[F]`` in us: a .npy array, or text with one whole number a line.

    Raises:
        InputError: no such file, something else than whole numbers, or times that do not ascend.
    """
    try:
        if not path.is_file():
            raise InputError("no such file", mend="give one time in microseconds per frame")
        if path.suffix.lower() == ".npy":
            with path.open("rb") as stream:
                return frame_times(load_npy(stream, path.stat().st_size))
        lines = path.read_bytes()[: MAX_FRAMES * 20].decode("ascii", "replace").split()
        try:
            return frame_times(np.array([int(line) for line in lines[:MAX_FRAMES]], np.int64))
        except (ValueError, OverflowError):
            raise InputError(
                "not a list of whole numbers", mend="give one time in microseconds per line"
            ) from None
    except InputError as error:
        raise InputError(error.what, where=str(path), mend=error.mend) from None


def even_frame_times(events: Events, fps: Fraction) -> tuple[int, NDArray[np.int64]]:
    """Start of the first interval and frame times that own every event, at a steady rate.

    Frame f is at ``start + round((f + 1) * 1e6 / fps)`` and start is 1 us before the first event:
    intervals are open on their left.

    Raises:
        InputError: no events to cover, a rate that is not positive, or too many frames.
    """
    if not 0 < fps <= FPS_MAX:
        raise InputError(f"a rate of {fps} frames a second", mend=f"give 0 to {FPS_MAX}")
    if not len(events):
        raise InputError("no events to lay frames over", mend="give frame times")
    start = int(events.array["t"][0]) - 1
    span = int(events.array["t"][-1]) - start
    count = -(-span * fps.numerator // (fps.denominator * SECOND_US))
    if count > MAX_FRAMES:
        raise InputError(f"{count:,} frames", mend="lower the rate, or check the unit of time")
    # Rounding may pull the last frame up to half a microsecond below its share: one more frame.
    times = [start + round((f + 1) * SECOND_US / fps) for f in range(count + 1)]
    if count and times[-2] >= start + span:
        times.pop()
    return start, frame_times(times)
