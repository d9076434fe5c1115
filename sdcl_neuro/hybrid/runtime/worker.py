"""The thread that drives the event backend; it ends with its block, however that ends."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.network.record import Record
from sdcl_neuro.processors import at_most, usable
from sdcl_neuro.profiling.ledger import Ledger

EventBackend = Callable[[NDArray[np.uint8]], Record]
"""Spikes uint8 ``[T, B, 2, H, W]`` to a record that holds at least the last layer's spikes."""


class EventWorker:
    """Runs batches on a thread of its own, in order; nothing new begins after a failure.

    On leaving the block the thread is joined. A batch under way is waited for, but after
    Ctrl-C or ``SystemExit``: the backend gets the interruption too, so that it can clean up.

    Args:
        backend: see `EventBackend`.
        ledger: every batch is entered as a passage through the stage ``event branch``.
        threads: that the backend may use in this process; all that are usable if left out.
    """

    def __init__(
        self, backend: EventBackend, ledger: Ledger, *, threads: int | None = None
    ) -> None:
        self._backend, self._ledger = backend, ledger
        self._limit = usable() if threads is None else threads
        self._over = threading.Event()
        self._thread: int | None = None  # while a batch is under way
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="event-branch")

    def __enter__(self) -> EventWorker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if kind is not None and not issubclass(kind, Exception):
            self._interrupt(kind)
        self._pool.shutdown(cancel_futures=True)

    def submit(self, tracklets: Sequence[Tracklet]) -> Future[Record]:
        """Queue one batch."""
        return self._pool.submit(self._run, tracklets)

    def _run(self, tracklets: Sequence[Tracklet]) -> Record:
        if self._over.is_set():
            raise CancelledError
        self._thread = threading.get_ident()
        try:
            # Without synchronising: this thread has nothing on the GPU and must not wait for it.
            with (
                at_most(self._limit),
                self._ledger.stage("event branch", synchronise=False),
            ):
                return self._backend(np.stack([tracklet.spikes for tracklet in tracklets], axis=1))
        except BaseException:
            self._over.set()
            raise
        finally:
            self._thread = None

    def _interrupt(self, kind: type[BaseException]) -> None:
        """Hand this signal on, since Python delivers signals to the main thread only."""
        thread = self._thread
        if thread is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread), ctypes.py_object(kind)
            )
