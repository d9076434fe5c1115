"""`Alignment`: the clocks and views of a recording, as a user or `events align` states them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class

from ..array import Box
from .calibration import Mapping

Clock = Literal["frame", "first", "unix"]
Stamp = Literal["start", "middle", "end"]
CLOCKS: tuple[str, ...] = get_args(Clock)
STAMPS: tuple[str, ...] = get_args(Stamp)
OFFSET_LIMIT_US = 1 << 60
EXPOSURE_LIMIT_US = 60_000_000


@public_class
@dataclass(frozen=True)
class Alignment:
    """How events and frames lie to each other in time and view.

    An event at t on its own clock happened at ``t + offset_us`` on the frames' clock, which
    begins at 0 with the first frame unless a file of frame times says otherwise.

    Attributes:
        event_clock: what event times count from. ``frame``: the frames' clock; ``first``: the
            first event is at the first frame; ``unix``: microseconds since 1970, where the frames'
            times are that, too, or `start_us` says when the first one was taken.
        offset_us: added to the events' times after that.
        frame_times: a file with one time for each frame; None takes the video's own.
        frame_time_unit_us: microseconds per unit in that file.
        fps: frames a second, for frames that have no times; then frame f is at f / fps.
        start_us: of the first frame, in microseconds since 1970.
        stamp: what of the exposure a frame's time is; None takes the middle, and says so.
        exposure_us: its length, needed for ``start`` and ``end``.
        mapping: from event pixels to frame pixels; None where both show the same view.
        crop: left, top, width, height of the part of the sensor that shows what the frame shows.
        assume_same_view: events and frames of different sizes show the same, stretched.

    Raises:
        InputError: a value outside its range, or values that exclude each other.
    """

    event_clock: Clock = "frame"
    offset_us: int = 0
    frame_times: Path | None = None
    frame_time_unit_us: float | None = None
    fps: Fraction | int | None = None
    start_us: int | None = None
    stamp: Stamp | None = None
    exposure_us: int | None = None
    mapping: Mapping | None = None
    crop: Box | None = None
    assume_same_view: bool = False

    def __post_init__(self) -> None:
        if self.fps is not None:
            object.__setattr__(self, "fps", Fraction(self.fps))
        _one_of(self.event_clock, CLOCKS, "--event-clock")
        if self.stamp is not None:
            _one_of(self.stamp, STAMPS, "--stamp")
        if abs(self.offset_us) > OFFSET_LIMIT_US:
            raise InputError(f"{self.offset_us} us", where="--event-offset", hint="give less")
        if self.exposure_us is not None and not 0 <= self.exposure_us <= EXPOSURE_LIMIT_US:
            raise InputError(
                f"{self.exposure_us} us", where="--exposure", hint="give 0 to a minute, in us"
            )
        if self.frame_times is not None and self.fps is not None:
            raise InputError("frame times and a rate", hint="give --frame-times or --fps")
        if self.frame_time_unit_us is not None and self.frame_times is None:
            raise InputError(
                "a unit without frame times", where="--frame-time-unit", hint="give --frame-times"
            )
        self._check_view()

    def _check_view(self) -> None:
        stated = [
            name
            for name, value in (
                ("--homography", self.mapping),
                ("--crop", self.crop),
                ("--assume-same-view", self.assume_same_view or None),
            )
            if value is not None
        ]
        if len(stated) > 1:
            raise InputError(f"the view is stated twice: {', '.join(stated)}", hint="give one")
        if self.crop is not None and not (self.crop[2] > 0 and self.crop[3] > 0):
            raise InputError(
                f"{self.crop} has no area", where="--crop", hint="give X,Y,W,H with W and H above 0"
            )

    @property
    def shift_of_stamps_us(self) -> int:
        """Added to frame times so that they are of the middle of the exposure.

        Raises:
            InputError: a stamp of start or end, and nothing says how long the exposure is.
        """
        if self.stamp in (None, "middle"):
            return 0
        if self.exposure_us is None:
            raise InputError(
                f"frame times are of the {self.stamp} of an exposure of unknown length",
                where="--stamp",
                hint="give --exposure US, or a file of frame times with start and end",
            )
        half = self.exposure_us // 2
        return half if self.stamp == "start" else -half

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; what was left out is absent."""
        values: dict[str, Any] = {"event_clock": self.event_clock, "offset_us": self.offset_us}
        mapping = self.mapping
        optional = {
            "frame_times": None if self.frame_times is None else str(self.frame_times),
            "frame_time_unit_us": self.frame_time_unit_us,
            "fps": None if self.fps is None else str(self.fps),
            "start_us": self.start_us,
            "stamp": self.stamp,
            "exposure_us": self.exposure_us,
            "homography": None if mapping is None else [list(row) for row in mapping.matrix],
            "event_size": None if mapping is None else _listed(mapping.event_size),
            "frame_size": None if mapping is None else _listed(mapping.frame_size),
            "crop": _listed(self.crop),
            "assume_same_view": self.assume_same_view or None,
        }
        return values | {name: value for name, value in optional.items() if value is not None}


def _listed(values: tuple[Any, ...] | None) -> list[Any] | None:
    return None if values is None else list(values)


def _one_of(value: str, allowed: tuple[str, ...], where: str) -> None:
    if value not in allowed:
        raise InputError(f"{value!r}", where=where, hint=f"give one of {', '.join(allowed)}")
