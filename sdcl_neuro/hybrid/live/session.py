"""`run_live`: a stream in, embeddings out as they are done."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.events.tracklets.event_source import EventSource
from sdcl_neuro.network.arguments import public

from ..model import Sdcl
from ..runtime import EventBackend
from ..sdcl_checkpoint import ClipFormat
from .boxes import BoxSource
from .embedder import Embedded, Embedder
from .frames import FrameSource
from .queue import DropQueue
from .reader import CameraReader, Waiting
from .report import LiveReport, Seen
from .settings import LiveSettings
from .tracks import Tracks

LATENCIES_KEPT = 100_000
OnSeen = Callable[[Seen, NDArray[np.float32]], None]


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
    settings, stop = settings or LiveSettings(), stop or threading.Event()
    queue: DropQueue[Waiting] = DropQueue(settings.queue, settings.policy, stop)
    embedder = Embedder(model, clip, settings, queue)
    reader = CameraReader(
        clip,
        frames=frames,
        events=events,
        boxes=boxes,
        queue=queue,
        ledger=embedder.ledger,
        stop=stop,
        on_end=queue.close,
    )
    told = _Told(on_seen)

    def end() -> None:
        stop.set()
        reader.join(timeout=1.0)

    embedder.run(backend, told.take, begin=reader.begin, end=end)
    return told.report(settings, reader, queue, embedder)


class _Told:
    """What was embedded so far, and who is told of it."""

    def __init__(self, on_seen: OnSeen) -> None:
        self._on_seen = on_seen
        self._tracks = Tracks()
        self._latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._embedded, self._last = 0, 0.0

    def take(self, done: Embedded) -> None:
        self._last = done.done
        for one, row in zip(done.batch, done.rows, strict=True):
            seen = seen_of(one, done)
            self._latencies.append(seen.latency_s)
            self._embedded += 1
            self._on_seen(self._tracks.compare(seen, row), row)

    def report(
        self,
        settings: LiveSettings,
        reader: CameraReader,
        queue: DropQueue[Waiting],
        embedder: Embedder,
    ) -> LiveReport:
        begun = reader.begun
        return LiveReport(
            mode=settings.mode,
            policy=settings.policy,
            batch=settings.batch,
            queue=settings.queue,
            seconds=max(0.0, self._last - begun) if begun is not None else 0.0,
            frames=reader.count,
            cut=reader.cut,
            embedded=self._embedded,
            dropped=queue.dropped,
            unfinished=len(queue),
            interrupted=reader.cutter.interrupted,
            mended=reader.cutter.mended,
            late_events=reader.late_events,
            late_boxes=reader.boxes.late,
            deepest=queue.deepest,
            latencies_s=tuple(self._latencies),
            ledger=embedder.ledger,
        )


def seen_of(one: Waiting, done: Embedded) -> Seen:
    """Return what is said of a tracklet of a batch."""
    return Seen(
        name=one.tracklet.name,
        track=one.tracklet.person,
        first_frame=int(one.tracklet.indices[0]) + 1,
        last_frame=int(one.tracklet.indices[-1]) + 1,
        latency_s=done.done - one.arrived,
        waited_s=done.taken - one.arrived,
    )
