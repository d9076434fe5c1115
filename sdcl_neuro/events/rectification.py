"""Rectification maps as DSEC has them: for every pixel, where it lies without the lens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files.reading import reading, regular_file

from .array import Events, unchecked
from .formats.npy import load_npy

MAP_NAME = "rectify_map"
MAP_FORM = "give an HDF5 with rectify_map [H, W, 2], or a .npy of that shape"
MAP_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Rectification:
    """Moves events to their rectified pixel.

    Attributes:
        columns, rows: int32 ``[H, W]``, the nearest pixel; -1 where it lies outside the sensor.
    """

    columns: NDArray[np.int32]
    rows: NDArray[np.int32]

    def apply(self, events: Events) -> Events:
        """Return the events at their rectified pixels; those outside the sensor are counted out."""
        x = self.columns[events.array["y"], events.array["x"]]
        y = self.rows[events.array["y"], events.array["x"]]
        keep = x >= 0
        array = events.array[keep]
        array["x"], array["y"] = x[keep], y[keep]
        removed = {**events.removed, "rectified-outside": int(np.count_nonzero(~keep))}
        notes = (*events.notes, "pixels rectified by a map")
        return unchecked(
            array, events.width, events.height, events.source, events.mended, removed, notes
        )


def read_rectification(path: Path, size: tuple[int, int]) -> Rectification:
    """Read a map of x and y for every pixel of a sensor of `size` (width, height).

    Raises:
        InputError: not such a file, or a map of another sensor.
    """
    found = _load(path)
    if found.ndim != 3 or found.shape[2] != 2 or found.dtype.kind not in "fiu":
        raise InputError(
            f"a map of {found.dtype} and shape {found.shape}", where=str(path), hint=MAP_FORM
        )
    if found.shape[:2] != (size[1], size[0]):
        raise InputError(
            f"a map of {found.shape[1]}x{found.shape[0]} pixels, expected {size[0]}x{size[1]}",
            where=str(path),
            hint="give the map of this camera",
        )
    x, y = found[..., 0].astype(np.float64), found[..., 1].astype(np.float64)
    with np.errstate(invalid="ignore"):
        inside = (x > -0.5) & (x < size[0] - 0.5) & (y > -0.5) & (y < size[1] - 0.5)
    columns = np.where(inside, np.rint(np.where(inside, x, 0.0)), -1).astype(np.int32)
    rows = np.where(inside, np.rint(np.where(inside, y, 0.0)), -1).astype(np.int32)
    return Rectification(columns, rows)


def _load(path: Path) -> NDArray[np.float64]:
    regular_file(path, what="a rectification map", largest=MAP_BYTES, hint=MAP_FORM)
    if path.suffix.lower() == ".npy":
        with reading(path, "a rectification map", hint=MAP_FORM), path.open("rb") as stream:
            try:
                return load_npy(stream, path.stat().st_size)
            except InputError as error:
                raise InputError(error.what, where=str(path), hint=error.hint) from None
    from sdcl_neuro.files.hdf5_guard import open_guarded

    with open_guarded(path, what="a rectification map") as (file, guard):
        found = guard.member(file, MAP_NAME)
        if found is None:
            raise guard.error(f"no array {MAP_NAME!r}", MAP_FORM)
        return np.asarray(guard.large(found)[()])
