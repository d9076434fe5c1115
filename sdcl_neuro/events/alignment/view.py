"""Which events belong to a box of the frame: the box on the sensor, or each pixel on the frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..array import CROP_UNIT, Box, Events, unchecked
from ..columns import Size
from .calibration import Mapping

# Beyond this a mapped pixel is nowhere near a picture; keeps products within int64.
_FAR = 1 << 40
_OUTSIDE = -_FAR


class View(Protocol):
    """Cuts a box of the frame out of events of the whole sensor."""

    def crop(self, events: Events, box: Box, size: tuple[int, int]) -> Events:
        """Return events inside `box` (left, top, width, height in frame pixels), on ``size = (H,
        W)``.
        """


@dataclass(frozen=True)
class StretchedView:
    """An upright part of the sensor shows what the frame shows, stretched to its size.

    Attributes:
        sensor, picture: width and height of events and frames.
        part: left, top, width, height on the sensor; all of it if None. May reach over the border.
    """

    sensor: Size
    picture: Size
    part: Box | None = None

    def crop(self, events: Events, box: Box, size: tuple[int, int]) -> Events:
        """See `View`."""
        x, y, width, height = self.part or (0.0, 0.0, *map(float, self.sensor))
        across, down = width / self.picture[0], height / self.picture[1]
        left, top, wide, high = box
        return events.crop((x + left * across, y + top * down, wide * across, high * down), size)

    def part_of(self, events: Events) -> Events:
        """Return all events of the picture, at the sensor's resolution."""
        if self.part is None:
            return events
        return events.crop(self.part, (round(self.part[3]), round(self.part[2])))


@dataclass(frozen=True, eq=False)
class MappedView:
    """Each pixel of the sensor lies somewhere in the frame; an event goes where its centre does.

    Attributes:
        mapping: from event to frame pixels.
        sensor: width and height of the event sensor.
    """

    mapping: Mapping
    sensor: Size

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Place of each pixel's centre, ``[H * W, 2]`` in 1/1024 frame pixel, edges at 0."""
        width, height = self.sensor
        y, x = np.divmod(np.arange(width * height), width)
        centres = self.mapping.points(np.column_stack([x, y]).astype(np.float64))
        # Pixel centres at whole numbers become distances from the picture's edge.
        scaled = np.rint((centres + 0.5) * CROP_UNIT)
        inside = np.isfinite(scaled).all(1) & (np.abs(np.nan_to_num(scaled)) < _FAR).all(1)
        return np.where(inside[:, None], np.nan_to_num(scaled), _OUTSIDE).astype(np.int64)

    def crop(self, events: Events, box: Box, size: tuple[int, int]) -> Events:
        """See `View`."""
        # Checks box and size, and gives what an empty crop looks like.
        empty = events.slice(1, 0).crop(box, size)
        array = events.array
        place = self.places[array["y"].astype(np.int64) * self.sensor[0] + array["x"]]
        left, top, width, height = (round(float(value) * CROP_UNIT) for value in box)
        column = (place[:, 0] - left) * size[1] // width
        row = (place[:, 1] - top) * size[0] // height
        keep = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
        kept: NDArray[Any] = array[keep]
        kept["x"], kept["y"] = column[keep], row[keep]
        return unchecked(
            kept,
            empty.width,
            empty.height,
            events.source,
            events.mended,
            events.removed,
            events.notes,
        )
