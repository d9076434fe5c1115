"""Progress bars on standard error, silent where asked to be or where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager


def progress_bars(
    *, quiet: bool
) -> Callable[[str, int], AbstractContextManager[Callable[[int], None]]]:
    """A maker of progress bars: ``with bars(title, total) as advance: advance(1)``."""

    @contextmanager
    def bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        console = Console(stderr=True)
        with Progress(
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=quiet or not console.is_terminal,
        ) as progress:
            task = progress.add_task(title, total=total)
            yield lambda count: progress.advance(task, count)

    return bar
