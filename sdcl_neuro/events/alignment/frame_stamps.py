"""Frame times from a file of stamps, in the layouts that cameras and data sets write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files.reading import regular_file

from ..encoding import frame_times
from ..formats.npy import load_npy
from .written_times import UNITS_US

MAX_BYTES = 1 << 28


@dataclass(frozen=True, eq=False)
class FrameStamps:
    """One time for each frame.

    Attributes:
        times_us: int64 ``[F]``, strictly ascending; the middle of the exposure where the file
            gives its start and end.
        exposure_us: int64 ``[F]``; None where the file does not give it.
        layout: what a line of the file holds, in words.
    """

    times_us: NDArray[np.int64]
    exposure_us: NDArray[np.int64] | None
    layout: str


def read_frame_stamps(path: Path | str, *, unit_us: float | None = None) -> FrameStamps:
    """Read one time per frame: text, or a .npy of ``[F]`` or ``[F, 2]`` numbers.

    A line of text holds a time; a time and a file name, in either order (RPG's ``images.txt``);
    a frame number that counts from 0 or 1 and a time; or the exposure's start and end (DSEC's
    ``exposure_timestamps.txt``). Blanks, commas and tabs split; lines that begin with ``#`` and one
    line of column names are skipped.

    Args:
        path: the file.
        unit_us: microseconds per unit; 1 if left out, and then times must be whole numbers.

    Raises:
        InputError: no such file, lines of another layout, or times that do not ascend.
    """
    path = Path(path)
    try:
        hint = "give a file with one time per frame"
        regular_file(path, what="a file of frame times", largest=MAX_BYTES, hint=hint)
        if path.suffix.lower() == ".npy":
            with path.open("rb") as stream:
                table = np.asarray(load_npy(stream, path.stat().st_size))
            if table.dtype.kind not in "iuf" or table.ndim not in (1, 2):
                raise InputError(
                    f"{table.dtype} of shape {table.shape}", hint="give [F] or [F, 2] numbers"
                )
            return _stamps([*np.atleast_2d(table.T)], unit_us)
        return _stamps(_text_columns(path), unit_us)
    except InputError as error:
        if error.where:
            raise
        raise InputError(error.what, where=str(path), hint=error.hint) from None


def _text_columns(path: Path) -> list[NDArray[np.generic]]:
    """Return the numeric columns, float64 or, where all is whole, int64."""
    text = path.read_bytes().decode("utf-8-sig", "replace")
    rows = [line.replace(",", " ").split() for line in text.splitlines()]
    rows = [row for row in rows if row and not row[0].startswith("#")]
    if rows and not any(map(_is_number, rows[0])):
        rows = rows[1:]
    if not rows:
        raise InputError("no time in it", hint="give one time per frame")
    width = len(rows[0])
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise InputError(
                f"row {number} has {len(row)} columns, the first has {width}",
                hint="give one time per line",
            )
    columns = []
    for values in zip(*rows, strict=True):
        if all(map(_is_number, values)):
            columns.append(_column(values))
    if not columns:
        raise InputError(
            f"{' '.join(rows[0])[:60]!r} holds no number", hint="give one time per line"
        )
    return columns


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _column(words: tuple[str, ...]) -> NDArray[np.generic]:
    # Unix time in nanoseconds has 19 digits: a float would lose the last ones.
    try:
        return np.array([int(word) for word in words], np.int64)
    except (ValueError, OverflowError):
        return np.array([float(word) for word in words], np.float64)


def _stamps(columns: list[NDArray[np.generic]], unit_us: float | None) -> FrameStamps:
    if len(columns) == 1:
        return FrameStamps(_microseconds(columns[0], unit_us), None, "a time")
    if len(columns) == 2:
        first = columns[0].astype(np.float64)
        counts = np.arange(len(first))
        if np.array_equal(first, counts) or np.array_equal(first, counts + 1):
            times = _microseconds(columns[1], unit_us)
            return FrameStamps(times, None, "a frame number and a time")
        start, end = (_microseconds(column, unit_us) for column in columns)
        if (end >= start).all():
            exposure = end - start
            return FrameStamps(start + exposure // 2, exposure, "start and end of the exposure")
    raise InputError(
        f"{len(columns)} columns of numbers, which may mean several things",
        hint="give a time per line, a frame number and a time, or start and end of the exposure",
    )


def _microseconds(column: NDArray[np.generic], unit_us: float | None) -> NDArray[np.int64]:
    if column.dtype.kind in "iu":
        whole = column.astype(np.int64)
        if unit_us in (None, 1.0):
            return frame_times(whole)
        if unit_us == UNITS_US["ns"]:
            return frame_times((whole + 500) // 1000)
    values = column.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError("a time that is not finite", hint="give one number per frame")
    if unit_us is None and (values != np.rint(values)).any():
        index = int(np.argmax(values != np.rint(values)))
        raise InputError(
            f"frame {index} has time {values[index]!s}, not a whole number of microseconds",
            hint="say the unit with --frame-time-unit, for example s",
        )
    scaled = values * (1.0 if unit_us is None else unit_us)
    if np.abs(scaled).max() > 1 << 62:
        raise InputError("a time beyond 2**62 us", hint="check --frame-time-unit")
    return frame_times(np.rint(scaled).astype(np.int64))
