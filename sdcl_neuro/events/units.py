"""Columns of numbers as whole numbers, and times as whole microseconds, or an error."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

TIME_LIMIT_US = 1 << 62
# In the year 5138, counted from 1970; in nanoseconds it was in 1973.
LATEST_US = 10**17
TELL_UNIT = "give time_unit_us, or --time-unit (for example us, 100us, ms, s, ns)"


def integers(values: NDArray[Any], name: str, first: int = 0) -> NDArray[Any]:
    """Return the values as integers; floats only if whole. `first` counts the events before
    them.
    """
    if values.ndim != 1 or values.dtype.kind not in "buif":
        raise InputError(
            f"field {name} is {values.dtype} of shape {values.shape}",
            hint="give one whole number per event",
        )
    if values.dtype.kind == "f":
        odd = ~(np.isfinite(values) & (values == np.rint(values)) & (np.abs(values) < 1 << 53))
        if odd.any():
            index = int(np.argmax(odd))
            raise InputError(
                f"event {first + index} has {name} = {values[index]}",
                hint=f"{name} must be a whole number; check the order of the fields (--columns)",
            )
        return values.astype(np.int64)
    if values.dtype == np.uint64 and len(values) and int(values.max()) > np.iinfo(np.int64).max:
        index = int(np.argmax(values > np.uint64(np.iinfo(np.int64).max)))
        raise InputError(
            f"event {first + index} has {name} = {values[index]}",
            hint="check the type of the field",
        )
    # Unsigned numbers stay as small as they are; comparing them with -1 is exact.
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def microseconds(
    values: NDArray[Any], fixed_us: float | None, told_us: float | None, first: int = 0
) -> NDArray[np.int64]:
    """Return times in whole microseconds; whole numbers are scaled exactly and rounded to nearest.

    Args:
        values: in the file's unit.
        fixed_us: microseconds per unit, if the format fixes it.
        told_us: the same, as the caller says; conflicts with `fixed_us` unless equal.
        first: events before these, for errors.
    """
    if fixed_us is not None and told_us is not None and fixed_us != told_us:
        raise InputError(
            f"this format's time unit is {fixed_us:g} us, not {told_us:g} us",
            hint="leave the time unit (--time-unit) out",
        )
    unit = told_us if fixed_us is None else fixed_us
    if unit is None and values.dtype.kind == "f" and values.ndim == 1:
        broken = np.isfinite(values) & (values != np.rint(values))
        if broken.any():
            index = int(np.argmax(broken))
            raise InputError(
                f"event {first + index} has t = {values[index]!s}, not a whole number of "
                "microseconds",
                hint=TELL_UNIT,
            )
    if unit is None:
        _check_unstated(values, first)
    if unit is None or (unit == 1.0 and values.dtype.kind != "f"):
        exact = integers(values, "t", first)
        _check_range(np.asarray(exact), first)
        return exact.astype(np.int64)
    if values.ndim != 1 or values.dtype.kind not in "uif":
        raise InputError(f"field t is {values.dtype}", hint="give one number per event")
    if values.dtype.kind != "f":
        return _scaled(integers(values, "t", first).astype(np.int64), unit, first)
    scaled = values.astype(np.float64) * unit
    _check_range(scaled, first)
    return np.rint(scaled).astype(np.int64)


def _check_unstated(values: NDArray[Any], first: int) -> None:
    """Refuse times without a stated unit that no clock counts in microseconds."""
    if values.ndim != 1 or values.dtype.kind not in "uif" or not len(values):
        return
    late = values >= LATEST_US
    if late.any():
        index = int(np.argmax(late))
        raise InputError(
            f"event {first + index} has t = {values[index]}, in microseconds later than the year "
            "5000: it looks like nanoseconds since 1970",
            hint="say the unit with time_unit_us, or --time-unit (ns)",
        )


def _scaled(values: NDArray[np.int64], unit_us: float, first: int) -> NDArray[np.int64]:
    """Scale whole numbers without floats: nanoseconds of today have 61 bits."""
    ratio = Fraction(unit_us).limit_denominator(1_000_000)
    _check_range(values.astype(np.float64) * unit_us, first)
    over, under = ratio.numerator, ratio.denominator
    whole, rest = values // under, values % under
    return whole * over + (2 * rest * over + under) // (2 * under)


def _check_range(times: NDArray[Any], first: int = 0) -> None:
    wild = ~((times > -TIME_LIMIT_US) & (times < TIME_LIMIT_US))  # also catches NaN
    if wild.any():
        index = int(np.argmax(wild))
        raise InputError(
            f"event {first + index} has t = {times[index]} us, beyond 2**62",
            hint="check the time unit (--time-unit)",
        )


def lost_microseconds(values: NDArray[Any], unit_us: float) -> str:
    """Return what times stored as float32 have lost, in words; empty if nothing above a
    microsecond.

    Also of wider floats that hold nothing but float32 values: they were float32 once.
    """
    if values.dtype.kind != "f" or not len(values):
        return ""
    largest = float(np.max(np.abs(values[np.isfinite(values)]), initial=0.0))
    step_us = float(np.spacing(np.float32(largest))) * unit_us
    if step_us <= 1.0:
        return ""
    if values.dtype.itemsize > 4:
        inside = np.abs(values) < np.finfo(np.float32).max
        if not inside.all() or not np.array_equal(values.astype(np.float32), values):
            return ""
        # Times on a coarse grid of their own are float32 values by chance.
        steps = np.diff(values[-max(2, len(values) // 4) :])
        smallest = float(np.min(steps[steps > 0], initial=np.inf)) * unit_us
        if smallest > step_us:
            return ""
    elif values.dtype.itemsize < 4:
        step_us = float(np.spacing(values.dtype.type(largest))) * unit_us
    return (
        f"times were stored as float{8 * min(4, values.dtype.itemsize)}: near the end they are "
        f"known to {step_us:.3g} us only"
    )
