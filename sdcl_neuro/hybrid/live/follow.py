"""Bytes from a pipe, or from a file that another program is still writing."""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

from sdcl_neuro.errors import InputError

STDIN = "-"
CHUNK_BYTES = 1 << 16
POLL_S = 0.005
LINE_BYTES = 1 << 16


def follow(path: str, *, idle_s: float, stop: threading.Event) -> Iterator[bytes]:
    """Yield chunks as they arrive.

    A pipe ends when its writer closes it. A regular file ends when it has not grown for
    `idle_s`: no one says that a writer has finished.

    Args:
        path: a file or a named pipe; ``-`` is standard input.
        idle_s: seconds without growth after which a regular file is taken to be complete.
        stop: set by the caller to end early.

    Raises:
        InputError: it cannot be opened.
    """
    with _opened(path) as stream:
        regular = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
        grown = time.monotonic()
        while not stop.is_set():
            chunk = os.read(stream.fileno(), CHUNK_BYTES)
            if chunk:
                grown = time.monotonic()
                yield chunk
            elif not regular or time.monotonic() - grown >= idle_s:
                return
            else:
                stop.wait(POLL_S)


def lines(chunks: Iterator[bytes], *, where: str = "") -> Iterator[list[bytes]]:
    """Yield complete lines of each chunk; a last line without an end is given at the end.

    Raises:
        InputError: a line that does not end within `LINE_BYTES`.
    """
    rest, number = b"", 0
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        number += len(complete)
        if len(rest) > LINE_BYTES:
            raise InputError(
                f"line {number + 1} does not end within {LINE_BYTES:,} bytes",
                where=where,
                hint="give text, one event or one box a line",
            )
        yield complete
    if rest:
        yield [rest]


def records(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield whole records of `size` bytes; an incomplete last one is left out."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        whole = len(rest) // size * size
        yield rest[:whole]
        rest = rest[whole:]


def _opened(path: str) -> BinaryIO:
    try:
        # Standard input is duplicated, so that closing ours leaves it open.
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb") if path == STDIN else open(path, "rb")  # noqa: PTH123
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})", where=path, hint="give a file, a pipe or -"
        ) from None
