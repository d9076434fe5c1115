"""Lines that a user waits better for: what takes long now, and will not the next time.

Deep inside, code says a notice; the command line listens and prints it. As a library nothing is
printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[str], None]] = []
_said: set[str] = set()


def notice(line: str) -> None:
    """Say a line to whoever listens, once in a process."""
    if _listeners and line not in _said:
        _said.add(line)
        for listener in tuple(_listeners):
            listener(line)


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Send the notices of this block to a listener."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
