"""Progress on standard error: bars in a terminal, now and then a line elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

FIRST_S = 5.0
"""So long nothing is said where no one sees a bar; then there is an estimate."""
EVERY_S = 15.0


def progress_bars(
    *, quiet: bool
) -> Callable[[str, int], AbstractContextManager[Callable[[int], None]]]:
    """Return a maker of progress bars: ``with bars(title, total) as advance: advance(1)``."""

    @contextmanager
    def bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
        if quiet:
            yield lambda count: None
        elif not sys.stderr.isatty():
            yield Lines(title, total).advance
        else:
            with _drawn(title, total) as advance:
                yield advance

    return bar


class Lines:
    """Progress as lines of text, for a log or a pipe.

    Args:
        title: of what goes on.
        total: steps in all.
        clock: seconds, monotonic.
    """

    def __init__(
        self, title: str, total: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._title, self._total, self._clock = title, total, clock
        self._begun = clock()
        self._due = self._begun + FIRST_S
        self._done = 0

    def advance(self, count: int) -> None:
        """Count steps; print a line if the last one is some time ago."""
        self._done += count
        now = self._clock()
        if now < self._due or self._done <= 0 or self._done >= self._total:
            return
        self._due = now + EVERY_S
        left = (now - self._begun) / self._done * (self._total - self._done)
        line = f"{self._title} {self._done}/{self._total}, about {_duration(left)} left"
        print(line, file=sys.stderr, flush=True)


@contextmanager
def _drawn(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Draw a bar at once that moves while the first step takes its time."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        SpinnerColumn(),
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        # What is printed by name is spelled out harmlessly; a bar is drawn by escape sequences.
        console=Console(file=sys.__stderr__),
    ) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)


def _duration(seconds: float) -> str:
    """Return seconds, or minutes from two on."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
