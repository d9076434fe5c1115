"""Readers of plain tables: text, .npy, our .npz, and N-MNIST's five-byte records."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from .array import SENSOR_MAX
from .checks import MAX_EVENTS, Columns, Options, Size

USUAL_ORDER = "txyp"
ALIASES = {
    "t": ("t", "ts", "timestamp", "timestamps", "time"),
    "x": ("x",),
    "y": ("y",),
    "p": ("p", "pol", "polarity", "on"),
}
NPZ_KEYS = ("t", "x", "y", "p", "sensor")
# Sizes of Orchard et al., Frontiers in Neuroscience 9:437 (2015): N-MNIST, then N-Caltech101.
NMNIST_SIZE, NCALTECH_SIZE = (34, 34), (240, 180)
# In that format a record at this row carries no event: it says that 2**13 us have gone by.
NMNIST_OVERFLOW_ROW, NMNIST_OVERFLOW_US = 240, 1 << 13


def read_text(path: Path, options: Options) -> Columns:
    """Four columns, split by blanks or commas; lines that begin with # or % are left out.

    The first line may name the columns (``t,x,y,p``) or give the sensor's width and height.
    """
    order, size, skip, comma = _first_line(path, options)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data", UserWarning)
            table = np.loadtxt(
                path,
                np.float64,
                comments="#",
                delimiter="," if comma else None,
                skiprows=skip,
                ndmin=2,
                max_rows=MAX_EVENTS + 1,
                encoding="utf-8",
            )
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"no table of numbers ({_brief(error)})", mend="give lines of four numbers, t x y p"
        ) from None
    return _by_order(table.reshape(-1, 4) if not table.size else table, order, size, "text")


def _first_line(path: Path, options: Options) -> tuple[str, Size | None, int, bool]:
    """Order of the columns, sensor size, lines to skip, and whether commas split."""
    order, size, skip, line = options.order or USUAL_ORDER, None, 0, ""
    with path.open("rb") as stream:
        while raw := stream.readline(1 << 16):
            line = raw.decode("utf-8", "replace").strip()
            if line and line[0] not in "#%":
                break
            skip += 1
    words = line.replace(",", " ").lower().split()
    names = [next((key for key, known in ALIASES.items() if word in known), "") for word in words]
    if all(names) and sorted(names) == sorted(USUAL_ORDER):
        stated = "".join(names)
        if options.order not in (None, stated):
            raise InputError(
                f"the file names its columns {stated!r}, not {options.order!r}",
                mend="leave the columns out",
            )
        order, skip = stated, skip + 1
    elif len(words) == 2 and all(word.isdecimal() and len(word) < 6 for word in words):
        size, skip = (int(words[0]), int(words[1])), skip + 1
    return order, size, skip, "," in line


def read_npy(path: Path, options: Options) -> Columns:
    """A structured array with fields by name, or N x 4 numbers (PEDRo: t, x, y, p)."""
    with path.open("rb") as stream:
        array = load_npy(stream, path.stat().st_size)
    if array.dtype.names is None:
        return _by_order(array, options.order or USUAL_ORDER, None, "npy")
    found = {
        key: name for key, known in ALIASES.items() for name in array.dtype.names if name in known
    }
    if len(found) < len(ALIASES) or array.ndim != 1:
        raise InputError(
            f"fields {list(array.dtype.names)} of shape {array.shape}",
            mend="give one dimension with the fields t, x, y and p",
        )
    t, x, y, p = (array[found[key]] for key in USUAL_ORDER)
    return Columns(t, x, y, p, None, "npy", unit_us=None)


def read_npz(path: Path, options: Options) -> Columns:
    """What `write_events` wrote: t, x, y, p and ``sensor = [width, height]``."""
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            missing = {f"{key}.npy" for key in NPZ_KEYS} - set(archive.namelist())
            if missing:
                raise InputError(
                    f"an .npz without {sorted(missing)}", mend="give one that holds events"
                )
            for key in NPZ_KEYS:
                info = archive.getinfo(f"{key}.npy")
                with archive.open(info) as stream:
                    arrays[key] = load_npy(stream, info.file_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"a damaged .npz ({_brief(error)})", mend="write it again") from None
    sensor = arrays["sensor"]
    if sensor.shape != (2,) or sensor.dtype.kind not in "iu":
        raise InputError(f"sensor is {sensor.dtype} of shape {sensor.shape}", mend="write it again")
    size = (int(sensor[0]), int(sensor[1]))
    return Columns(arrays["t"], arrays["x"], arrays["y"], arrays["p"], size, "npz")


def read_nmnist(path: Path, options: Options) -> Columns:
    """Records of five bytes: x, y, then one bit of polarity and 23 bits of time in us.

    The format has no header: the size is N-MNIST's 34x34 unless `sensor` says otherwise.
    """
    raw = np.fromfile(path, np.uint8, count=5 * (MAX_EVENTS + 1))
    whole = len(raw) // 5 * 5
    tail = whole < len(raw)
    if tail and "drop-tail" not in options.mend:
        raise InputError(
            f"{len(raw)} bytes are no whole number of five-byte N-MNIST records",
            mend="the file is truncated or of another kind; mend with 'drop-tail'",
        )
    record = raw[:whole].reshape(-1, 5).astype(np.int64)
    t = (record[:, 2] & 127) << 16 | record[:, 3] << 8 | record[:, 4]
    overflow = record[:, 1] == NMNIST_OVERFLOW_ROW
    t += np.cumsum(overflow) * NMNIST_OVERFLOW_US
    t, record = t[~overflow], record[~overflow]
    x, y, p = record[:, 0], record[:, 1], record[:, 2] >> 7
    size: Size | None = options.sensor or NMNIST_SIZE
    if options.sensor is None and len(x) and max(int(x.max()), int(y.max())) >= NMNIST_SIZE[0]:
        size = None
    return Columns(t, x, y, p, size, "nmnist", usual=NCALTECH_SIZE, tail=tail)


def likely_order(found: Columns) -> str | None:
    """The order the columns seem to have, where exactly one fits; None if none or several do.

    Polarity is the column of two values, time the one column that never falls and does not fit
    a sensor; x is taken to come before y.
    """
    table = {place: getattr(found, name) for place, name in enumerate(found.order)}
    two = [i for i, column in table.items() if {0.0, 1.0} >= set(np.unique(column[:1000])) or
           {-1.0, 1.0} >= set(np.unique(column[:1000]))]  # fmt: skip
    rising = [
        i
        for i, column in table.items()
        if i not in two and not (np.diff(column) < 0).any() and column.max(initial=0) >= SENSOR_MAX
    ]
    if len(two) != 1 or len(rising) != 1:
        return None
    names = iter("xy")
    return "".join(
        "p" if i in two else "t" if i in rising else next(names) for i in range(len(table))
    )


def _by_order(table: NDArray[Any], order: str, size: Size | None, source: str) -> Columns:
    if table.ndim != 2 or table.shape[1] != 4 or table.dtype.kind not in "iuf":
        raise InputError(
            f"a table of {table.dtype} and shape {table.shape}",
            mend="give N rows of four numbers: t, x, y, p",
        )
    t, x, y, p = (table[:, order.index(name)] for name in USUAL_ORDER)
    return Columns(t, x, y, p, size, source, unit_us=None, order=order)


def load_npy(stream: IO[bytes], size: int) -> NDArray[Any]:
    """An array of at most `MAX_EVENTS` events whose header agrees with its `size` in bytes."""
    try:
        version = np.lib.format.read_magic(stream)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = header(stream)
    # Its parser of literals raises what it trips over: tokenizer, syntax and type errors.
    except Exception as error:
        raise InputError(f"no numpy array ({_brief(error)})", mend="save it again") from None
    if dtype.hasobject:
        raise InputError("an array of Python objects", mend="save numbers")
    stated = int(np.prod([float(n) for n in shape])) * dtype.itemsize
    if stated > MAX_EVENTS * 64:
        raise InputError(f"an array of shape {shape} is too large", mend="cut the file")
    if stated != size - stream.tell():
        raise InputError(
            f"the header promises {stated} bytes, {size - stream.tell()} are there",
            mend="the file is truncated: copy it again",
        )
    stream.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
