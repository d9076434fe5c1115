"""Files and folders that are whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError

__all__ = [
    "atomic_folder",
    "atomic_path",
    "file_sha256",
    "keep_apart",
    "settle",
    "write_json",
]


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` if the block succeeds.

    The temporary file is removed if the block raises, so nothing half-written is left.

    Raises:
        OSError: `target` is a folder, or cannot be written; under its own name, not the temporary.
    """
    target = Path(target)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        settle(temporary, target)
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
    """Yield a temporary folder beside `target`; put it in `target`'s place if the block succeeds.

    An older `target` is moved aside to ``NAME.previous`` first and removed last, so that at every
    moment one of the two is whole.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    previous = target.with_name(f"{target.name}.previous")
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if target.exists():
            shutil.rmtree(previous, ignore_errors=True)
            target.rename(previous)
        temporary.rename(target)
        shutil.rmtree(previous, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def keep_apart(out: Path, *sources: Path) -> None:
    """See that an output is none of the files that it is made from.

    Raises:
        InputError: it is, by whatever name.
    """
    for source in sources:
        if out.exists() and source.exists() and out.samefile(source):
            raise InputError(
                "is the input, too", where=str(out), hint="give the output another name"
            )


def write_json(target: Path | str, value: Any) -> None:
    """Write `value` as indented JSON; not-a-number is an error, never written."""
    with atomic_path(target) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
