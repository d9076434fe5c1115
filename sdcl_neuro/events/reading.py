"""Event files of every kind: the kind is found in the content, then one reader reads it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path
from typing import cast

from sdcl_neuro.errors import InputError

from .array import Events
from .checks import Columns, Options, Size, build, sensor_size

# Kind: (what it is, module, function). A reader takes (path, options) and returns `Columns`.
KINDS: dict[str, tuple[str, str, str]] = {
    "aedat4": ("AEDAT 4 (iniVation)", "read_camera", "read_aedat4"),
    "evt": ("EVT 2 and EVT 3 (Prophesee .raw)", "read_camera", "read_evt"),
    "dat": ("DAT (Prophesee), also N-Cars' 2d events", "read_camera", "read_dat"),
    "es": ("Event Stream (.es)", "read_camera", "read_es"),
    "nmnist": ("N-MNIST and N-Caltech101 (.bin)", "read_table", "read_nmnist"),
    "mat": ("MATLAB: SDCL's and ST-MNIST's (.mat)", "read_mat", "read_mat"),
    "mat73": ("MATLAB 7.3: SDCL's (.mat)", "read_mat", "read_mat73"),
    "npz": ("this package's .npz", "read_table", "read_npz"),
    "npy": ("numpy: structured, or N x 4 (.npy)", "read_table", "read_npy"),
    "text": ("text, four columns (.txt, .csv)", "read_table", "read_text"),
}
MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"#!AER-DAT4", "aedat4"),
    (b"Event Stream", "es"),
    (b"MATLAB 5.0 MAT-file", "mat"),
    (b"MATLAB 7.3 MAT-file", "mat73"),
    (b"\x89HDF\r\n\x1a\n", "mat73"),
    (b"PK\x03\x04", "npz"),
    (b"\x93NUMPY", "npy"),
)
PRINTABLE = frozenset(b"\t\n\r") | frozenset(range(32, 127))
HEAD_BYTES = 4096


def read_events(
    path: Path | str,
    *,
    sensor: Size | None = None,
    mend: Collection[str] = (),
    columns: str | None = None,
    time_unit_us: float | None = None,
) -> Events:
    """Read one event file of any kind in `KINDS`.

    Args:
        path: the file; its kind is found by its content.
        sensor: width and height in pixels, where the file does not state them.
        mend: names from `checks.MENDS`: what may be repaired. Without a name, its fault is an
            error; with it, the number of events it touched is in `Events.mended`.
        columns: order of the columns of text and N x 4 files; ``txyp`` if left out.
        time_unit_us: microseconds per unit of time, where the format does not fix it (text,
            .npy, .mat); needed if the file's times are not whole numbers. Times are then
            rounded to the nearest microsecond.

    Raises:
        InputError: no such file, an unknown kind, damaged or truncated content, an unknown sensor
            size, or an event outside the sensor, out of time order or without a polarity, with
            the index and value of the first.
    """
    path = Path(path)
    try:
        options = Options(sensor, tuple(mend), columns, time_unit_us)
        kind = find_kind(path)
        _, module, function = KINDS[kind]
        reader = cast(
            Callable[[Path, Options], Columns],
            getattr(import_module(f".{module}", __package__), function),
        )
        found = reader(path, options)
        if columns is not None and not found.order:
            raise InputError(f"{kind} files name their fields", mend="leave the columns out")
        sensor_size(found, options)
        try:
            return build(found, options)
        except InputError as error:
            raise _with_order(error, found) from None
    except InputError as error:
        if error.where:
            raise
        raise InputError(error.what, where=str(path), mend=error.mend) from error


def find_kind(path: Path) -> str:
    """Which of `KINDS` a file is, by its first bytes; the ending helps only where nothing else can.

    Raises:
        InputError: it is none of them, or no regular file, or empty.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("no such file", mend="give an event file") from None
    if not stat.S_ISREG(mode):
        raise InputError("not a regular file", mend="give an event file")
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        raise InputError("the file is empty", mend="give an event file")
    for magic, kind in MAGICS:
        if head.startswith(magic):
            return kind
    percent = _percent_kind(head)
    if percent is not None:
        return percent
    ending = path.suffix.lower()
    if PRINTABLE.issuperset(head) and not head.startswith(b"#!AER-DAT"):
        return "text"
    if ending == ".bin":
        return "nmnist"
    raise InputError(
        "no event file of a known kind",
        mend="give one of: " + "; ".join(text for text, _, _ in KINDS.values()),
    )


def _percent_kind(head: bytes) -> str | None:
    """EVT or DAT, by the header lines that begin with a percent sign."""
    lines = [line.lower() for line in head.split(b"\n") if line.startswith(b"% ")]
    if any(line.startswith((b"% evt ", b"% format evt")) for line in lines):
        return "evt"
    if any(line.startswith((b"% data file containing", b"% version ")) for line in lines):
        return "dat"
    return None


def _with_order(error: InputError, found: Columns) -> InputError:
    """Say so if the columns look as if they were in another order."""
    from .read_table import likely_order

    order = likely_order(found) if found.order else None
    if order is None or order == found.order:
        return error
    return InputError(
        error.what,
        mend=f"the columns look like {order!r}, not {found.order!r}: give columns={order!r} "
        f"(--columns {order}) if so",
    )
