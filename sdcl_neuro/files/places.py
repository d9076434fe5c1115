"""Where an output's bytes belong: a file that is replaced, or a device that is written through."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path

from sdcl_neuro.errors import InputError

MAX_LINKS = 40
"""Links followed in a row, Linux's own limit (path_resolution(7))."""
PROBE_BYTES = 1 << 20
"""Room that long work wants to see before it begins."""


def destination(target: Path) -> tuple[Path, bool]:
    """Return where the bytes of `target` belong, and whether they are to be written through.

    A symbolic link is followed to the file that it names, there or not. A device, a FIFO, a socket
    and an open file under ``/proc`` (``/dev/stdout``) are never replaced: they are opened.

    Raises:
        OSError: `target` is a folder, or a circle of links.
    """
    place = target
    for _ in range(MAX_LINKS):
        if not place.is_symlink():
            break
        # /dev/stdout leads there: what the link names may be a pipe, or a file that others hold.
        if os.path.realpath(place.parent).startswith("/proc/"):
            return target, True
        place = place.parent / place.readlink()
    else:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(target))
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        return place, False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    return place, not stat.S_ISREG(mode)


def write_through(source: Path, target: Path) -> None:
    """Copy a whole file into a device, a FIFO with a reader, or an open file under ``/proc``.

    Raises:
        OSError: it cannot be written, or no process reads the FIFO.
    """
    own = _descriptor(target)
    try:
        # Without O_NONBLOCK, opening a FIFO that no process reads would never return.
        how = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
        handle = os.open(target, how) if own is None else os.dup(own)
    except OSError as error:
        what = error.strerror
        if error.errno == errno.ENXIO:
            what = "no process reads it; start the reader first, or name a regular file"
        raise OSError(error.errno, what, str(target)) from None
    with os.fdopen(handle, "wb") as sink, source.open("rb") as stream:
        os.set_blocking(handle, True)
        shutil.copyfileobj(stream, sink)


def _descriptor(target: Path) -> int | None:
    """Return the number of our own open file that a path such as ``/dev/stdout`` means; else
    None.
    """
    place = target
    for _ in range(MAX_LINKS):
        if os.path.realpath(place.parent) == f"/proc/{os.getpid()}/fd" and place.name.isdecimal():
            return int(place.name)
        if not place.is_symlink():
            return None
        place = place.parent / place.readlink()
    return None


def check_place(target: Path | str, *, need_bytes: int = PROBE_BYTES) -> None:
    """See, before long work begins, that an output can be written with some room to spare.

    Args:
        target: the file or folder to be written later; a missing folder above it is created.
        need_bytes: room that has to be there.

    Raises:
        OSError: the place cannot be written.
        InputError: there is less room than that.
    """
    place = Path(target)
    if not place.is_dir():
        place, through = destination(place)
        if through:
            return
        place = place.parent
        place.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=place) as stream:
            os.posix_fallocate(stream.fileno(), 0, need_bytes)
    except OSError as error:
        if error.errno in FULL:
            raise InputError(
                f"no room for {need_bytes >> 10} KiB ({error.strerror})",
                where=str(target),
                hint="free some space, or name another place",
            ) from None
        raise OSError(error.errno, error.strerror, str(target)) from None


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a full disk, a quota and a limit on a file's size say."""
