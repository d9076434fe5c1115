"""numpy's .npz: what `write_events` wrote, in parts; others' four arrays or one table, whole."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files.reading import reading

from ..columns import Columns, Options, Size, check_lengths
from .names import ORDER, by_meaning
from .npy import head_of, load_npy, table_columns

SIZE_KEYS = ("sensor", "sensor_size", "resolution")
WRONG = "give t, x, y and p, one structured array, or one N x 4 table"


def read(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    """Yield the events; see `table`."""
    # zipfile raises BadZipFile, RuntimeError for a password, zlib's and others' errors.
    with reading("", "an .npz file"), zipfile.ZipFile(path) as archive:
        names = [one.removesuffix(".npy") for one in archive.namelist() if one[-4:] == ".npy"]
        found, unit_us = by_meaning(names)
        size = _size(archive, names)
        if len(found) == len(ORDER):
            yield from _parts(archive, found, size, unit_us, part_events)
            return
        yield _table(archive, names, size, options)


def _parts(
    archive: zipfile.ZipFile,
    found: dict[str, str],
    size: Size | None,
    unit_us: float | None,
    part_events: int,
) -> Iterator[Columns]:
    ours = size is not None and all(found[key] == key for key in ORDER)
    with ExitStack() as stack:
        members = [_Member(archive, found[key], stack) for key in ORDER]
        check_lengths({member.name: member.length for member in members})
        length = members[0].length
        # Whole numbers of ours are microseconds; what others mean is theirs to say.
        whole = members[0].dtype.kind in "iu"
        for first in range(0, max(1, length), part_events):
            t, x, y, p = (member.read(min(part_events, length - first)) for member in members)
            unit = 1.0 if ours and whole else unit_us
            yield Columns(t, x, y, p, size, "npz", unit_us=unit)


def _table(
    archive: zipfile.ZipFile, names: list[str], size: Size | None, options: Options
) -> Columns:
    """Return the one array that holds all events."""
    fitting = []
    for name in names:
        with archive.open(f"{name}.npy") as stream:
            shape, dtype, _ = head_of(stream)
        fields = by_meaning(dtype.names or ())[0]
        if len(fields) == len(ORDER) or (len(shape) == 2 and shape[1] == 4):
            fitting.append(name)
    if len(fitting) != 1:
        many = f"{len(fitting)} arrays that could be events" if fitting else "no events"
        raise InputError(f"{many} among the arrays {', '.join(names[:8])}", hint=WRONG)
    info = archive.getinfo(f"{fitting[0]}.npy")
    with archive.open(info) as stream:
        return table_columns(load_npy(stream, info.file_size), options.order, size, "npz")


def _size(archive: zipfile.ZipFile, names: list[str]) -> Size | None:
    """Return width and height, if an array of two whole numbers says, or two that are called so."""
    arrays = {}
    for name in names:
        if name in (*SIZE_KEYS, "width", "height"):
            info = archive.getinfo(f"{name}.npy")
            with archive.open(info) as stream:
                arrays[name] = load_npy(stream, info.file_size)
    for name in SIZE_KEYS:
        if name in arrays:
            sensor = arrays[name]
            if sensor.shape != (2,) or sensor.dtype.kind not in "iu":
                raise InputError(
                    f"{name} is {sensor.dtype} of shape {sensor.shape}",
                    hint="write width and height as two whole numbers",
                )
            return int(sensor[0]), int(sensor[1])
    if "width" in arrays and "height" in arrays:
        return int(arrays["width"].item()), int(arrays["height"].item())
    return None


class _Member:
    """One array of an .npz, read from front to back."""

    def __init__(self, archive: zipfile.ZipFile, name: str, stack: ExitStack) -> None:
        self.name = name
        self._stream = stack.enter_context(archive.open(f"{name}.npy"))
        shape, self.dtype, _ = head_of(self._stream)
        if len(shape) != 1 and int(np.prod(shape)) != max(shape, default=0):
            raise InputError(
                f"field {name} is {self.dtype} of shape {shape}", hint="give one number per event"
            )
        self.length = int(max(shape, default=0))

    def read(self, count: int) -> NDArray[Any]:
        """Return the next `count` values."""
        wanted = count * self.dtype.itemsize
        raw = self._stream.read(wanted)
        if len(raw) < wanted:
            raise EOFError("it ends early")
        return np.frombuffer(raw, self.dtype)
