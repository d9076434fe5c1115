"""Values as they are written on the command line of ``sdcl-neuro events``."""

from __future__ import annotations

import re
from fractions import Fraction

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.alignment.written_times import (
    NUMBER,
    UNITS_US,
    frame_rate,
    unit_microseconds,
)
from sdcl_neuro.events.array import Box
from sdcl_neuro.events.columns import Size


def pair(text: str | None, name: str) -> Size | None:
    """Return two whole numbers above zero, ``640x480``; None stays None."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})[x,](\d{1,5})", text.strip())
    if not found or not int(found[1]) or not int(found[2]):
        raise InputError(f"{text!r} is not a size", where=name, hint="give two numbers, as 640x480")
    return int(found[1]), int(found[2])


def box(text: str, *, name: str = "--box") -> Box:
    """Return four numbers, ``X,Y,W,H``."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{text!r} is not a box", where=name, hint="give X,Y,W,H") from None
    return x, y, width, height


def rate(text: str) -> Fraction:
    """Return frames a second, ``25`` or ``30000/1001``."""
    return frame_rate(text)


def time_unit(text: str | None) -> float | None:
    """Return microseconds of ``us``, ``100us``, ``ms`` or ``s``; None stays None."""
    return None if text is None else unit_microseconds(text)


def time_span(text: str | None) -> tuple[int, int] | None:
    """Return two times in microseconds, ``1.5s,2s`` or ``0,40000``; None stays None."""
    if text is None:
        return None
    found = [re.fullmatch(rf"(-?){NUMBER}\s*(ns|us|ms|s)?", one.strip()) for one in text.split(",")]
    if len(found) != 2 or not all(found):
        raise InputError(
            f"{text!r} is not a time span", where="--between", hint="give START,END, as 1.5s,2s"
        )
    times = [
        round(float(one[1] + one[2]) * UNITS_US[one[3] or "us"]) for one in found if one is not None
    ]
    return times[0], times[1]


def duration_us(text: str, name: str) -> int:
    """Return microseconds of ``20ms``, ``1.5s`` or ``500`` (microseconds), above zero.

    Raises:
        InputError: something else.
    """
    found = re.fullmatch(rf"{NUMBER}\s*(ns|us|ms|s)?", text.strip())
    us = round(float(found[1]) * UNITS_US[found[2] or "us"]) if found else 0
    if us < 1:
        raise InputError(f"{text!r} is not a duration", where=name, hint="give one as 20ms or 1s")
    return us
