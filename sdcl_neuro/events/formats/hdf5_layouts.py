"""Where events lie in an HDF5 file: the layouts of DSEC, M3ED, v2e, MVSEC, RPG, Metavision."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.extras import install_command, installed, need
from sdcl_neuro.files.hdf5_guard import Guard

from ..columns import Size
from .names import ORDER, by_meaning

OBJECTS_MAX, DEPTH_MAX = 20_000, 8
ECF_FILTER = 0x8ECF
"""Metavision's own compression of events, as registered with the HDF Group."""
FILTER_NAMES = {
    32001: "Blosc",
    32026: "Blosc2",
    32004: "LZ4",
    32015: "Zstandard",
    32008: "Bitshuffle",
}
MVSEC = re.compile(r"davis/(left|right)/events")
SECOND_US = 1e6


@dataclass(frozen=True)
class RecordingLayout:
    """One recording within a file.

    Attributes:
        path: of its group or data set.
        form: ``columns`` (four data sets), ``records`` (one of four fields) or ``table`` (N x 4).
        names: of t, x, y, p within it; of a table its order.
        source: the layout's name.
        unit_us: of t, if the layout fixes it.
        size: of the sensor, if an attribute or data set says.
        offset_us: what is to be added to t.
        index: path of a data set ``ms_to_idx``; empty if there is none.
        usual: a size that is usual for the layout.
    """

    path: str
    form: str
    names: dict[str, str]
    source: str
    unit_us: float | None = None
    size: Size | None = None
    offset_us: int = 0
    index: str = ""
    usual: Size | None = None


def find_layouts(file: Any, guard: Guard) -> list[RecordingLayout]:
    """Return every recording of an open file, in the order of their paths."""
    found: list[RecordingLayout] = []
    for path, item in _objects(file):
        layout = (
            _group(file, guard, path, item)
            if hasattr(item, "keys")
            else _data_set(file, guard, path, item)
        )
        if layout is not None:
            found.append(layout)
    return found or _only_table(file, guard)


def _only_table(file: Any, guard: Guard) -> list[RecordingLayout]:
    """Return the one data set of N x 4 numbers, whatever it is called; nothing if there are
    several.
    """
    import h5py

    tables = [
        path
        for path, item in _objects(file)
        if isinstance(item, h5py.Dataset)
        and len(item.shape or ()) == 2
        and item.shape[1] == len(ORDER)
        and item.dtype.kind in "iuf"
    ]
    if len(tables) != 1:
        return []
    names = dict(zip(ORDER, ORDER, strict=True))
    return [RecordingLayout(tables[0], "table", names, "hdf5", None, _size(file, guard, tables[0]))]


def listed(file: Any) -> str:
    """Return the first data sets of a file and their shapes, for messages."""
    names = [
        f"{path} of shape {tuple(item.shape)}"
        for path, item in _objects(file)
        if hasattr(item, "shape")
    ]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (", ".join(names[:8]) or "none") + more


def check_filters(item: Any) -> None:
    """See that a data set can be decompressed here.

    Raises:
        InputError: Metavision's ECF, which no package decodes.
        EnvironmentFault: a filter whose package is not installed.
    """
    import h5py

    plist = item.id.get_create_plist()
    numbers = [int(plist.get_filter(k)[0]) for k in range(plist.get_nfilters())]
    if ECF_FILTER in numbers:
        raise InputError(
            f"{item.name} is compressed by Metavision's ECF, which no Python package decodes",
            hint="convert it with Metavision's metavision_file_to_csv, or record .raw",
        )
    if all(h5py.h5z.filter_avail(number) for number in numbers):
        return
    # Importing it registers its filters.
    if installed("hdf5plugin"):
        need("hdf5plugin", "reading compressed HDF5")
    lacking = [number for number in numbers if not h5py.h5z.filter_avail(number)]
    if lacking:
        name = FILTER_NAMES.get(lacking[0], "unknown to us")
        raise EnvironmentFault(
            f"{item.name} is compressed by HDF5 filter {lacking[0]} ({name}), which is missing",
            hint=install_command("hdf5plugin"),
        )


def _objects(file: Any) -> Iterator[tuple[str, Any]]:
    """Yield path and object of groups and data sets; links that lead elsewhere are not followed."""
    import h5py

    waiting, seen = [("", file)], 0
    while waiting:
        path, item = waiting.pop(0)
        seen += 1
        if seen > OBJECTS_MAX:
            return
        yield path, item
        if not isinstance(item, h5py.Group) or path.count("/") >= DEPTH_MAX:
            continue
        for name in item:
            if isinstance(item.get(name, getlink=True), h5py.HardLink):
                waiting.append((f"{path}/{name}".strip("/"), item[name]))


def _group(file: Any, guard: Guard, path: str, group: Any) -> RecordingLayout | None:
    vectors = [name for name in guard.names(group) if _is_vector(group[name].shape or ())]
    names, unit_us = by_meaning(vectors)
    if len(names) < len(ORDER):
        return None
    index = _near(file, guard, path, "ms_to_idx") or _near(file, guard, path, "ms_map_idx")
    offset_at = _near(file, guard, path, "t_offset")
    offset = _number(file, guard, offset_at) if offset_at else 0
    if index or offset_at:
        return RecordingLayout(
            path,
            "columns",
            names,
            "hdf5-dsec",
            1.0,
            _size(file, guard, path),
            offset,
            index,
            (640, 480),
        )
    return RecordingLayout(path, "columns", names, "hdf5", unit_us, _size(file, guard, path))


def _is_vector(shape: tuple[int, ...]) -> bool:
    """Return whether a data set has one number a row."""
    return len(shape) == 1 or (len(shape) > 1 and shape[1:] == (1,))


def _number(file: Any, guard: Guard, path: str) -> int:
    """Return a data set that holds one whole number, in whatever shape."""
    data = guard.large(guard.at(file, path))
    values = np.asarray(data[()]).reshape(-1)
    if len(values) != 1 or values.dtype.kind not in "iu":
        raise InputError(
            f"{path} is {values.dtype} of shape {data.shape}, expected one whole number",
            hint="write it again",
        )
    return int(values[0])


def _near(file: Any, guard: Guard, path: str, name: str) -> str:
    """Return the path of `name` in a group, in the one above or at the top; empty if it is not
    there.
    """
    for place in (path, path.rpartition("/")[0], ""):
        found = f"{place}/{name}".strip("/")
        if guard.at(file, found) is not None:
            return found
    return ""


def _data_set(file: Any, guard: Guard, path: str, item: Any) -> RecordingLayout | None:
    import h5py

    if not isinstance(item, h5py.Dataset):
        return None
    if item.shape is None:
        return None
    if item.dtype.names is not None and len(item.shape) == 1:
        names, unit_us = by_meaning(item.dtype.names)
        if len(names) < len(ORDER):
            return None
        source = "hdf5-metavision" if path == "CD/events" else "hdf5"
        fixed = 1.0 if source == "hdf5-metavision" else unit_us
        return RecordingLayout(path, "records", names, source, fixed, _size(file, guard, path))
    if len(item.shape) != 2 or item.shape[1] != 4 or "event" not in path.rpartition("/")[2]:
        return None
    if item.dtype.kind not in "iuf":
        return None
    if MVSEC.fullmatch(path):
        names, size = dict(zip("xytp", "xytp", strict=True)), _size(file, guard, path)
        return RecordingLayout(
            path, "table", names, "hdf5-mvsec", SECOND_US, size, usual=(346, 260)
        )
    names = dict(zip(ORDER, ORDER, strict=True))
    v2e = path == "events" and item.dtype.kind in "iu"
    source, usual = ("hdf5-v2e", (346, 260)) if v2e else ("hdf5", None)
    return RecordingLayout(
        path, "table", names, source, None, _size(file, guard, path), usual=usual
    )


def _size(file: Any, guard: Guard, path: str) -> Size | None:
    """Return width and height: attributes here or above, or M3ED's calibration."""
    above = path
    while True:
        item = guard.at(file, above) if above else file
        attributes = item.attrs
        if "width" in attributes and "height" in attributes:
            return int(attributes["width"]), int(attributes["height"])
        if "geometry" in attributes:
            sides = re.match(r"(\d+)x(\d+)", _words(attributes["geometry"]))
            if sides:
                return int(sides[1]), int(sides[2])
        if "sensor_resolution" in attributes:  # RPG: height, then width
            rows, columns = (int(n) for n in attributes["sensor_resolution"][:2])
            return columns, rows
        stated = guard.at(file, f"{above}/calib/resolution")
        if stated is not None:  # M3ED: width, then height
            columns, rows = (int(n) for n in guard.large(stated)[:2])
            return columns, rows
        if not above:
            return None
        above = above.rpartition("/")[0]


def _words(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
