"""Slow, plain Python twins of the events room, written from the text of the model."""

from __future__ import annotations

import math
from fractions import Fraction

UNIT = 1 << 20


def log_level(linear: int, eps: float) -> int:
    """Log intensity in 2**-20 of a linear intensity in 1/65535."""
    return round(math.log(linear / 65535 + eps) * UNIT)


def linear_of(value: int) -> int:
    c = value / 255
    return round(65535 * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4))


def luminance_of(rgb: tuple[int, int, int]) -> int:
    shares = (13933, 46871, 4732)
    total = sum(share * linear_of(v) for share, v in zip(shares, rgb, strict=True))
    return math.floor(Fraction(total, 65536) + Fraction(1, 2))


def simulate_pixel(
    levels: list[int],
    times: list[int],
    *,
    on: int,
    off: int,
    refractory_us: int = 0,
    leak_per_s: int = 0,
) -> list[tuple[int, int]]:
    """Events ``(t, p)`` of one pixel: walk the line from frame to frame, crossing by crossing.

    `reference` is the level at the last event; leaking lowers it, in whole units up to each frame.
    """
    reference = Fraction(levels[0])
    events, last = [], None
    leaked = 0
    for k in range(1, len(levels)):
        t0, t1 = times[k - 1], times[k]
        now_leaked = leak_per_s * (t1 - times[0]) // 1_000_000
        begin = levels[k - 1] - reference
        end = levels[k] - reference + (now_leaked - leaked)
        crossed = 0
        while True:
            if end - crossed >= on:
                crossed += on
                polarity = 1
            elif crossed - end >= off:
                crossed -= off
                polarity = 0
            else:
                break
            share = Fraction(crossed - begin, end - begin)
            t = t0 + math.ceil(share * (t1 - t0))
            if last is None or t - last >= refractory_us:
                events.append((t, polarity))
                last = t
        reference = reference + crossed - (now_leaked - leaked)
        leaked = now_leaked
    return events


def encode_one(
    event: tuple[int, int, int, int], times: list[int], bins: int, start: int | None
) -> tuple[int, int, int, int] | None:
    """The cell (step, polarity, y, x) of an event (t, x, y, p), by trying every bin."""
    t, x, y, p = event
    for f, end in enumerate(times):
        begin = times[f - 1] if f else start
        if begin is None:
            continue
        for k in range(bins):
            low = begin + Fraction(k * (end - begin), bins)
            high = begin + Fraction((k + 1) * (end - begin), bins)
            if low < t <= high:
                return f * bins + k, p, y, x
    return None


def crop_one(
    x: int, y: int, box: tuple[Fraction, ...], rows: int, columns: int
) -> tuple[int, int] | None:
    """Where a pixel's centre falls in the grid laid over a box."""
    x0, y0, width, height = box
    column = math.floor((x + Fraction(1, 2) - x0) / width * columns)
    row = math.floor((y + Fraction(1, 2) - y0) / height * rows)
    return (column, row) if 0 <= column < columns and 0 <= row < rows else None
