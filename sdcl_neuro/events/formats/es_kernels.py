"""Compiled decoder of Event Stream bodies (Marcireau's format, version 2), DVS and ATIS.

DVS: five bytes an event: steps of time in the upper seven bits of the first and the polarity in its
lowest, then x and y. 0xff adds 127 us on its own, 0xfe is skipped.
ATIS: five bytes an event: steps of time in the upper six bits, then polarity, then whether it is a
threshold crossing (an exposure measurement, not a change of light). 0xfc to 0xff add 63 us for
each of their two low bits' count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.compiling import compiled

EVENT_BYTES = 5

Column = NDArray[Any]


@compiled
def decode(
    body: NDArray[np.uint8],
    atis: bool,
    time_us: int,
    t: NDArray[np.int64],
    x: Column,
    y: Column,
    p: Column,
) -> tuple[int, int, int, int]:
    """Decode whole events; return their number, bytes used, the time, and crossings left out."""
    place = count = crossings = 0
    while place < body.size:
        first = int(body[place])
        if atis and first >= 0xFC:
            time_us += (first & 3) * 63
            place += 1
            continue
        if not atis and first >= 0xFE:
            time_us += 127 if first == 0xFF else 0
            place += 1
            continue
        if place + EVENT_BYTES > body.size:
            break
        time_us += first >> 2 if atis else first >> 1
        crossing = atis and first & 1
        if crossing:
            crossings += 1
        else:
            t[count] = time_us
            x[count] = int(body[place + 1]) | int(body[place + 2]) << 8
            y[count] = int(body[place + 3]) | int(body[place + 4]) << 8
            p[count] = (first >> 1) & 1 if atis else first & 1
            count += 1
        place += EVENT_BYTES
    return count, place, time_us, crossings
