"""From a file's columns to `Events`: types, units, polarities, and repairs by explicit option."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import check_arguments, public

from .array import EVENT_DTYPE, SENSOR_MAX, Events, unchecked
from .columns import MAX_EVENTS, MENDS, Columns, Options, Size, check_lengths
from .units import integers, lost_microseconds, microseconds

if TYPE_CHECKING:
    from .denoising import Denoiser
    from .rectification import Rectification


class Checker:
    """Checks one part of a recording after another, and repairs what may be repaired.

    Args:
        options: what the caller says.

    Attributes:
        seen: events checked so far; errors count from the first of the recording.
    """

    def __init__(self, options: Options) -> None:
        self.options, self.seen = options, 0
        self._off: int | None = None
        self._last_us: int | None = None
        self._denoiser: Denoiser | None = None
        self._map: Rectification | None = None
        self._ready = False

    def check(self, columns: Columns) -> Events:
        """Return the part's events, in whole microseconds.

        Raises:
            InputError: see `read_events`; the index counts from the recording's first event.
        """
        options = self.options
        width, height = sensor_size(columns, options)
        self._prepare(width, height)
        check_lengths({name: len(getattr(columns, name)) for name in "txyp"})
        if self.seen + len(columns.t) > MAX_EVENTS and not self._last_us:
            raise InputError(
                f"{len(columns.t):,} events, at most {MAX_EVENTS:,} are read at once",
                hint="read it in parts (read_parts), or a span of it (--between)",
            )
        first = self.seen == 0
        mended = {"drop-tail": 1} if columns.tail else {}
        array = self._array(columns, width, height, mended)
        self._in_order(array)
        self.seen += len(columns.t)
        unit_us = columns.unit_us or self.options.time_unit_us or 1.0
        lost = lost_microseconds(np.asarray(columns.t), unit_us)
        taken = _taken(columns, options) if first else ()
        notes = (*columns.notes, *taken, lost) if lost else (*columns.notes, *taken)
        found = unchecked(array, width, height, columns.source, mended, notes=notes)
        if self._denoiser is not None:
            found = self._denoiser.clean(found)
        return found if self._map is None else self._map.apply(found)

    def _prepare(self, width: int, height: int) -> None:
        """Build what needs the sensor's size, once."""
        if self._ready:
            return
        if self.options.denoise is not None:
            from .denoising import Denoiser

            self._denoiser = Denoiser(self.options.denoise, (width, height))
        if self.options.rectify is not None:
            from .rectification import read_rectification

            self._map = read_rectification(self.options.rectify, (width, height))
        self._ready = True

    def _array(
        self, columns: Columns, width: int, height: int, mended: dict[str, int]
    ) -> NDArray[Any]:
        """Return the part as an array of `EVENT_DTYPE`: of the time span asked for, sorted if
        allowed.
        """
        options = self.options
        x, y = (integers(getattr(columns, axis), axis, self.seen) for axis in "xy")
        p = integers(columns.p, "p", self.seen)
        t = microseconds(columns.t, columns.unit_us, options.time_unit_us, self.seen)
        keep = np.ones(len(t), bool)
        if options.between_us is not None:
            keep = (t > options.between_us[0]) & (t <= options.between_us[1])
        outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
        self._drop(
            "drop-outside", outside, keep, mended,
            lambda i: f"event {self.seen + i} at (x, y) = ({x[i]}, {y[i]}) lies outside the sensor "
            f"of {width}x{height}",
        )  # fmt: skip
        off = self._off_value(columns, p)
        wrong = (p != off) & (p != 1)
        self._drop(
            "drop-polarity", wrong, keep, mended,
            lambda i: f"event {self.seen + i} has polarity {p[i]}, in a file whose OFF is {off}",
        )  # fmt: skip
        array = np.empty(int(np.count_nonzero(keep)), EVENT_DTYPE)
        array["t"], array["x"], array["y"] = t[keep], x[keep], y[keep]
        array["p"] = p[keep] == 1
        return _sorted(array, options, mended)

    def _off_value(self, columns: Columns, p: NDArray[Any]) -> int:
        """Return 0 or -1: what the format fixes, else what was seen first."""
        if columns.off is not None:
            return columns.off
        if self._off is None and len(p):
            negative = bool((p < 0).any())
            # A part of ON events alone leaves it open.
            self._off = -1 if negative else 0 if bool((p == 0).any()) else None
        return self._off or 0

    def _drop(
        self,
        name: str,
        wrong: NDArray[np.bool_],
        keep: NDArray[np.bool_],
        mended: dict[str, int],
        say: Any,
    ) -> None:
        """Take `wrong` out of `keep` and count it if that is allowed, else raise for the first."""
        wrong &= keep
        if not wrong.any():
            return
        if not self.options.allows(name):
            raise InputError(
                say(int(np.argmax(wrong))),
                hint=f"give mend=['{name}'] (--mend {name}) to {MENDS[name]}",
            )
        mended[name] = int(np.count_nonzero(wrong))
        keep &= ~wrong

    def _in_order(self, array: NDArray[Any]) -> None:
        """Raise InputError for the first event that comes before one of an earlier part."""
        if not len(array):
            return
        first = int(array["t"][0])
        if self._last_us is not None and first < self._last_us:
            raise InputError(
                f"event {self.seen} at {first} us comes after one at {self._last_us} us",
                hint="give mend=['sort'] (--mend sort) to sort by time",
            )
        late = np.flatnonzero(array["t"][1:] < array["t"][:-1])
        if len(late):
            i = int(late[0]) + 1
            raise InputError(
                f"event {self.seen + i} at {array['t'][i]} us comes after one at "
                f"{array['t'][i - 1]} us",
                hint="give mend=['sort'] (--mend sort) to sort by time, or check --columns",
            )
        self._last_us = int(array["t"][-1])


def _taken(columns: Columns, options: Options) -> tuple[str, ...]:
    """Return what neither the file nor the caller states and is taken for granted, in words."""
    if columns.unit_us is None and options.time_unit_us is None and len(columns.t):
        return ("times are taken as microseconds, which the file does not say (--time-unit)",)
    return ()


def build(columns: Columns, options: Options) -> Events:
    """Check a whole recording and return it as `Events`.

    Raises:
        InputError: see `read_events`.
    """
    return Checker(options).check(columns)


def sensor_size(columns: Columns, options: Options) -> Size:
    """Return width and height: the file's, else the caller's, else an error that asks."""
    stated, given = columns.size, options.sensor
    if stated and given and stated != given:
        raise InputError(
            f"the file says its sensor has {stated[0]}x{stated[1]} pixels, "
            f"not {given[0]}x{given[1]}",
            hint="leave --sensor out",
        )
    size = stated or given
    if size is None:
        usual = columns.usual
        example = f"{usual[0]}x{usual[1]} is usual here" if usual else "for example 640x480"
        raise InputError(
            "the file does not say how large its sensor is",
            hint=f"give sensor=(width, height), or --sensor WIDTHxHEIGHT ({example})",
        )
    if not all(0 < side <= SENSOR_MAX for side in size):
        raise InputError(
            f"a sensor of {size[0]}x{size[1]} pixels", hint=f"give 1 to {SENSOR_MAX} a side"
        )
    return size


def _sorted(array: NDArray[Any], options: Options, mended: dict[str, int]) -> NDArray[Any]:
    late = int(np.count_nonzero(array["t"][1:] < array["t"][:-1]))
    if not late or not options.allows("sort"):
        return array
    mended["sort"] = late
    ordered: NDArray[Any] = array[np.argsort(array["t"], kind="stable")]
    return ordered


def joined(parts: list[Columns]) -> Columns:
    """Return all parts of a recording as one."""
    if len(parts) == 1:
        return parts[0]
    t, x, y, p = (np.concatenate([getattr(part, name) for part in parts]) for name in "txyp")
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    tail = any(part.tail for part in parts)
    return replace(parts[-1], t=t, x=x, y=y, p=p, tail=tail, notes=notes)


@public
def events_from(
    fields: Mapping[str, NDArray[Any]],
    *,
    width: int,
    height: int,
    mend: Collection[str] = (),
    source: str = "",
) -> Events:
    """Build `Events` from your own arrays, checked and, where allowed, repaired.

    Args:
        fields: t (whole microseconds), x, y, p (0 and 1, or -1 and 1), one entry per event: a
            mapping, or a structured array.
        width, height: of the sensor.
        mend: names from `MENDS`; what they touched is counted in `Events.mended`.
        source: a name for where they come from.

    Raises:
        InputError: a field missing or of another type, or an event that breaks the contract.
    """
    check_arguments(events_from, {"width": width, "height": height, "mend": mend})
    names = getattr(getattr(fields, "dtype", None), "names", None) or fields
    missing = sorted(set("txyp") - set(names))
    if missing:
        raise InputError(f"no field {missing}", hint="give t, x, y and p by name")
    t, x, y, p = (np.asarray(fields[name]) for name in "txyp")
    columns = Columns(t, x, y, p, None, source, unit_us=None)
    return build(columns, Options(sensor=(width, height), mend=mend))
