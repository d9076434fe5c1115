"""Event files read in parts, so that a recording need not fit in memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from . import read_camera as camera
from .array import Events
from .checks import Columns, Options, Size, build, sensor_size
from .read_table import NPZ_KEYS
from .reading import find_kind, read_events

PART_EVENTS = 1 << 19


def read_parts(
    path: Path | str,
    *,
    sensor: Size | None = None,
    mend: Collection[str] = (),
    columns: str | None = None,
    time_unit_us: float | None = None,
    part_events: int = PART_EVENTS,
) -> Iterator[Events]:
    """The events of one file in order, in parts; put together, they are `read_events`'s.

    Memory is bounded for the kinds in `IN_PARTS`. Any other kind, and any file that is to be
    sorted, is read whole and comes as one part.

    Args:
        path, sensor, mend, columns, time_unit_us: as for `read_events`. `Events.mended` counts what
            was mended in the part.
        part_events: events in a part, about.

    Raises:
        InputError: as `read_events` does, as soon as the fault is reached.
    """
    path = Path(path)
    try:
        options = Options(sensor, tuple(mend), columns, time_unit_us)
        kind = find_kind(path)
        found = IN_PARTS[kind](path, options, part_events) if kind in IN_PARTS else None
    except InputError as error:
        raise _at(error, path) from None
    if found is None or columns is not None or "sort" in options.mend:
        yield read_events(
            path, sensor=sensor, mend=mend, columns=columns, time_unit_us=time_unit_us
        )
        return
    yield from _checked(path, options, found)


def _checked(path: Path, options: Options, found: Iterator[Columns]) -> Iterator[Events]:
    seen, last_us = 0, None
    try:
        for part in found:
            sensor_size(part, options)
            try:
                events = build(part, options)
            except InputError as error:
                what = f"{error.what}, counted from event {seen}" if seen else error.what
                raise InputError(what, mend=error.mend) from None
            if len(events):
                first = int(events.array["t"][0])
                if last_us is not None and first < last_us:
                    raise InputError(
                        f"event {seen} at {first} us comes after one at {last_us} us",
                        mend="mend with 'sort'",
                    )
                last_us = int(events.array["t"][-1])
            seen += len(part.t)
            yield events
    except InputError as error:
        raise _at(error, path) from None


def _at(error: InputError, path: Path) -> InputError:
    return error if error.where else InputError(error.what, where=str(path), mend=error.mend)


def _evt(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    name, usual, tail = camera.evt_header(path, options)
    found = camera.packets(path, file_type="evt", version_fallback=name, fallback=camera.EVT_LIMIT)
    return _of_packets(found, part_events, camera.EVT_LIMIT, source=name, usual=usual, tail=tail)


def _dat(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    kind, header, tail = camera.dat_header(path, options)
    if kind == camera.DAT_2D:
        return _dat_2d(path, header, tail, part_events)
    found = camera.packets(path, file_type="dat", version_fallback=None, fallback=camera.DAT_LIMIT)
    return _of_packets(found, part_events, camera.DAT_LIMIT, source="dat", usual=None, tail=tail)


def _es(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    tail = camera.es_tail(path, options)
    found = camera.packets(path, file_type="es", version_fallback=None, fallback=None)
    return _of_packets(found, part_events, None, source="es", usual=None, tail=tail)


def _of_packets(
    packets: Iterator[tuple[NDArray[Any], Size]],
    part_events: int,
    unknown: Size | None,
    *,
    source: str,
    usual: Size | None,
    tail: bool,
) -> Iterator[Columns]:
    """Packets of a few thousand events, collected into parts; `unknown` stands for no size."""
    held: list[NDArray[Any]] = []
    size: Size = (0, 0)
    first = True

    def part() -> Columns:
        array = np.concatenate(held) if held else np.empty(0)
        stated = None if size == unknown else size
        return camera.columns_of(array, stated, source, usual, tail and first)

    for packet, found in packets:
        size = found
        if len(packet):
            held.append(packet)
        if sum(map(len, held)) >= part_events:
            yield part()
            first = False
            held.clear()
    if held or first:  # none at all is an error, and `columns_of` says so
        yield part()


def _dat_2d(path: Path, header: bytes, tail: bool, part_events: int) -> Iterator[Columns]:
    size = camera.dat_2d_size(header)
    start = len(header) + 2
    count = (path.stat().st_size - start) // camera.DAT_RECORD_BYTES
    for first in range(0, count, part_events):
        raw = np.fromfile(
            path,
            "<u4",
            count=2 * min(part_events, count - first),
            offset=start + first * camera.DAT_RECORD_BYTES,
        )
        yield camera.dat_2d_columns(raw.reshape(-1, 2), size, tail and not first)


def _aedat4(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    with camera.decoded_aedat4(path) as (out, dtype, size):
        count = out.stat().st_size // dtype.itemsize
        for first in range(0, count, part_events):
            array = np.fromfile(out, dtype, part_events, offset=first * dtype.itemsize)
            yield camera.columns_of(array, size, "aedat4", None, False)


def _npz(path: Path, options: Options, part_events: int) -> Iterator[Columns] | None:
    """Our own .npz; None, to be read whole, if it is anything else."""
    try:
        with zipfile.ZipFile(path) as archive, ExitStack() as stack:
            heads = {key: _Member(archive, key, stack) for key in NPZ_KEYS}
            size = tuple(int(n) for n in heads.pop("sensor").read(2))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, ValueError, RuntimeError):
        return None
    lengths = {head.length for head in heads.values()}
    # A signed polarity may be -1, and only the whole file says which of the two is OFF then.
    if len(lengths) > 1 or len(size) != 2 or heads["p"].dtype != np.uint8:
        return None
    return _npz_parts(path, (size[0], size[1]), lengths.pop(), part_events)


def _npz_parts(path: Path, size: Size, length: int, part_events: int) -> Iterator[Columns]:
    try:
        with zipfile.ZipFile(path) as archive, ExitStack() as stack:
            members = [_Member(archive, key, stack) for key in "txyp"]
            for first in range(0, max(1, length), part_events):
                count = min(part_events, length - first)
                t, x, y, p = (member.read(count) for member in members)
                yield Columns(t, x, y, p, size, "npz")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"a damaged .npz ({reason})", mend="write it again") from None


class _Member:
    """One array of an .npz, read from front to back; ValueError if it is no plain column."""

    def __init__(self, archive: zipfile.ZipFile, key: str, stack: ExitStack) -> None:
        self._stream = stack.enter_context(archive.open(f"{key}.npy"))
        version = np.lib.format.read_magic(self._stream)
        head = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
        shape, _, dtype = head(self._stream) if head else ((), False, np.dtype(object))
        self.dtype: np.dtype[Any] = dtype
        if len(shape) != 1 or self.dtype.kind not in "iu":
            raise ValueError(f"{self.dtype} of shape {shape}")
        self.length = int(shape[0])

    def read(self, count: int) -> NDArray[Any]:
        """The next `count` values."""
        wanted = count * self.dtype.itemsize
        raw = self._stream.read(wanted)
        if len(raw) < wanted:
            raise EOFError("it ends early")
        return np.frombuffer(raw, self.dtype)


IN_PARTS: dict[str, Callable[[Path, Options, int], Iterator[Columns] | None]] = {
    "evt": _evt,
    "dat": _dat,
    "es": _es,
    "aedat4": _aedat4,
    "npz": _npz,
}
