"""From a file's columns to `Events`: types, units, polarities, and mending by explicit option."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from .array import EVENT_DTYPE, SENSOR_MAX, Events
from .units import integers, microseconds

# What may be mended, and what is done then.
MENDS: dict[str, str] = {
    "drop-tail": "leave out the incomplete last record of a truncated file",
    "drop-outside": "leave out events outside the sensor",
    "drop-polarity": "leave out events whose polarity is neither OFF nor ON",
    "sort": "sort events by time, keeping the file's order within a microsecond",
}
# 3.5 GB of events: above that, a file is refused before its events are kept.
MAX_EVENTS = 1 << 28

Size = tuple[int, int]


@dataclass(frozen=True)
class Columns:
    """What a reader found, before it is checked.

    Attributes:
        t, x, y, p: numbers of any type, one entry per event; t in the file's unit.
        size: width and height, if the file states them.
        source: the format's name.
        unit_us: microseconds per unit of t, if the format fixes it.
        order: the order of t, x, y, p in the file, if the file does not name its columns.
        usual: a size that is usual for the format or camera; used in advice only.
        tail: whether an incomplete last record was left out.
    """

    t: NDArray[Any]
    x: NDArray[Any]
    y: NDArray[Any]
    p: NDArray[Any]
    size: Size | None
    source: str
    unit_us: float | None = 1.0
    order: str = ""
    usual: Size | None = None
    tail: bool = False


@dataclass(frozen=True)
class Options:
    """What a caller may say about a file: see `read_events`."""

    sensor: Size | None = None
    mend: Collection[str] = field(default_factory=tuple)
    order: str | None = None
    time_unit_us: float | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.mend) - set(MENDS))
        if unknown:
            raise InputError(f"unknown mend {unknown}", mend=f"choose from {sorted(MENDS)}")
        if self.order is not None and sorted(self.order) != sorted("txyp"):
            raise InputError(
                f"columns {self.order!r}", mend="give each of t, x, y and p once, such as 'xytp'"
            )
        unit = self.time_unit_us
        if unit is not None and not 1e-6 <= unit <= 1e9:  # also refuses NaN
            raise InputError(f"a time unit of {unit} us", mend="give one from 1e-6 to 1e9")


def build(columns: Columns, options: Options) -> Events:
    """Check what a reader found, mend what may be mended, and return it as `Events`.

    Raises:
        InputError: see `read_events`.
    """
    width, height = sensor_size(columns, options)
    lengths = {name: len(getattr(columns, name)) for name in "txyp"}
    if len(set(lengths.values())) > 1:
        raise InputError(f"fields of different lengths {lengths}", mend="check the file")
    if len(columns.t) > MAX_EVENTS:
        raise InputError(
            f"{len(columns.t):,} events, at most {MAX_EVENTS:,} are read", mend="cut the file"
        )
    x, y = (integers(getattr(columns, axis), axis) for axis in "xy")
    p = integers(columns.p, "p")
    t = microseconds(columns.t, columns.unit_us, options.time_unit_us)
    mended = {"drop-tail": 1} if columns.tail else {}
    keep = np.ones(len(t), bool)
    outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    _drop(
        "drop-outside", outside, keep, options, mended,
        lambda i: f"event {i} at (x, y) = ({x[i]}, {y[i]}) lies outside the sensor of "
        f"{width}x{height}",
    )  # fmt: skip
    off = -1 if len(p) and bool((p < 0).any()) else 0
    wrong = (p != off) & (p != 1)
    _drop(
        "drop-polarity", wrong, keep, options, mended,
        lambda i: f"event {i} has polarity {p[i]}, in a file whose OFF is {off}",
    )  # fmt: skip
    array = np.empty(int(np.count_nonzero(keep)), EVENT_DTYPE)
    array["t"], array["x"], array["y"] = t[keep], x[keep], y[keep]
    array["p"] = p[keep] == 1
    return Events(_sorted(array, options, mended), width, height, columns.source, mended)


def sensor_size(columns: Columns, options: Options) -> Size:
    """Width and height: the file's, else the caller's, else an error that asks."""
    stated, given = columns.size, options.sensor
    if stated and given and stated != given:
        raise InputError(
            f"the file says its sensor has {stated[0]}x{stated[1]} pixels, "
            f"not {given[0]}x{given[1]}",
            mend="leave the sensor size out",
        )
    size = stated or given
    if size is None:
        usual = columns.usual
        example = f"{usual[0]}x{usual[1]} is usual here" if usual else "for example 640x480"
        raise InputError(
            "the file does not say how large its sensor is",
            mend=f"give sensor=(width, height), or --sensor WIDTHxHEIGHT ({example})",
        )
    if not all(0 < side <= SENSOR_MAX for side in size):
        raise InputError(
            f"a sensor of {size[0]}x{size[1]} pixels", mend=f"give 1 to {SENSOR_MAX} a side"
        )
    return size


def _drop(
    name: str,
    wrong: NDArray[np.bool_],
    keep: NDArray[np.bool_],
    options: Options,
    mended: dict[str, int],
    say: Any,
) -> None:
    """Take `wrong` out of `keep` and count it if that may be mended, else raise for the first."""
    wrong &= keep
    if not wrong.any():
        return
    if name not in options.mend:
        raise InputError(say(int(np.argmax(wrong))), mend=f"mend with '{name}' to {MENDS[name]}")
    mended[name] = int(np.count_nonzero(wrong))
    keep &= ~wrong


def _sorted(array: NDArray[Any], options: Options, mended: dict[str, int]) -> NDArray[Any]:
    late = int(np.count_nonzero(array["t"][1:] < array["t"][:-1]))
    if not late or "sort" not in options.mend:
        return array  # `Events` itself names the first event out of order
    mended["sort"] = late
    ordered: NDArray[Any] = array[np.argsort(array["t"], kind="stable")]
    return ordered


def events_from(
    fields: Mapping[str, NDArray[Any]],
    *,
    width: int,
    height: int,
    mend: Collection[str] = (),
    source: str = "",
) -> Events:
    """`Events` from your own arrays, checked and, where allowed, mended.

    Args:
        fields: t (whole microseconds), x, y, p (0 and 1, or -1 and 1), one entry per event: a
            mapping, or a structured array.
        width, height: of the sensor.
        mend: names from `MENDS`; what they touched is counted in `Events.mended`.
        source: a name for where they come from.

    Raises:
        InputError: a field missing or of another type, or an event that breaks the contract.
    """
    names = getattr(getattr(fields, "dtype", None), "names", None) or fields
    missing = sorted(set("txyp") - set(names))
    if missing:
        raise InputError(f"no field {missing}", mend="give t, x, y and p by name")
    t, x, y, p = (np.asarray(fields[name]) for name in "txyp")
    columns = Columns(t, x, y, p, None, source, unit_us=None)
    return build(columns, Options(sensor=(width, height), mend=mend))
