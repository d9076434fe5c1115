"""Texts from files as a terminal may show them: without control characters, and not too long."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

LONGEST = 2_000
"""Characters of a message on the command line."""
_KEPT = frozenset("\n\t\r")
# Control, format (direction marks, zero widths), surrogate and private characters.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co"})


def harmless(text: str) -> str:
    """Return one line in which what a terminal would obey is spelled out.

    Escape sequences, direction marks and other unseen characters become ``\\x1b`` and the like;
    white space becomes single blanks.
    """
    line = " ".join(text.split())
    return line if line.isascii() and line.isprintable() else "".join(map(_spelled, line))


def shortened(text: str, longest: int = LONGEST) -> str:
    """Return a text of at most `longest` characters, cut in its middle with a word on how much."""
    if len(text) <= longest:
        return text
    # What was wrong stands at the beginning, what to do at the end.
    head, tail = longest * 2 // 3, longest // 4
    return f"{text[:head]} [... {len(text) - head - tail:,} characters left out ...] {text[-tail:]}"


def _spelled(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


class _Harmless:
    """A text stream that spells out control characters, but for line ends, tabs and returns."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text without what a terminal would obey."""
        plain = text.isascii() and all(c.isprintable() or c in _KEPT for c in text)
        shown = text if plain else "".join(c if c in _KEPT else _spelled(c) for c in text)
        self._stream.write(shown)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def harmless_output() -> Iterator[None]:
    """Have everything that is printed in the body spelled out harmlessly, on both streams.

    Names of layers, labels and titles come from files, and an escape sequence among them could
    rewrite what the terminal shows, or worse. Progress bars draw on ``sys.__stderr__``.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, _Harmless(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
