"""Brings samples to training: from the store, or drawn here, or ahead of time by workers."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

from sdcl_neuro.errors import EnvironmentFault

from ..datasets.workers import follow_parent
from .samples import Drawing, Request, Sample

Batch = tuple[list[Request], list[Sample]]


@dataclass
class Store:
    """Samples that can come again, up to a number of bytes.

    The first ones stay: all come again equally often, so to make room for the newest would throw
    each one out before it returns.
    """

    limit: int
    held: dict[Request, Sample] = field(default_factory=dict)
    size: int = 0

    def put(self, request: Request, sample: Sample) -> None:
        """Keep a sample, in the place of an earlier one of the same request."""
        if not request.kept:
            return
        before = self.held.get(request)
        grown = self.size + sample.size - (0 if before is None else before.size)
        if grown <= self.limit:
            self.held[request] = sample
            self.size = grown

    def clear(self) -> None:
        """Forget everything."""
        self.held.clear()
        self.size = 0


class Loader:
    """Samples of batch after batch.

    Args:
        drawing: how one is drawn.
        store: where they are kept; whoever trains may put more finished ones there.
    """

    def __init__(self, drawing: Drawing, store: Store) -> None:
        self.drawing, self.store = drawing, store
        self.workers = drawing.settings.workers
        self.pool: ProcessPoolExecutor | None = None
        if self.workers:
            import multiprocessing

            # Not fork: a copy of a process with torch's threads may stand still indefinitely.
            self.pool = ProcessPoolExecutor(
                self.workers,
                multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(drawing,),
            )

    def batches(self, plan: Iterable[list[Request]]) -> Iterator[Batch]:
        """Yield each batch of `plan` with its samples, in order.

        Raises:
            EnvironmentFault: a worker died.
        """
        if self.pool is None:
            for batch in plan:
                yield batch, [self._here(request) for request in batch]
            return
        waiting: deque[tuple[list[Request], dict[Request, Future[Sample]]]] = deque()
        running: dict[Request, Future[Sample]] = {}
        try:
            for batch in plan:
                waiting.append((batch, self._asked(self.pool, batch, running)))
                if len(waiting) > 1 + math.ceil(2 * self.workers / len(batch)):
                    yield self._arrived(*waiting.popleft(), running)
            while waiting:
                yield self._arrived(*waiting.popleft(), running)
        except BrokenProcessPool:
            raise EnvironmentFault(
                "a worker died while it loaded tracklets",
                where="training.workers",
                hint="run the same command again with fewer workers: it resumes",
            ) from None
        finally:
            for _, futures in waiting:
                for future in futures.values():
                    future.cancel()

    def close(self) -> None:
        """End the workers."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def _here(self, request: Request) -> Sample:
        found = self.store.held.get(request)
        if found is None:
            found = self.drawing.draw(request)
            self.store.put(request, found)
        return found

    def _asked(
        self,
        pool: ProcessPoolExecutor,
        batch: list[Request],
        running: dict[Request, Future[Sample]],
    ) -> dict[Request, Future[Sample]]:
        """Give the workers what is neither stored nor being loaded of a batch."""
        asked = {}
        for request in dict.fromkeys(batch):
            if request in self.store.held:
                continue
            if request not in running:
                running[request] = pool.submit(_draw, request)
            asked[request] = running[request]
        return asked

    def _arrived(
        self,
        batch: list[Request],
        asked: dict[Request, Future[Sample]],
        running: dict[Request, Future[Sample]],
    ) -> Batch:
        for request, future in asked.items():
            running.pop(request, None)
            if request not in self.store.held:
                self.store.put(request, future.result())
        held = self.store.held
        return batch, [held[one] if one in held else asked[one].result() for one in batch]


_drawing: Drawing | None = None


def _begin(drawing: Drawing) -> None:
    """Make a worker ready."""
    import signal

    global _drawing
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the training process ends it
    follow_parent()
    _drawing = drawing


def _draw(request: Request) -> Sample:
    if _drawing is None:
        raise RuntimeError("the worker was not made ready")
    return _drawing.draw(request)
