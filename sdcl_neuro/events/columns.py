"""What a reader finds in an event file, and what a caller may say about the file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from .units import TIME_LIMIT_US

if TYPE_CHECKING:
    from .denoising import Denoise


# What may be repaired, and what is done then.
MENDS: dict[str, str] = {
    "drop-tail": "leave out the incomplete last record of a truncated file",
    "drop-outside": "leave out events outside the sensor",
    "drop-polarity": "leave out events whose polarity is neither OFF nor ON",
    "sort": "sort events by time, keeping the file's order within a microsecond",
}
MAX_EVENTS = 1 << 28
"""3.5 GB of events: above that, a file is refused before its events are kept."""

Size = tuple[int, int]


def check_lengths(lengths: Mapping[str, int]) -> None:
    """Raise InputError unless all fields, by their names, have as many entries."""
    if len(set(lengths.values())) > 1:
        raise InputError(f"fields of different lengths {lengths}", hint="check the file")


@dataclass(frozen=True)
class Columns:
    """What a reader found, before it is checked: a whole file, or a part of one.

    Attributes:
        t, x, y, p: numbers of any type, one entry per event; t in the file's unit.
        size: width and height, if the file states them.
        source: the format's name.
        unit_us: microseconds per unit of t, if the format fixes it.
        order: the order of t, x, y, p in the file, if the file does not name its columns.
        usual: a size that is usual for the format or camera; used in advice only.
        tail: whether an incomplete last record was left out.
        off: the polarity that means OFF, if the format fixes it; else the values tell.
        notes: what the reader assumed or lost, in words.
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
    off: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """What a caller may say about a file: see `read_events`."""

    sensor: Size | None = None
    mend: Collection[str] = field(default_factory=tuple)
    order: str | None = None
    time_unit_us: float | None = None
    stream: str | None = None
    between_us: tuple[int, int] | None = None
    rectify: Path | None = None
    denoise: Denoise | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.mend) - set(MENDS))
        if unknown:
            raise InputError(
                f"unknown repair {unknown}", hint=f"give --mend with one of {', '.join(MENDS)}"
            )
        if self.order is not None and sorted(self.order) != sorted("txyp"):
            raise InputError(
                f"columns {self.order!r}",
                hint="give --columns each of t, x, y and p once, such as xytp",
            )
        unit = self.time_unit_us
        if unit is not None and not 1e-6 <= unit <= 1e9:  # also refuses NaN
            raise InputError(f"a time unit of {unit} us", hint="give one from 1e-6 to 1e9 us")
        if self.between_us is not None:
            low, high = self.between_us
            if not -TIME_LIMIT_US <= low < high <= TIME_LIMIT_US:
                raise InputError(
                    f"a time span from {low} to {high} us", hint="give an end after its start"
                )

    def allows(self, name: str) -> bool:
        """Return whether the repair `name` of `MENDS` is allowed."""
        return name in self.mend
