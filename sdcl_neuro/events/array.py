"""Events of a camera: a time-ordered array with the size of the sensor it came from."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.network.arguments import public, public_class

# Fields are addressed by name everywhere; p is 0 for OFF (darker), 1 for ON.
EVENT_DTYPE = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])

SENSOR_MAX = 1 << 16
# Crop boxes are rounded to this fraction of a pixel, so that the rest is integer arithmetic.
CROP_UNIT = 1024

Box = tuple[float, float, float, float]


@public_class
@dataclass(frozen=True, eq=False)
class Events:
    """Events in order of time; invalid ones cannot be built (see `checks` for mending).

    Attributes:
        array: structured array ``[N]`` of `EVENT_DTYPE`, t in microseconds; made read-only.
        width, height: of the sensor in pixels; every x < width, every y < height.
        source: which format they were read from, for example ``evt3``; empty if made here.
        mended: what a reader was allowed to mend, and how many events that touched.
        removed: filters that were asked for, and how many events each took out.
        notes: what a reader assumed, or could not know, in words.

    Raises:
        InputError: an event outside the sensor, out of time order or without a polarity, with
            the index and value of the first.
    """

    array: NDArray[Any]
    width: int
    height: int
    source: str = ""
    mended: Mapping[str, int] = field(default_factory=dict)
    removed: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (0 < self.width <= SENSOR_MAX and 0 < self.height <= SENSOR_MAX):
            raise InputError(
                f"a sensor of {self.width}x{self.height} pixels",
                hint=f"give width and height between 1 and {SENSOR_MAX}",
            )
        if self.array.dtype != EVENT_DTYPE or self.array.ndim != 1:
            raise InputError(
                f"expected an event array of {EVENT_DTYPE.descr}, got {self.array.dtype} with "
                f"{number_of(self.array.ndim, 'dimension')}",
                hint="build it with sdcl_neuro.events.events_from",
            )
        first_fault(self.array, self.width, self.height)
        view = self.array.view()
        view.flags.writeable = False
        object.__setattr__(self, "array", view)

    def __len__(self) -> int:
        return len(self.array)

    def __eq__(self, other: object) -> bool:
        """Return the same events on the same sensor, whatever file they came from."""
        if not isinstance(other, Events):
            return NotImplemented
        size = (self.width, self.height) == (other.width, other.height)
        return size and np.array_equal(self.array, other.array)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        size = f"{self.width}x{self.height}"
        text = f"0 events, {size}"
        if len(self):
            on = int(np.count_nonzero(self.array["p"]))
            start, end = int(self.array["t"][0]), int(self.array["t"][-1])
            text = (
                f"{number_of(len(self), 'event')}, {size}, {(end - start) / 1e6:.6f} s "
                f"(t {start} to {end} us), {on:,} ON, {len(self) - on:,} OFF"
            )
        for label, counts in (("mended", self.mended), ("removed", self.removed)):
            if counts:
                listed = ", ".join(f"{name} {count:,}" for name, count in counts.items())
                text = f"{text}; {label}: {listed}"
        return "; ".join([text, *self.notes])

    def slice(self, after_us: int, until_us: int) -> Events:
        """Return events with ``after_us < t <= until_us``: what a frame at `until_us` owns."""
        # NumPy's search would first copy the column, which is not contiguous.
        t = self.array["t"]
        low, high = bisect_right(t, after_us), bisect_right(t, until_us)
        return self._with(self.array[low:high], self.width, self.height)

    def crop(self, box: Box, size: tuple[int, int]) -> Events:
        """Return events inside a box, mapped to a grid of ``size = (H, W)`` pixels.

        A pixel counts where its centre lies: x maps to ``floor((x + 1/2 - x0) * W / w)``, which
        is how OpenCV resizes the frame beside it. Events outside the box are dropped.

        Args:
            box: x, y, width, height in sensor pixels, rounded to 1/1024 pixel; may reach over
                the sensor's border.
            size: rows and columns of the result.

        Raises:
            InputError: a box that is not finite or has no area, or a size below one pixel.
        """
        from . import cropping

        if not (min(size) >= 1 and max(size) <= SENSOR_MAX):
            raise InputError(
                f"a crop to {size} pixels", hint=f"give (rows, columns) from 1 to {SENSOR_MAX}"
            )
        if len(box) != 4 or not np.all(np.isfinite(box)) or np.max(np.abs(box)) > 1 << 24:
            raise InputError(f"box {box} is not a box", hint="give x, y, width, height in pixels")
        x0, y0, w, h = (round(float(value) * CROP_UNIT) for value in box)
        if w < 1 or h < 1:
            raise InputError(f"box {box} has no area", hint="give a width and height above zero")
        columns = _cells_along(self.width, x0, w, size[1])
        rows = _cells_along(self.height, y0, h, size[0])
        array = np.empty(cropping.inside(self.array, columns, rows), EVENT_DTYPE)
        cropping.crop(self.array, columns, rows, array)
        return self._with(array, size[1], size[0])

    def with_array(self, array: NDArray[Any]) -> Events:
        """Return the same recording with another array, which must be right by construction."""
        return self._with(array, self.width, self.height)

    def _with(self, array: NDArray[Any], width: int, height: int) -> Events:
        return unchecked(array, width, height, self.source, self.mended, self.removed, self.notes)


def unchecked(
    array: NDArray[Any],
    width: int,
    height: int,
    source: str = "",
    mended: Mapping[str, int] | None = None,
    removed: Mapping[str, int] | None = None,
    notes: tuple[str, ...] = (),
) -> Events:
    """Return `Events` of an array that is right by construction: looking at each again takes its
    time.
    """
    events = object.__new__(Events)
    view = array.view()
    view.flags.writeable = False
    values = (view, width, height, source, dict(mended or {}), dict(removed or {}), notes)
    for item, value in zip(fields(Events), values, strict=True):
        object.__setattr__(events, item.name, value)
    return events


def _cells_along(pixels: int, start: int, extent: int, cells: int) -> NDArray[np.int32]:
    """Return where each pixel of an axis falls in a box on it, cut into cells; -1 outside the
    box.
    """
    centre = np.arange(pixels, dtype=np.int64) * CROP_UNIT + CROP_UNIT // 2
    # Floor division keeps what lies left of the box negative.
    cell = (centre - start) * cells // extent
    return np.where((cell >= 0) & (cell < cells), cell, -1).astype(np.int32)


def first_fault(array: NDArray[Any], width: int, height: int) -> None:
    """Raise InputError for the first event that breaks the contract, if one does."""
    for axis, limit in (("x", width), ("y", height)):
        if len(array) and int(array[axis].max()) >= limit:
            index = int(np.argmax(array[axis] >= limit))
            raise InputError(
                f"event {index} has {axis} = {int(array[axis][index])}, outside the sensor of "
                f"{width}x{height}",
                hint="give the right sensor size (--sensor), or mend=['drop-outside'] (--mend)",
            )
    if len(array) and int(array["p"].max()) > 1:
        index = int(np.argmax(array["p"] > 1))
        raise InputError(
            f"event {index} has polarity {int(array['p'][index])}, not 0 or 1",
            hint="check --columns, or give mend=['drop-polarity'] (--mend drop-polarity)",
        )
    late = array["t"][1:] < array["t"][:-1]
    if late.any():
        index = int(np.argmax(late)) + 1
        raise InputError(
            f"event {index} at {int(array['t'][index])} us comes after one at "
            f"{int(array['t'][index - 1])} us",
            hint="give mend=['sort'] (--mend sort), or check the order of the fields (--columns)",
        )


@public
def concatenate(parts: Sequence[Events]) -> Events:
    """Join events of one sensor size that follow each other in time.

    Raises:
        InputError: no parts, different sizes, or parts that overlap in time.
    """
    if not parts:
        raise InputError("nothing to concatenate", hint="give at least one part")
    sizes = {(part.width, part.height) for part in parts}
    if len(sizes) > 1:
        raise InputError(f"parts of different sizes {sorted(sizes)}", hint="crop them to one size")
    ends = [part.array for part in parts if len(part)]
    for before, after in itertools.pairwise(ends):
        if after["t"][0] < before["t"][-1]:
            raise InputError(
                f"a part that begins at {after['t'][0]} us comes after one that ends at "
                f"{before['t'][-1]} us",
                hint="give the parts in order of time",
            )
    # As bytes: NumPy copies records field by field.
    joined = np.concatenate([_bytes(part.array) for part in parts]).view(EVENT_DTYPE)
    return parts[0]._with(joined, *sizes.pop())


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).view(np.uint8)


def with_sums(parts: Sequence[Events]) -> Events:
    """Join the parts of one recording: their counts are added up, their notes kept once each."""
    whole = concatenate(parts)
    mended: dict[str, int] = {}
    removed: dict[str, int] = {}
    for part in parts:
        for sums, counts in ((mended, part.mended), (removed, part.removed)):
            for name, count in counts.items():
                sums[name] = sums.get(name, 0) + count
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return unchecked(whole.array, whole.width, whole.height, whole.source, mended, removed, notes)
