"""Temporary files and folders that a killed process leaves, told from those still in use.

Each is locked while its process lives: a file by an open file description lock (fcntl(2)) of one
far byte, which meets neither HDF5's flock(2) nor SQLite's locks at 1 GiB, a folder by flock(2).
The kernel gives up the lock with the process, so whatever of our names can be locked belongs to
no one.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = ".part-"
# The eight characters are tempfile's; the mark keeps a user's own hidden files apart.
LITTER = re.compile(r"\..*\.part-[a-z0-9_]{8}", re.DOTALL)
NAME_BYTES = 200
"""Bytes of the target's name that a temporary name repeats; a name has at most 255."""
_WRITE_LOCK = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 1 << 62, 1, 0)
_cleared: set[tuple[int, int]] = set()


def prefix_of(target: Path) -> str:
    """Return how the temporary names of a target begin."""
    name = os.fsencode(target.name)[:NAME_BYTES].decode("utf-8", "ignore")
    return f".{name}{MARK}"


@contextmanager
def temporary_file(folder: Path, prefix: str) -> Iterator[Path]:
    """Yield an empty file that is locked until the block ends; the caller renames or removes it."""
    while True:
        handle, name = tempfile.mkstemp(prefix=prefix, dir=folder)
        if _lock_file(handle) is not False and _is(name, handle):
            break
        os.close(handle)  # another process took it for litter before it was locked
    try:
        yield Path(name)
    finally:
        os.close(handle)


@contextmanager
def temporary_folder(folder: Path, prefix: str) -> Iterator[Path]:
    """Yield an empty folder that is locked until the block ends, as `temporary_file` does."""
    while True:
        name = tempfile.mkdtemp(prefix=prefix, dir=folder)
        try:
            handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        if _lock_folder(handle) is not False and _is(name, handle):
            break
        os.close(handle)
    try:
        yield Path(name)
    finally:
        os.close(handle)


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """Yield a folder in the system's temporary place, removed at the end.

    What killed processes left there under the same prefix is removed first.

    Args:
        prefix: for example ``sdcl_neuro_lava``.
    """
    place = Path(tempfile.gettempdir())
    clear_litter(place, scratch=prefix)
    with temporary_folder(place, f".{prefix}{MARK}") as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def clear_litter(folder: Path, *, scratch: str | None = None) -> None:
    """Remove what killed processes left in a folder; once a process, but for scratch folders.

    Args:
        folder: of the targets.
        scratch: the prefix of `scratch_folder`, to look at those names alone.
    """
    with suppress(OSError):
        found = folder.stat()
        if scratch is None:
            if (found.st_dev, found.st_ino) in _cleared:
                return
            _cleared.add((found.st_dev, found.st_ino))
        with os.scandir(folder) as entries:
            names = [entry.path for entry in entries if _ours(entry.name, scratch)]
        for name in names:
            _remove_unused(name)


def _ours(name: str, scratch: str | None) -> bool:
    if scratch is not None and not name.startswith(f".{scratch}{MARK}"):
        return False
    return LITTER.fullmatch(name) is not None


def _remove_unused(name: str) -> None:
    """Remove a temporary file or folder, unless a process holds its lock."""
    with suppress(OSError):
        mode, owner = os.lstat(name).st_mode, os.lstat(name).st_uid
        if owner != os.geteuid() or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return
        folder = stat.S_ISDIR(mode)
        flags = os.O_RDONLY | os.O_DIRECTORY if folder else os.O_RDWR
        handle = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if (_lock_folder if folder else _lock_file)(handle):
                if folder:
                    shutil.rmtree(name, ignore_errors=True)
                else:
                    Path(name).unlink(missing_ok=True)
        finally:
            os.close(handle)


def _lock_file(handle: int) -> bool | None:
    """Return True: locked; False: another process has it; None: the file system knows no locks."""
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, _WRITE_LOCK)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _lock_folder(handle: int) -> bool | None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is(name: str, handle: int) -> bool:
    """Return whether a name still leads to the open file."""
    try:
        return os.path.samestat(os.lstat(name), os.fstat(handle))
    except FileNotFoundError:
        return False
