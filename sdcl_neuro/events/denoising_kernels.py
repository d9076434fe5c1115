"""Compiled loops of `denoising`; `events` are of `array.EVENT_DTYPE`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.compiling import compiled

Events = NDArray[Any]
Times = NDArray[np.int64]


@compiled
def refractory(events: Events, period_us: int, kept_us: Times, keep: NDArray[np.bool_]) -> None:
    """Fill `keep`; `kept_us` ``[H, W]`` holds the time of each pixel's last kept event."""
    for i in range(len(events)):
        event = events[i]
        passes = event.t - kept_us[event.y, event.x] >= period_us
        keep[i] = passes
        if passes:
            kept_us[event.y, event.x] = event.t


@compiled
def background(events: Events, support_us: int, near_us: Times, keep: NDArray[np.bool_]) -> None:
    """Fill `keep`; `near_us` ``[H + 2, W + 2]`` holds the last event of each pixel's neighbours.

    Every event supports its eight neighbours, also one that is left out.
    """
    for i in range(len(events)):
        event = events[i]
        row, column = int(event.y) + 1, int(event.x) + 1
        keep[i] = event.t - near_us[row, column] <= support_us
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                if dy != 0 or dx != 0:
                    near_us[row + dy, column + dx] = event.t
