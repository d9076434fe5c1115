"""Events to a file of ours: one .npz, whole or not at all, without pickles."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path
from sdcl_neuro.network.arguments import need_path, public

from .array import EVENT_DTYPE, Events

FIELDS = ("t", "x", "y", "p")


@public
def write_events(path: Path | str, events: Events, *, compress: bool = True) -> None:
    """Write t (int64, us), x, y (uint16), p (uint8) and ``sensor`` (width, height) to an .npz.

    Raises:
        InputError: the name ends in something else than ``.npz``.
    """
    path = _named(path)
    fields = {name: np.ascontiguousarray(events.array[name]) for name in ("t", "x", "y", "p")}
    fields["sensor"] = np.array([events.width, events.height], np.int64)
    save = np.savez_compressed if compress else np.savez
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        save(stream, allow_pickle=False, **fields)


@contextmanager
def event_writer(path: Path | str) -> Iterator[Callable[[Events], None]]:
    """Write events that come in parts, to the file that `write_events` would write.

    Memory does not grow with the recording: each field waits in a temporary file.

    Yields:
        What takes the next part; all parts are of one sensor size.

    Raises:
        InputError: the name ends in something else than ``.npz``, or nothing was written.
    """
    path = _named(path)
    sizes: list[tuple[int, int]] = []
    with atomic_path(path) as temporary, ExitStack() as opened:
        waiting = {
            name: opened.enter_context(tempfile.TemporaryFile(dir=temporary.parent))
            for name in FIELDS
        }

        def write(events: Events) -> None:
            sizes[:] = [(events.width, events.height)]
            for name, stream in waiting.items():
                stream.write(np.ascontiguousarray(events.array[name]).data)

        yield write
        if not sizes:
            raise InputError("no events to write", where=str(path), hint="give a recording")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, stream in waiting.items():
                dtype = EVENT_DTYPE[name]
                shape = (stream.tell() // dtype.itemsize,)
                stream.seek(0)
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    _write_header(member, dtype, shape)
                    shutil.copyfileobj(stream, member, 1 << 20)
            with archive.open("sensor.npy", "w") as member:
                _write_header(member, np.dtype(np.int64), (2,))
                member.write(np.array(sizes[0], np.int64).tobytes())


def _write_header(member: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    description = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": description, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)


def _named(path: Path | str) -> Path:
    path = need_path(path, "events", "give the path of a file")
    if path.suffix.lower() != ".npz":
        raise InputError(f"events are written as .npz, not {path.suffix!r}", where=str(path))
    return path
