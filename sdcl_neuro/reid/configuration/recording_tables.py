"""The tables on a recording's files: ``[data.reading]`` and ``[data.alignment]``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Denoise
from sdcl_neuro.events.alignment import Alignment, read_alignment, read_mapping
from sdcl_neuro.events.alignment.written_times import (
    frame_rate,
    unit_microseconds,
    unix_microseconds,
)
from sdcl_neuro.events.options import ReadingOptions


@dataclass(frozen=True)
class ReadingTable:
    """How event files are to be read; see `events.options.ReadingOptions`.

    Attributes:
        sensor: width and height, where a file does not say; empty leaves it out.
        mend: what may be repaired.
        columns: order of the columns of text and N x 4 files; empty leaves it out.
        time_unit: of files that do not fix it, as ``100us``; empty leaves it out.
        stream: which recording of a file that holds several.
        between_us: the time span to take, on the file's clock; empty takes all.
        denoise: filters, as ``hot,background=5000``.
        rectify: a rectification map, below the root.
    """

    sensor: tuple[int, ...] = ()
    mend: tuple[str, ...] = ()
    columns: str = ""
    time_unit: str = ""
    stream: str = ""
    between_us: tuple[int, ...] = ()
    denoise: str = ""
    rectify: str = ""

    def __post_init__(self) -> None:
        if len(self.between_us) not in (0, 2):
            raise InputError(f"between_us is {list(self.between_us)}", hint="give [start, end]")
        if len(self.sensor) not in (0, 2) or any(side < 1 for side in self.sensor):
            raise InputError(f"sensor is {list(self.sensor)}", hint="give [width, height]")

    def options(self, root: Path) -> ReadingOptions:
        """Return the same as an object that reads; files start at `root`.

        Raises:
            InputError: a unit or filter that cannot be read.
        """
        return ReadingOptions(
            sensor=(self.sensor[0], self.sensor[1]) if self.sensor else None,
            mend=self.mend,
            columns=self.columns or None,
            time_unit_us=unit_microseconds(self.time_unit) if self.time_unit else None,
            stream=self.stream or None,
            between_us=(self.between_us[0], self.between_us[1]) if self.between_us else None,
            denoise=Denoise.parse(self.denoise) if self.denoise else None,
            rectify=root / self.rectify if self.rectify else None,
        )


@dataclass(frozen=True)
class AlignmentTable:
    """How events and frames lie to each other, see `events.alignment.Alignment`; empty is left out.

    Attributes:
        file: what ``events align`` wrote; the keys below take precedence.
        event_clock, event_offset_us, start: of the events' times.
        homography, crop, assume_same_view: of the view.
        frame_times, frame_time_unit, fps, stamp, exposure_us: of the frames' times.
    """

    file: str = ""
    event_clock: Literal["", "frame", "first", "unix"] = ""
    event_offset_us: int = 0
    start: str = ""
    homography: str = ""
    crop: tuple[float, ...] = ()
    assume_same_view: bool = False
    frame_times: str = ""
    frame_time_unit: str = ""
    fps: str = ""
    stamp: Literal["", "start", "middle", "end"] = ""
    exposure_us: int = 0

    def __post_init__(self) -> None:
        if len(self.crop) not in (0, 4):
            raise InputError(f"crop is {list(self.crop)}", hint="give [left, top, width, height]")

    def build(self, root: Path) -> Alignment:
        """Return the same as an object; files start at `root`.

        Raises:
            InputError: a file or value that cannot be read, or keys that exclude each other.
        """
        begun = read_alignment(root / self.file) if self.file else Alignment()
        given: dict[str, Any] = {
            "event_clock": self.event_clock,
            "offset_us": self.event_offset_us,
            "start_us": unix_microseconds(self.start, name="start") if self.start else 0,
            "stamp": self.stamp,
            "exposure_us": self.exposure_us,
        }
        changes = {name: value for name, value in given.items() if value}
        return replace(begun, **changes, **self._view(root), **self._frames(root))

    def _view(self, root: Path) -> dict[str, Any]:
        if not (self.homography or self.crop or self.assume_same_view):
            return {}
        return {
            "mapping": read_mapping(root / self.homography) if self.homography else None,
            "crop": self.crop or None,
            "assume_same_view": self.assume_same_view,
        }

    def _frames(self, root: Path) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if self.frame_times or self.fps:
            given["frame_times"] = root / self.frame_times if self.frame_times else None
            given["frame_time_unit_us"] = None
            given["fps"] = frame_rate(self.fps, name="fps") if self.fps else None
        if self.frame_time_unit:
            unit = unit_microseconds(self.frame_time_unit, name="frame_time_unit")
            given["frame_time_unit_us"] = unit
        return given
