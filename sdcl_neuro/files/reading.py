"""Reading files of unknown origin: regular files only, bounded sizes, one error for all damage."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError, SdclNeuroError

TEXT_BYTES = 64 << 20
"""Largest text, JSON or TOML file that is read whole, unless a reader says otherwise."""
CLAIM_BYTES = 384 << 20
CLAIM_RATIO = 32
"""A file may declare arrays of `CLAIM_BYTES`, or of so many times its own size, before they are
read. Sparse spikes compress by 10 to 60."""
OVERRIDE = "SDCL_NEURO_MAX_INPUT_GIB"
REASON_CHARACTERS = 160
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def regular_file(
    path: Path | str, *, what: str = "a file", largest: int | None = None, hint: str = ""
) -> Path:
    """Return the path of a file that can be read to its end.

    Args:
        path: of the file.
        what: what is expected, for messages: ``a .net file``.
        largest: bytes that it may have.
        hint: what to do; made from `what` if left out.

    Raises:
        InputError: there is no such file; it is a directory, a FIFO, a socket or a device, whose
            end may never come; or it is too large.
    """
    path = Path(path)
    hint = hint or f"give the path of {what}"
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("no such file", where=str(path), hint=hint) from None
    except (OSError, ValueError) as error:  # a circle of links, a name too long or with a zero byte
        if isinstance(error, PermissionError):
            raise
        raise InputError(
            f"cannot be opened ({reason_of(error)})", where=str(path), hint=hint
        ) from None
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "special")
        raise InputError(f"expected {what}, got {kind}", where=str(path), hint=hint)
    if largest is not None and found.st_size > largest:
        raise InputError(
            f"has {found.st_size:,} bytes; {what} has at most {largest:,}",
            where=str(path),
            hint=hint,
        )
    return path


def read_file(path: Path | str, *, what: str = "a file", largest: int = TEXT_BYTES) -> bytes:
    """Read a regular file of at most `largest` bytes; see `regular_file`."""
    with regular_file(path, what=what, largest=largest).open("rb") as stream:
        return stream.read(largest)


def read_text(path: Path | str, *, what: str = "a text file", largest: int = TEXT_BYTES) -> str:
    """Read a regular file as UTF-8; a byte order mark is passed over.

    Raises:
        InputError: as `regular_file`, or it is not UTF-8, with the place of the first wrong byte.
    """
    content = read_file(path, what=what, largest=largest)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8 text (byte {error.start} is 0x{content[error.start]:02x})",
            where=str(path),
            hint=f"give {what}, saved as UTF-8",
        ) from None


def read_json(path: Path | str, *, what: str = "a JSON file", largest: int = TEXT_BYTES) -> Any:
    """Read a regular file as JSON; see `read_text`.

    Raises:
        InputError: as `read_text`, or it is not JSON, with the place.
    """
    text = read_text(path, what=what, largest=largest)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for numbers without end
        raise _unlike(path, "JSON", what, error) from error


def read_toml(
    path: Path | str, *, what: str = "a TOML file", largest: int = TEXT_BYTES
) -> dict[str, Any]:
    """Read a regular file as TOML; see `read_text`.

    Raises:
        InputError: as `read_text`, or it is not TOML, with the place.
    """
    text = read_text(path, what=what, largest=largest)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for numbers without end
        raise _unlike(path, "TOML", what, error) from error


def _unlike(path: Path | str, form: str, what: str, error: Exception) -> InputError:
    return InputError(f"not {form} ({reason_of(error)})", where=str(path), hint=f"give {what}")


@contextmanager
def reading(path: Path | str, what: str, *, hint: str = "") -> Iterator[None]:
    """Turn whatever a library stumbles over in a damaged file into one InputError.

    Our own errors, missing libraries, permission or memory, and a failing disk pass as they are.

    Args:
        path: of the file; empty if an outer reader names it.
        what: what it should be: ``a .net file``.
        hint: what to do; to write it again or copy it again if left out.
    """
    try:
        yield
    except (SdclNeuroError, ImportError, PermissionError, MemoryError, Warning):
        raise
    except OSError as error:
        if error.errno in (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise
        raise _damaged(path, what, hint, error) from error
    except Exception as error:
        raise _damaged(path, what, hint, error) from error


def _damaged(path: Path | str, what: str, hint: str, error: Exception) -> InputError:
    name = what.removeprefix("a ").removeprefix("an ")
    return InputError(
        f"not a readable {name} ({reason_of(error)})",
        where=str(path) if str(path) not in ("", ".") else "",
        hint=hint or "write it again, or copy it again if it was intact",
    )


def reason_of(error: BaseException) -> str:
    """Return what an exception of another library says, short and in one line."""
    text = " ".join(str(error.args[0] if len(error.args) == 1 else error).split())
    plain = isinstance(error, KeyError | IndexError | AttributeError | TypeError) or not text
    text = f"{type(error).__name__}: {text}" if plain and text else text or type(error).__name__
    return text if len(text) <= REASON_CHARACTERS else f"{text[: REASON_CHARACTERS - 3]}..."


def claim_limit(path: Path | str) -> int:
    """Return how many bytes of arrays a file may declare before any of them is read.

    Raises:
        InputError: the override in the environment is not a positive number.
    """
    given = os.environ.get(OVERRIDE)
    if given:
        try:
            limit = float(given)
        except ValueError:
            limit = 0.0
        if not (limit > 0 and math.isfinite(limit)):
            raise InputError(
                f"must be a positive number (got {given[:40]!r})",
                where=OVERRIDE,
                hint="give GiB, for example 16",
            )
        return int(limit * 2**30)
    return max(CLAIM_BYTES, CLAIM_RATIO * Path(path).stat().st_size)


def check_claim(path: Path | str, claimed: int, what: str, *, where: str | None = None) -> None:
    """Refuse arrays that are larger than a file of its size plausibly holds; see `claim_limit`.

    Args:
        path: of the file.
        claimed: bytes that are declared, with all that was declared before.
        what: what is declared, for the message.
        where: the place in the file; the file if left out.
    """
    limit = claim_limit(path)
    if claimed > limit:
        raise InputError(
            f"declares {_size(claimed)} of {what}, in a file of {_size(Path(path).stat().st_size)}",
            where=where or str(path),
            hint=f"check where it comes from; {OVERRIDE}=N in the environment allows N GiB",
        )


def _size(count: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}" if count < 1 << 60 else f"{float(count):.1e} bytes"
    return f"{count} bytes"
