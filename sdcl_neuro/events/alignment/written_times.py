"""Times and units as people write them: ISO 8601, ``100us``, ``30000/1001``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from sdcl_neuro.errors import InputError

UNITS_US = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}
RATE_MAX = 1_000_000
NUMBER = r"(\d+(?:\.\d+)?(?:e-?\d+)?)"


def unix_microseconds(text: str, *, name: str = "--start") -> int:
    """Return microseconds since 1970 (UTC) of a time in ISO 8601; UTC where no zone is given."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{text!r} is not a time", where=name, hint="write it as 2026-11-22T10:30:00+01:00"
        ) from None
    zoned = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def unit_microseconds(text: str, *, name: str = "--time-unit") -> float:
    """Return microseconds of ``ns``, ``us``, ``100us``, ``ms`` or ``s``."""
    found = re.fullmatch(rf"{NUMBER}?\s*(ns|us|ms|s)", text.strip())
    if not found:
        raise InputError(
            f"{text!r} is not a unit of time", where=name, hint="give it as ns, us, 100us, ms or s"
        )
    return float(found[1] or 1) * UNITS_US[found[2]]


def frame_rate(text: str, *, name: str = "--fps") -> Fraction:
    """Return frames a second, ``25`` or ``30000/1001``."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= RATE_MAX or rate.denominator > RATE_MAX:
        raise InputError(
            f"{text!r} is not a frame rate", where=name, hint="give it as 25 or 30000/1001"
        )
    return rate
