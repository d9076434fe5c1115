"""Recordings of event cameras: faery decodes them, but for the DAT kind that it does not know.

faery takes a truncated recording for a whole one, so lengths are checked here first.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from .aedat4 import check_frames
from .checks import MAX_EVENTS, Columns, Options, Size

# Addresses have 11 bits in EVT and 14 in DAT: told so, faery leaves the sensor's check to us.
EVT_LIMIT, DAT_LIMIT = (1 << 11, 1 << 11), (1 << 14, 1 << 14)
EVT_VERSIONS = {b"2.0": ("evt2", 4), b"3.0": ("evt3", 2), b"2": ("evt2", 4), b"3": ("evt3", 2)}
DAT_RECORD_BYTES = 8
DAT_2D, DAT_CD = 0x00, 0x0C
# DAT version 2: 14 bits of x, 14 of y, 4 of polarity, from the low end.
DAT_Y_SHIFT, DAT_P_SHIFT, DAT_ADDRESS_MASK = 14, 28, (1 << 14) - 1
HEADER_MAX_BYTES = 1 << 16
# Sensor generations as Prophesee's plugins are named in EVT headers; used in advice only.
PLUGIN_SIZES: tuple[tuple[bytes, Size], ...] = (
    (b"gen41", (1280, 720)),
    (b"gen42", (1280, 720)),
    (b"imx636", (1280, 720)),
    (b"gen31", (640, 480)),
    (b"gen3", (640, 480)),
    (b"genx320", (320, 320)),
)
CHILD_BYTES = 4 << 30
CHILD_TIMEOUT_S = 300


def read_evt(path: Path, options: Options) -> Columns:
    """EVT 2 or 3; the sensor's size is in the header of newer files only."""
    name, usual, tail = evt_header(path, options)
    array, size = _decode(path, file_type="evt", version_fallback=name, fallback=EVT_LIMIT)
    return columns_of(array, size if size != EVT_LIMIT else None, name, usual, tail)


def evt_header(path: Path, options: Options) -> tuple[str, Size | None, bool]:
    """Version, usual size of the camera, and whether the file ends within a record."""
    header = percent_header(path)
    stated = re.search(rb"^% (?:evt |format EVT)([0-9.]+)", header, re.MULTILINE)
    version = stated.group(1) if stated else b""
    if version not in EVT_VERSIONS:
        raise InputError(
            f"EVT version {version.decode()} is not read", mend="convert it to EVT 2 or EVT 3"
        )
    name, word = EVT_VERSIONS[version]
    tail = _check_tail(path, len(header), word, options)
    plugin = re.search(rb"^% plugin_name (.*)$", header, re.MULTILINE)
    usual = None
    if plugin:
        usual = next((size for key, size in PLUGIN_SIZES if key in plugin.group(1)), None)
    return name, usual, tail


def read_dat(path: Path, options: Options) -> Columns:
    """DAT: ``cd`` events by faery, ``2d`` events (N-Cars) here."""
    kind, header, tail = dat_header(path, options)
    if kind == DAT_2D:
        return _dat_2d(path, header, tail)
    array, size = _decode(path, file_type="dat", version_fallback=None, fallback=DAT_LIMIT)
    return columns_of(array, size if size != DAT_LIMIT else None, "dat", None, tail)


def dat_header(path: Path, options: Options) -> tuple[int, bytes, bool]:
    """Kind of the events, header, and whether the file ends within a record."""
    header = percent_header(path)
    with path.open("rb") as stream:
        stream.seek(len(header))
        kind = stream.read(2)
    if len(kind) < 2 or kind[0] not in (DAT_2D, DAT_CD) or kind[1] != DAT_RECORD_BYTES:
        raise InputError(
            f"DAT records of kind {kind.hex(' ') or 'none'}",
            mend="give DAT files of 2d (00 08) or cd (0c 08) events",
        )
    return kind[0], header, _check_tail(path, len(header) + 2, DAT_RECORD_BYTES, options)


def read_es(path: Path, options: Options) -> Columns:
    """Event Stream; its rows count from below, ours from above."""
    tail = es_tail(path, options)
    array, size = _decode(path, file_type="es", version_fallback=None, fallback=None)
    return columns_of(array, size, "es", None, tail)


def es_tail(path: Path, options: Options) -> bool:
    """Whether an Event Stream ends within an event, which must be allowed."""
    from .kernels import es_dvs_rest

    raw = np.memmap(path, np.uint8, mode="r")
    # Signature (12 bytes), version (3), kind (1: DVS, 2: ATIS), width and height.
    if len(raw) < 20 or raw[15] not in (1, 2):
        raise InputError("an Event Stream of another kind than DVS and ATIS", mend="convert it")
    tail = raw[15] == 1 and es_dvs_rest(np.asarray(raw[20:])) > 0
    if tail and "drop-tail" not in options.mend:
        raise InputError(
            "the file ends within an event", mend="copy it again, or mend with 'drop-tail'"
        )
    return bool(tail)


def read_aedat4(path: Path, options: Options) -> Columns:
    """AEDAT 4, decoded in a child process: faery aborts its process on some damaged files."""
    with decoded_aedat4(path) as (out, dtype, size):
        array = np.fromfile(out, dtype)
    return columns_of(array, size, "aedat4", None, False)


@contextmanager
def decoded_aedat4(path: Path) -> Iterator[tuple[Path, np.dtype[Any], Size]]:
    """A raw file of the events that is there within the context, their type, the sensor's size."""
    check_frames(path)
    with tempfile.TemporaryDirectory(prefix="sdcl_neuro_") as folder:
        out = Path(folder) / "events"
        limit = CHILD_BYTES + 32 * path.stat().st_size
        script = Path(__file__).with_name("aedat4.py")
        # -P: the folder of the script holds modules named like the standard library's.
        command = [sys.executable, "-P", str(script), str(path), str(out), str(limit)]
        try:
            done = subprocess.run(
                command, capture_output=True, check=False, timeout=CHILD_TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"not decoded within {CHILD_TIMEOUT_S} s", mend="cut the recording"
            ) from None
        if done.returncode:
            lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
            reason = lines[-1] if lines else "the decoder gave up"
            raise InputError(f"a damaged AEDAT 4 file ({reason})", mend="copy it again")
        answer = json.loads(done.stdout)
        dtype = np.dtype([tuple(item) for item in answer["dtype"]])
        yield out, dtype, (answer["width"], answer["height"])


def percent_header(path: Path) -> bytes:
    """The lines at the top that begin with a percent sign, up to and with ``% end``."""
    header = b""
    with path.open("rb") as stream:
        while len(header) < HEADER_MAX_BYTES and stream.peek(2)[:2] == b"% ":
            line = stream.readline(HEADER_MAX_BYTES)
            header += line
            if line.strip() == b"% end":
                break
    return header


def _check_tail(path: Path, start: int, record: int, options: Options) -> bool:
    """Whether the file ends within a record, which must be allowed."""
    body = path.stat().st_size - start
    if body <= 0:
        raise InputError("no events after the header", mend="copy it again")
    if body % record and "drop-tail" not in options.mend:
        raise InputError(
            f"{body} bytes after the header are no whole number of {record}-byte records",
            mend="the file is truncated: copy it again, or mend with 'drop-tail'",
        )
    return bool(body % record)


def _decode(
    path: Path, *, file_type: str, version_fallback: str | None, fallback: Size | None
) -> tuple[NDArray[Any], Size]:
    parts, size, total = [], (0, 0), 0
    for part, found in packets(
        path, file_type=file_type, version_fallback=version_fallback, fallback=fallback
    ):
        size = found
        parts.append(part)
        total += len(part)
        if total > MAX_EVENTS:
            raise InputError(f"more than {MAX_EVENTS:,} events", mend="cut the recording")
    return np.concatenate(parts), size


def packets(
    path: Path, *, file_type: str, version_fallback: str | None, fallback: Size | None
) -> Iterator[tuple[NDArray[Any], Size]]:
    """faery's packets of a recording, each with the sensor's size; an empty one comes first."""
    import faery

    try:
        stream = faery.file_decoder.Decoder(
            path,
            dimensions_fallback=fallback or (1, 1),
            version_fallback=version_fallback,
            file_type=file_type,
            time_range_cache=None,
        )
        width, height = stream.dimensions()
        size = (int(width), int(height))
        yield np.empty(0, faery.EVENTS_DTYPE), size
        for part in stream:
            yield part, size
    except (InputError, KeyboardInterrupt, GeneratorExit, MemoryError, ImportError):
        raise
    # faery raises plain exceptions, and Rust's panics do not derive from Exception.
    except BaseException as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"a damaged recording ({reason})", mend="copy it again") from None


def _dat_2d(path: Path, header: bytes, tail: bool) -> Columns:
    size = dat_2d_size(header)
    raw = np.fromfile(path, "<u4", count=2 * (MAX_EVENTS + 1), offset=len(header) + 2)
    return dat_2d_columns(raw[: len(raw) // 2 * 2].reshape(-1, 2), size, tail)


def dat_2d_size(header: bytes) -> Size | None:
    """The size that the header of a file of 2d events states, if it does."""
    version = re.search(rb"^% Version (\d+)", header, re.MULTILINE)
    if version and version.group(1) != b"2":
        raise InputError(
            f"2d events of DAT version {version.group(1).decode()}", mend="convert to version 2"
        )
    sides = [
        re.search(rb"^%% %s (\d{1,5})\s*$" % side, header, re.MULTILINE | re.IGNORECASE)
        for side in (b"width", b"height")
    ]
    return (int(sides[0].group(1)), int(sides[1].group(1))) if sides[0] and sides[1] else None


def dat_2d_columns(records: NDArray[np.uint32], size: Size | None, tail: bool) -> Columns:
    """Records ``[N, 2]`` of 2d events."""
    t, word = records.T
    x, y = word & DAT_ADDRESS_MASK, word >> DAT_Y_SHIFT & DAT_ADDRESS_MASK
    return Columns(t, x, y, word >> DAT_P_SHIFT, size, "dat-2d", usual=(120, 100), tail=tail)


def columns_of(
    array: NDArray[Any], size: Size | None, source: str, usual: Size | None, tail: bool
) -> Columns:
    """faery's array as columns; InputError if it is empty."""
    if not len(array):
        raise InputError("a recording without events", mend="check that it is complete")
    names = array.dtype.names or ()
    p = array["on"] if "on" in names else array["p"]
    return Columns(array["t"], array["x"], array["y"], p, size, source, usual=usual, tail=tail)
