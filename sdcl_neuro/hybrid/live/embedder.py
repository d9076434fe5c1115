"""Tracklets of a queue embedded batch after batch, whichever cameras they come from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sdcl_neuro.devices import torch_threads
from sdcl_neuro.network.record import Record

from ..dense_backends import decided, made_ready
from ..model import Sdcl
from ..runtime import DenseSide, EventBackend, EventWorker, share_out
from ..sdcl_checkpoint import ClipFormat
from .queue import DropQueue
from .reader import Waiting
from .settings import LiveSettings

SPANS_KEPT = 1_000


@dataclass(frozen=True, eq=False)
class Embedded:
    """One batch that was embedded.

    Attributes:
        batch: the tracklets, from one camera or several.
        rows: float32 ``[B, D]``, of unit length.
        record: what the event branch did, sample by sample.
        taken, done: when the batch was taken from the queue and when it was embedded, on
            `time.perf_counter`.
    """

    batch: Sequence[Waiting]
    rows: NDArray[np.float32]
    record: Record
    taken: float
    done: float


class Embedder:
    """The dense side and the event branch, driven by a queue.

    Args:
        model: SDCL; its own event branch is not used.
        clip: what its tracklets look like.
        settings: see `LiveSettings`.
        queue: holds the tracklets.

    Attributes:
        ledger: latency by stage.
    """

    def __init__(
        self, model: Sdcl, clip: ClipFormat, settings: LiveSettings, queue: DropQueue[Waiting]
    ) -> None:
        self._settings, self._queue = settings, queue
        self._dense = _dense_side(model, settings)
        self.ledger = self._dense.new_ledger(keep=SPANS_KEPT)
        together = settings.batch if settings.mode == "throughput" else 1
        self._shares = share_out(model, self._dense.device, frames=clip.frames * together)
        self.ledger.threads = self._shares.to_dict()

    def run(
        self,
        backend: EventBackend,
        on_embedded: Callable[[Embedded], None],
        *,
        begin: Callable[[], None] = lambda: None,
        end: Callable[[], None] = lambda: None,
    ) -> None:
        """Embed until the queue is over.

        Args:
            backend: runs the event branch, on a thread of its own.
            on_embedded: called on this thread with each batch.
            begin, end: called once everything is ready, and however it ends.
        """
        with ExitStack() as stack:
            stack.enter_context(torch_threads(self._shares.dense.count))
            worker = stack.enter_context(
                EventWorker(backend, self.ledger, threads=self._shares.events)
            )
            stack.enter_context(torch.inference_mode())
            stack.callback(end)
            begin()
            self._embed_all(worker, on_embedded)

    def _embed_all(self, worker: EventWorker, on_embedded: Callable[[Embedded], None]) -> None:
        full = self._settings.mode == "throughput"
        ahead: tuple[list[Waiting], Future[Record]] | None = None
        while True:
            batch = self._queue.take(self._settings.batch, fill=full, wait=ahead is None)
            begun = (batch, worker.submit([one.tracklet for one in batch])) if batch else None
            if ahead is not None:
                on_embedded(self._embed(*ahead))
            elif begun is None:
                return
            if begun is not None and not full:
                on_embedded(self._embed(*begun))
                begun = None
            ahead = begun

    def _embed(self, batch: list[Waiting], events: Future[Record]) -> Embedded:
        taken = time.perf_counter()
        tracklets = [one.tracklet for one in batch]
        embedded, record = self._dense.embed(tracklets, events, self.ledger)
        rows = embedded.cpu().numpy()
        return Embedded(batch, rows, record, taken, time.perf_counter())


def _dense_side(model: Sdcl, settings: LiveSettings) -> DenseSide:
    kind = decided(settings.dense_backend, model, settings.device)
    if kind == "eager":
        return DenseSide(model, settings.device)
    device = settings.device or "cpu"
    return DenseSide(made_ready(model, kind, device=device), device)
