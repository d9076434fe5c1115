"""Structured logs: one JSON object a line; no token, no address of a page, no picture, no name."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from sdcl_neuro.errors import InputError

from .routes import ApiRoute


class Log:
    """Says what happens to people, and writes all of it to a file where one is given.

    Args:
        path: of the file, which is added to; None writes none.
        say: told what a user should know, in one line.

    Raises:
        InputError: a file that cannot be written.
    """

    def __init__(self, path: Path | None, say: Callable[[str], None]) -> None:
        self._say, self._lock = say, threading.Lock()
        self._stream: IO[str] | None = None
        if path is not None:
            try:
                self._stream = path.open("a", encoding="utf-8")
            except OSError as error:
                raise InputError(
                    f"cannot be written ({error.strerror})", where=str(path), hint="give another"
                ) from None

    def note(self, line: str) -> None:
        """Say a line, and write it."""
        self._say(line)
        self._write("note", {"text": line})

    def request(self, row: ApiRoute, status: int, seconds: float) -> None:
        """Write one request: its row, not its parameters, which name persons."""
        self._write(
            "request",
            {"method": row.method, "path": row.path, "status": status, "ms": 1e3 * seconds},
        )

    def refused(self, status: int, reason: str) -> None:
        """Write a refusal."""
        self._write("refused", {"status": status, "reason": reason})

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._stream is not None:
                self._stream.close()
                self._stream = None

    def _write(self, event: str, values: dict[str, Any]) -> None:
        with self._lock:
            if self._stream is not None:
                line = {"time": time.time(), "event": event, **values}
                self._stream.write(json.dumps(line) + "\n")
                self._stream.flush()
