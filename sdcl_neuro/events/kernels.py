"""Compiled inner loops; integers only. The model is told in `simulator` and `encoding`.

In the simulator an event is one uint64 key, ``offset << 33 | pixel << 1 | polarity``, where offset
is its time since the last frame (1 to 2**31 - 1 us) and pixel its raster index: sorting keys sorts
by time, then in raster order.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

PIXEL_SHIFT = 1
OFFSET_SHIFT = 33
PIXEL_MASK = (1 << (OFFSET_SHIFT - PIXEL_SHIFT)) - 1

Ints = NDArray[np.int32]
Keys = NDArray[np.uint64]


@numba.njit(cache=True, nogil=True)
def grey_levels(frame: NDArray[np.uint8], level_of: Ints, out: Ints) -> None:
    """Level of each pixel of a grey frame, flat; `level_of` has one entry per grey value."""
    for i in range(frame.size):
        out[i] = level_of[frame[i]]


@numba.njit(cache=True, nogil=True)
def colour_levels(
    frame: NDArray[np.uint8], weights: NDArray[np.int64], level_of: Ints, out: Ints
) -> None:
    """Level of each pixel of an RGB frame ``[N, 3]``.

    `weights` ``[3, 256]`` are the channels' shares of luminance in 2**-16 of `level_of`'s index.
    """
    for i in range(frame.shape[0]):
        luminance = weights[0, frame[i, 0]] + weights[1, frame[i, 1]] + weights[2, frame[i, 2]]
        out[i] = level_of[(luminance + 32768) >> 16]


@numba.njit(cache=True, nogil=True)
def crossings(
    before: Ints,
    after: Ints,
    excess: Ints,
    threshold_on: Ints,
    threshold_off: Ints,
    drift: int,
    duration_us: int,
    first: int,
    keys: Keys,
) -> tuple[int, int]:
    """Threshold crossings of the pixels from `first` on, until `keys` is full.

    `excess` (the level above each pixel's last event) is updated in place, a pixel as a whole or
    not at all.

    Returns:
        The pixel to go on with (their number, if all are done) and how many keys were written.
    """
    count = 0
    for i in range(first, before.size):
        rise = np.int64(after[i]) - np.int64(before[i]) + drift
        if rise == 0:
            continue
        start = np.int64(excess[i])
        end = start + rise
        if end >= threshold_on[i]:
            step, sign, polarity = np.int64(threshold_on[i]), np.int64(1), np.uint64(1)
        elif -end >= threshold_off[i]:
            step, sign, polarity = np.int64(threshold_off[i]), np.int64(-1), np.uint64(0)
        else:
            excess[i] = end
            continue
        start, end, rise = sign * start, sign * end, sign * rise
        number = end // step
        if count + number > keys.size:
            return i, count
        place = np.uint64(i) << np.uint64(PIXEL_SHIFT) | polarity
        for k in range(1, number + 1):
            # The straight line reaches k steps at this offset, rounded up: 1 to duration_us.
            offset = (duration_us * (k * step - start) + rise - 1) // rise
            keys[count] = np.uint64(offset) << np.uint64(OFFSET_SHIFT) | place
            count += 1
        excess[i] = sign * (end - number * step)
    return before.size, count


@numba.njit(cache=True, nogil=True)
def outside_refractory(
    keys: Keys, start_us: int, refractory_us: int, last_us: NDArray[np.int64]
) -> NDArray[Any]:
    """Which of the sorted keys come at least `refractory_us` after their pixel's last kept one."""
    keep = np.zeros(keys.size, np.bool_)
    for i in range(keys.size):
        time_us = start_us + np.int64(keys[i] >> np.uint64(OFFSET_SHIFT))
        pixel = np.int64(keys[i] >> np.uint64(PIXEL_SHIFT)) & PIXEL_MASK
        if time_us - last_us[pixel] >= refractory_us:
            keep[i] = True
            last_us[pixel] = time_us
    return keep


@numba.njit(cache=True, nogil=True)
def es_dvs_rest(body: NDArray[np.uint8]) -> int:
    """Bytes missing at the end of an Event Stream's DVS events (format of Marcireau, version 2).

    An event has five bytes; a first byte of 0xfe or more is a step of time on its own.
    """
    place = 0
    while place < body.size:
        place += 1 if body[place] >= 0xFE else 5
    return place - body.size
