"""Files and folders that are whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError

from .litter import clear_litter, prefix_of, scratch_folder, temporary_file, temporary_folder
from .places import FULL, check_place, destination, write_through

__all__ = [
    "atomic_folder",
    "atomic_path",
    "check_place",
    "file_sha256",
    "keep_apart",
    "named",
    "scratch_folder",
    "settle",
    "write_json",
]

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h and linux/fs.h


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Yield a temporary path next to `target`; rename it to `target` if the block succeeds.

    The temporary file is removed if the block raises, so nothing half-written is left; what a
    killed process left is removed by the next write into the same folder. A link is followed to
    its file; a device, a FIFO or ``/dev/stdout`` is written through, never replaced.

    Raises:
        OSError: `target` is a folder, or cannot be written; under its own name, not the temporary.
    """
    target = Path(target)
    place, through = destination(target)
    folder = Path(tempfile.gettempdir()) if through else place.parent
    with named(target, folder):
        folder.mkdir(parents=True, exist_ok=True)
        clear_litter(folder)
        with temporary_file(folder, prefix_of(target)) as temporary:
            try:
                yield temporary
                if through:
                    write_through(temporary, target)
                    temporary.unlink()
                else:
                    settle(temporary, place)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise


def settle(temporary: Path, target: Path) -> None:
    """Give a whole file its place and the permissions of a new file."""
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.chmod(0o666 & ~_umask())
    temporary.replace(target)


@contextmanager
def atomic_folder(target: Path | str) -> Iterator[Path]:
    """Yield a temporary folder next to `target`; put it in `target`'s place if the block succeeds.

    An older `target` changes places with it in one step (renameat2(2)). Where the file system
    cannot, it is moved aside to ``NAME.previous`` first and removed last, so that at every moment
    one of the two is whole.

    Raises:
        OSError: `target` is there and not a folder, or cannot be written.
    """
    target = Path(target)
    target = target.resolve() if target.is_symlink() else target
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(target))
    with named(target, target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        clear_litter(target.parent)
        with temporary_folder(target.parent, prefix_of(target)) as temporary:
            try:
                yield temporary
                temporary.chmod(0o777 & ~_umask())
                _put(temporary, target)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise


def _put(temporary: Path, target: Path) -> None:
    """Give a folder the place of another, which is removed."""
    if not target.exists():
        temporary.rename(target)
    elif _exchange(temporary, target):
        shutil.rmtree(temporary, ignore_errors=True)
    else:
        previous = target.with_name(f"{target.name}.previous")
        shutil.rmtree(previous, ignore_errors=True)
        target.rename(previous)
        temporary.rename(target)
        shutil.rmtree(previous, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places in one step; False where this system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = (os.fsencode(one), os.fsencode(other))
    return bool(rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)


@contextmanager
def named(target: Path, folder: Path) -> Iterator[None]:
    """Have what a full or closed place says name the target instead of a temporary file.

    Raises:
        OSError: what was raised, under the target's name.
        InputError: there is no room; libraries that say so in words of their own included.
    """
    try:
        yield
    except OSError as error:
        number = error.errno
        if number in FULL:
            raise _full(target, folder, number) from error
        inside = error.filename is None or str(error.filename).startswith(str(folder / "."))
        if number is None or not inside or isinstance(error, BrokenPipeError):
            raise
        raise OSError(number, error.strerror, str(target)) from error
    except Exception as error:
        # safetensors, written in Rust, raises its own class: "... (os error 28)".
        said = re.search(r"os error (\d+)", str(error))
        if said is None or int(said[1]) not in FULL:
            raise
        raise _full(target, folder, int(said[1])) from error


def _full(target: Path, folder: Path, number: int) -> InputError:
    left = ""
    if number == errno.ENOSPC:
        with suppress(OSError):
            left = f", {shutil.disk_usage(folder).free >> 20} MiB are free there"
    return InputError(
        f"cannot be written: {os.strerror(number)}{left}",
        where=str(target),
        hint="free some space, or name another place; what was there before is unchanged",
    )


def keep_apart(out: Path, *sources: Path) -> None:
    """See that an output is none of the files that it is made from.

    Raises:
        InputError: it is, by whatever name.
    """
    for source in sources:
        if out.exists() and source.exists() and out.samefile(source):
            raise InputError(
                "is also the input", where=str(out), hint="give the output another name"
            )


def write_json(target: Path | str, value: Any) -> None:
    """Write `value` as indented JSON; not-a-number is an error, never written."""
    with atomic_path(target) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def file_sha256(path: Path | str) -> str:
    """Return SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
