"""How an event file is to be read: one object for every verb that takes one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdcl_neuro.network.arguments import public_class

from .array import Events
from .columns import Size
from .denoising import Denoise
from .reading import read_events


@public_class
@dataclass(frozen=True)
class ReadingOptions:
    """What a user says about an event file; the fields are `read_events`'s arguments.

    Attributes:
        sensor: width and height in pixels, where the file does not state them.
        mend: what may be repaired, see `columns.MENDS`.
        columns: order of the columns of text and N x 4 files.
        time_unit_us: microseconds per unit of time, where the format does not fix it.
        stream: which recording of a file that holds several.
        between_us: keep the events of this time span only.
        denoise: filters to apply.
        rectify: a rectification map to apply.
    """

    sensor: Size | None = None
    mend: tuple[str, ...] = ()
    columns: str | None = None
    time_unit_us: float | None = None
    stream: str | None = None
    between_us: tuple[int, int] | None = None
    denoise: Denoise | None = None
    rectify: Path | None = None

    def read(self, path: Path | str) -> Events:
        """Read a whole file; errors as `read_events`."""
        return read_events(path, **self.arguments())

    def arguments(self) -> dict[str, Any]:
        """Return keyword arguments for `read_events` and `read_parts`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values of what was given; what was left out is absent."""
        plain = {**asdict(self), "denoise": str(self.denoise or "")}
        plain["rectify"] = str(self.rectify) if self.rectify else None
        return {name: value for name, value in plain.items() if value not in (None, (), "")}
