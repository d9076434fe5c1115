"""Compiled inner loops of the simulator; integers only. The model is told in `simulator`.

An event is one uint64 key, ``offset << 33 | y << 17 | x << 1 | polarity``, where offset is its time
since the last frame (1 to 2**31 - 1 us): keys in order are events by time, then in raster order.
Most pixels cross no threshold between two frames. So a first loop, short enough for vector
registers, finds those that do, and only they are divided for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import int32, int64, uint8, uint64
from numpy.typing import NDArray

from sdcl_neuro.compiling import compiled

PIXEL_SHIFT = 1
ROW_SHIFT = 17
OFFSET_SHIFT = 33
SIDE_MASK = (1 << (ROW_SHIFT - PIXEL_SHIFT)) - 1
WORD = 8
DIGIT_BITS = 11
DIGITS = 3
"""So many digits of `DIGIT_BITS` hold any offset."""

Ints = NDArray[np.int32]
Keys = NDArray[np.uint64]


@compiled
def grey_levels(frame: NDArray[np.uint8], level_of: Ints, out: Ints) -> None:
    """Write the level of each pixel of a grey frame, flat; `level_of` has one entry per grey
    value.
    """
    for i in range(frame.size):
        out[i] = level_of[frame[i]]


@compiled
def colour_levels(
    frame: NDArray[np.uint8], weights: NDArray[np.int64], level_of: Ints, out: Ints
) -> None:
    """Write the level of each pixel of an RGB frame ``[N, 3]``.

    `weights` ``[3, 256]`` are the channels' shares of luminance in 2**-16 of `level_of`'s index.
    """
    for i in range(frame.shape[0]):
        luminance = weights[0, frame[i, 0]] + weights[1, frame[i, 1]] + weights[2, frame[i, 2]]
        out[i] = level_of[(luminance + 32768) >> 16]


@compiled
def rises(
    before: Ints,
    after: Ints,
    excess: Ints,
    threshold_on: Ints,
    threshold_off: Ints,
    drift: int,
    rise: Ints,
    crossed: NDArray[np.uint8],
) -> None:
    """Add each pixel's `rise` since the last frame to its `excess`, the level above its last event.

    `crossed` (one flag a pixel, and some to spare) says where that reached a threshold.
    """
    # Levels lie within 2**24 of zero, thresholds below 2**24, drift below 2**30: 32 bits suffice.
    gained = int32(drift)
    for i in range(before.size):
        risen = int32(after[i] - before[i] + gained)
        end = int32(excess[i] + risen)
        rise[i] = risen
        excess[i] = end
        crossed[i] = uint8(end >= threshold_on[i]) | uint8(-end >= threshold_off[i])


@compiled
def flagged(crossed: NDArray[np.uint8], words: Keys, pixels: Ints) -> int:
    """List the pixels whose flag is set, in order; return how many.

    `words` are the flags, eight at a time; where one is set, all eight are looked at without a
    branch, which would be guessed wrong most of the time.
    """
    count = uint64(0)
    for word in range(uint64(words.size)):
        if words[word] == 0:
            continue
        for i in range(word * uint64(WORD), word * uint64(WORD) + uint64(WORD)):
            pixels[count] = int32(i)
            count += uint64(crossed[i])
    return int(int64(count))


@compiled
def crossings(
    pixels: Ints,
    rise: Ints,
    excess: Ints,
    threshold_on: Ints,
    threshold_off: Ints,
    width: int,
    duration_us: int,
    start_us: int,
    refractory_us: int,
    last_us: NDArray[np.int64],
    first: int,
    keys: Keys,
    count: int,
) -> tuple[int, int]:
    """Return events of `pixels` (their indices, ascending) as keys, until `keys` is full.

    `excess` falls by what was crossed, a pixel as a whole or not at all. With a `refractory_us`
    above zero, a pixel is deaf for so long after `last_us`, the time of its last event, which is
    kept up to date.

    Args:
        first: where in `pixels` to begin.
        count: how many keys there are already.

    Returns:
        Where in `pixels` to go on (their number, if all are done) and how many keys there are.
    """
    y, row_end = int64(0), int64(width)
    for index in range(first, pixels.size):
        i = int64(pixels[index])
        while i >= row_end:
            y, row_end = y + 1, row_end + width
        # Selections rather than branches: ON and OFF take turns at random.
        above = excess[i] >= 0
        sign = int64(1) if above else int64(-1)
        on, off = threshold_on[i], threshold_off[i]
        step = uint64(on if above else off)
        end, risen = uint64(sign * excess[i]), uint64(sign * int64(rise[i]))
        number = uint64(1) if end < step + step else end // step
        if count + int64(number) > keys.size:
            return index, count
        place = uint64(y) << uint64(ROW_SHIFT) | uint64(above)
        place |= uint64(i - row_end + width) << uint64(PIXEL_SHIFT)
        # From where the line starts, below zero perhaps, up to the first threshold.
        share = step + risen - end
        for _ in range(number):
            # The straight line reaches this share at this offset, rounded up: 1 to duration.
            offset = (uint64(duration_us) * share + risen - uint64(1)) // risen
            share += step
            time_us = start_us + int64(offset)
            if refractory_us and time_us - last_us[i] < refractory_us:
                continue
            if refractory_us:
                last_us[i] = time_us
            keys[count] = offset << uint64(OFFSET_SHIFT) | place
            count += 1
        excess[i] = sign * int64(end - number * step)
    return pixels.size, count


@compiled
def outside_refractory(
    keys: Keys, width: int, start_us: int, refractory_us: int, last_us: NDArray[np.int64]
) -> NDArray[Any]:
    """Return which of the sorted keys come at least `refractory_us` after their pixel's last kept
    one.
    """
    keep = np.zeros(keys.size, np.bool_)
    for i in range(keys.size):
        time_us = start_us + int64(keys[i] >> uint64(OFFSET_SHIFT))
        y = int64(keys[i] >> uint64(ROW_SHIFT)) & SIDE_MASK
        pixel = y * width + (int64(keys[i] >> uint64(PIXEL_SHIFT)) & SIDE_MASK)
        if time_us - last_us[pixel] >= refractory_us:
            keep[i] = True
            last_us[pixel] = time_us
    return keep


@compiled
def order_by_offset(keys: Keys, spare: Keys, duration_us: int) -> bool:
    """Order keys by offset, leaving equal ones as they are; `spare` is as long as `keys`.

    A radix sort from the lowest digit up. Offsets are few: 10 ms take two digits of seven bits.

    Returns:
        Whether the result is in `spare`.
    """
    bits = 1
    while duration_us >> bits:
        bits += 1
    digits = (bits + DIGIT_BITS - 1) // DIGIT_BITS
    width = uint64((bits + digits - 1) // digits)
    mask = (uint64(1) << width) - uint64(1)
    starts = np.zeros((DIGITS, (1 << DIGIT_BITS) + 1), np.int32)
    for i in range(keys.size):
        rest = keys[i] >> uint64(OFFSET_SHIFT)
        for digit in range(digits):
            starts[digit, (rest & mask) + uint64(1)] += 1
            rest >>= width
    source, target = keys, spare
    for digit in range(digits):
        place = starts[digit]
        for value in range(int64(mask)):
            place[value + 1] += place[value]
        shift = uint64(OFFSET_SHIFT) + uint64(digit) * width
        for i in range(keys.size):
            value = source[i] >> shift & mask
            target[place[value]] = source[i]
            place[value] += 1
        source, target = target, source
    return digits % 2 == 1


@compiled
def unpack(keys: Keys, start_us: int, events: Any) -> None:
    """Write keys as records of `EVENT_DTYPE`."""
    for i in range(keys.size):
        key = keys[i]
        events[i].t = start_us + int64(key >> uint64(OFFSET_SHIFT))
        events[i].x = key >> uint64(PIXEL_SHIFT) & uint64(SIDE_MASK)
        events[i].y = key >> uint64(ROW_SHIFT) & uint64(SIDE_MASK)
        events[i].p = key & uint64(1)
