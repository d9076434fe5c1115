"""`run_live`: a stream in, embeddings out as they are done."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from sdcl_neuro.devices import torch_threads
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.events.tracklets.event_source import EventSource
from sdcl_neuro.network.arguments import public, public_class
from sdcl_neuro.network.record import Record

from ..dense_backends import CALIBRATED, decided, made_ready
from ..model import Sdcl
from ..runtime import DenseSide, EventBackend, EventWorker, share_out
from ..sdcl_checkpoint import ClipFormat
from .boxes import BoxSource
from .cutter import LiveCutter
from .frames import FrameSource
from .queue import DropQueue, Policy
from .report import LiveReport, Seen
from .tracks import Tracks

Mode = Literal["latency", "throughput"]
MODES: tuple[str, ...] = get_args(Mode)
LATENCIES_KEPT = 100_000
SPANS_KEPT = 1_000


@public_class
@dataclass(frozen=True)
class LiveSettings:
    """How a live session works.

    Attributes:
        mode: ``latency`` embeds what waits, at once; ``throughput`` waits until a batch is full,
            and runs one batch's events beside the batch before.
        batch: tracklets at a time, at most.
        queue: tracklets that may wait; from `batch`.
        policy: see `DropQueue`. ``block`` holds the source up, which a recording can bear.
        device: of the dense side; None takes a GPU where there is one.
        dense_backend: one of `hybrid.dense_backends.DENSE_BACKENDS` but ``onnx-int8``, which takes
            its ranges from tracklets that a stream has not brought yet; None takes ``folded`` on a
            CPU and ``eager`` on a GPU.

    Raises:
        InputError: an unknown mode, a batch below 1, a queue that holds no batch, a dense backend
            that needs tracklets before it begins.
    """

    mode: Mode = "latency"
    batch: int = 4
    queue: int = 16
    policy: Policy = "oldest"
    device: str | None = None
    dense_backend: str | None = None

    def __post_init__(self) -> None:
        if self.dense_backend in CALIBRATED:
            raise InputError(
                f"dense backend {self.dense_backend!r} takes its ranges from tracklets, and a "
                "stream has brought none",
                hint="give another, for example onnx",
            )
        if self.mode not in MODES:
            raise InputError(f"mode {self.mode!r}", hint=f"give one of {', '.join(MODES)}")
        if not 1 <= self.batch <= self.queue:
            raise InputError(
                f"batches of {self.batch} from a queue of {self.queue}",
                hint="give a batch from 1 and a queue that holds it",
            )


@dataclass(frozen=True, eq=False)
class _Waiting:
    tracklet: Tracklet
    arrived: float


@public
def run_live(
    model: Sdcl,
    clip: ClipFormat,
    backend: EventBackend,
    *,
    frames: FrameSource,
    events: EventSource,
    boxes: BoxSource,
    settings: LiveSettings | None = None,
    on_seen: Callable[[Seen, NDArray[np.float32]], None] = lambda seen, embedding: None,
    stop: threading.Event | None = None,
) -> LiveReport:
    """Embed the tracklets of a stream until it ends, or until `stop` is set.

    One thread takes frames in and cuts tracklets, one runs the event branch, this one runs the
    dense side. Memory does not grow with the stream.

    Args:
        model: SDCL; its own event branch is not used.
        clip: what its tracklets look like.
        backend: runs the event branch.
        frames, events, boxes: of one camera that stands still, on one clock.
        settings: see `LiveSettings`.
        on_seen: called on this thread with each tracklet as it is done and its embedding,
            float32 ``[D]`` of unit length.
        stop: ends the session: what is under way is finished, what waits is not begun.

    Raises:
        InputError: what a source says of its content; everything before it has been embedded.
    """
    settings = settings or LiveSettings()
    session = _Session(model, clip, settings, frames, events, boxes, stop or threading.Event())
    with ExitStack() as stack:
        stack.enter_context(torch_threads(session.shares.dense.count))
        worker = stack.enter_context(
            EventWorker(backend, session.ledger, threads=session.shares.events)
        )
        stack.enter_context(torch.inference_mode())
        stack.callback(session.end)
        session.begin()
        session.embed_all(worker, on_seen)
    return session.report()


def _dense_side(model: Sdcl, settings: LiveSettings) -> DenseSide:
    kind = decided(settings.dense_backend, model, settings.device)
    if kind == "eager":
        return DenseSide(model, settings.device)
    device = settings.device or "cpu"
    return DenseSide(made_ready(model, kind, device=device), device)


class _Session:
    """The threads' common ground."""

    def __init__(
        self,
        model: Sdcl,
        clip: ClipFormat,
        settings: LiveSettings,
        frames: FrameSource,
        events: EventSource,
        boxes: BoxSource,
        stop: threading.Event,
    ) -> None:
        self.settings, self.stop = settings, stop
        self._frames, self._events, self._boxes = frames, events, boxes
        self._dense = _dense_side(model, settings)
        self.ledger = self._dense.new_ledger(keep=SPANS_KEPT)
        together = settings.batch if settings.mode == "throughput" else 1
        self.shares = share_out(model, self._dense.device, frames=clip.frames * together)
        self.ledger.threads = self.shares.to_dict()
        self._queue: DropQueue[_Waiting] = DropQueue(settings.queue, settings.policy, stop)
        self._cutter = LiveCutter(clip)
        self._tracks = Tracks()
        self._latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._count = self._cut = self._embedded = 0
        self._begun: float | None = None
        self._last = 0.0
        self._reader = threading.Thread(target=self._read, name="live-frames", daemon=True)

    def begin(self) -> None:
        self._reader.start()

    def end(self) -> None:
        """Stop reading. The reader is waited for a moment: it may sit in a read indefinitely."""
        self.stop.set()
        self._reader.join(timeout=1.0)

    def _read(self) -> None:
        try:
            after_us = self._frames.start_us
            for index, time_us, frame in self._frames.frames(self.stop):
                arrived = time.perf_counter()
                self._begun = arrived if self._begun is None else self._begun
                with self.ledger.stage("cutting", synchronise=False):
                    seen = self._events.interval(after_us, time_us, frame)
                    boxes = self._boxes.boxes(index)
                    view = self._events.view
                    done = self._cutter.add(index, after_us, time_us, frame, seen, boxes, view)
                after_us, self._count = time_us, index + 1
                for tracklet in done:
                    self._cut += 1
                    self._queue.put(_Waiting(tracklet, arrived))
        except BaseException as error:
            self._queue.close(error)
        else:
            self._queue.close()

    def embed_all(
        self, worker: EventWorker, on_seen: Callable[[Seen, NDArray[np.float32]], None]
    ) -> None:
        """Embed batch after batch until nothing more comes."""
        full = self.settings.mode == "throughput"
        ahead: tuple[list[_Waiting], Future[Record]] | None = None
        while True:
            batch = self._queue.take(self.settings.batch, fill=full, wait=ahead is None)
            begun = (batch, worker.submit([one.tracklet for one in batch])) if batch else None
            if ahead is not None:
                self._embed(*ahead, on_seen)
            elif begun is None:
                return
            if begun is not None and not full:
                self._embed(*begun, on_seen)
                begun = None
            ahead = begun

    def _embed(
        self,
        batch: list[_Waiting],
        events: Future[Record],
        on_seen: Callable[[Seen, NDArray[np.float32]], None],
    ) -> None:
        taken = time.perf_counter()
        embedded, _ = self._dense.embed([one.tracklet for one in batch], events, self.ledger)
        rows = embedded.cpu().numpy()
        self._last = time.perf_counter()
        for one, row in zip(batch, rows, strict=True):
            seen = Seen(
                name=one.tracklet.name,
                track=one.tracklet.person,
                first_frame=int(one.tracklet.indices[0]) + 1,
                last_frame=int(one.tracklet.indices[-1]) + 1,
                latency_s=self._last - one.arrived,
                waited_s=taken - one.arrived,
            )
            self._latencies.append(seen.latency_s)
            self._embedded += 1
            on_seen(self._tracks.compare(seen, row), row)

    def report(self) -> LiveReport:
        settings, queue = self.settings, self._queue
        return LiveReport(
            mode=settings.mode,
            policy=settings.policy,
            batch=settings.batch,
            queue=settings.queue,
            seconds=max(0.0, self._last - self._begun) if self._begun is not None else 0.0,
            frames=self._count,
            cut=self._cut,
            embedded=self._embedded,
            dropped=queue.dropped,
            unfinished=len(queue),
            interrupted=self._cutter.interrupted,
            mended=self._cutter.mended,
            late_events=getattr(self._events, "late", 0),
            late_boxes=self._boxes.late,
            deepest=queue.deepest,
            latencies_s=tuple(self._latencies),
            ledger=self.ledger,
        )
