"""Columns of numbers as whole numbers, and times as whole microseconds, or an error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

TIME_LIMIT_US = 1 << 62


def integers(values: NDArray[Any], name: str) -> NDArray[Any]:
    """The values as signed integers; floats only if they are whole."""
    if values.ndim != 1 or values.dtype.kind not in "buif":
        raise InputError(
            f"field {name} is {values.dtype} of shape {values.shape}",
            mend="give one whole number per event",
        )
    if values.dtype.kind == "f":
        odd = ~(np.isfinite(values) & (values == np.rint(values)) & (np.abs(values) < 1 << 53))
        if odd.any():
            index = int(np.argmax(odd))
            raise InputError(
                f"event {index} has {name} = {values[index]}",
                mend=f"{name} must be a whole number; check the order of the fields",
            )
        return values.astype(np.int64)
    if values.dtype == np.uint64 and len(values) and int(values.max()) > np.iinfo(np.int64).max:
        index = int(np.argmax(values > np.uint64(np.iinfo(np.int64).max)))
        raise InputError(
            f"event {index} has {name} = {values[index]}", mend="check the type of the field"
        )
    # Unsigned numbers stay as small as they are; comparing them with -1 is exact.
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def microseconds(
    values: NDArray[Any], fixed_us: float | None, told_us: float | None
) -> NDArray[np.int64]:
    """Times in whole microseconds.

    Args:
        values: in the file's unit.
        fixed_us: microseconds per unit, if the format fixes it.
        told_us: the same, as the caller says; conflicts with `fixed_us` unless equal.
    """
    if fixed_us is not None and told_us is not None and fixed_us != told_us:
        raise InputError(
            f"this format's time unit is {fixed_us:g} us, not {told_us:g} us",
            mend="leave the time unit out",
        )
    unit = told_us if fixed_us is None else fixed_us
    if unit is None and values.dtype.kind == "f" and values.ndim == 1:
        broken = np.isfinite(values) & (values != np.rint(values))
        if broken.any():
            index = int(np.argmax(broken))
            raise InputError(
                f"event {index} has t = {values[index]!s}, no whole number of microseconds",
                mend="give time_unit_us, or --time-unit (for example 1 us, 100 us, 1 s)",
            )
    if unit is None or (unit == 1.0 and values.dtype.kind != "f"):
        exact = integers(values, "t")
        _check_range(np.asarray(exact))
        return exact.astype(np.int64)
    if values.ndim != 1 or values.dtype.kind not in "uif":
        raise InputError(f"field t is {values.dtype}", mend="give one number per event")
    scaled = values.astype(np.float64) * unit
    _check_range(scaled)
    return np.rint(scaled).astype(np.int64)


def _check_range(times: NDArray[Any]) -> None:
    wild = ~((times > -TIME_LIMIT_US) & (times < TIME_LIMIT_US))  # also catches NaN
    if wild.any():
        index = int(np.argmax(wild))
        raise InputError(
            f"event {index} has t = {times[index]} us, beyond 2**62", mend="check the time unit"
        )
