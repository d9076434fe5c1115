"""One camera's frames taken in and cut to tracklets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sdcl_neuro.events import Events
from sdcl_neuro.events.alignment import View
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.events.tracklets.event_source import EventSource
from sdcl_neuro.events.tracklets.frame_files import Frame
from sdcl_neuro.events.tracklets.track_rows import Box
from sdcl_neuro.profiling.ledger import Ledger

from ..sdcl_checkpoint import ClipFormat
from .boxes import BoxSource
from .cutter import LiveCutter
from .frames import FrameSource
from .queue import DropQueue


@dataclass(frozen=True, eq=False)
class Waiting:
    """A tracklet that waits for its embedding.

    Attributes:
        tracklet: as it was cut.
        arrived: when its last frame came, on `time.perf_counter`.
        camera: name of the camera it comes from; empty where there is one only.
        run: number of the reader's run, where a camera is opened again and again.
        beside: other tracks in the picture of its last frame.
    """

    tracklet: Tracklet
    arrived: float
    camera: str = ""
    run: int = 0
    beside: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class SeenFrame:
    """One frame as a reader took it in.

    Attributes:
        index: from 0.
        time_us: on the frames' clock.
        frame: uint8 RGB ``[H, W, 3]``.
        events: of the interval before the frame, of the whole sensor.
        boxes: by track, in the frame's pixels.
        view: how the events' sensor lies to the frame.
    """

    index: int
    time_us: int
    frame: Frame
    events: Events
    boxes: Mapping[int, Box]
    view: View


class CameraReader:
    """Reads one camera until it ends or is stopped; tracklets go into a queue.

    Args:
        clip: what a tracklet looks like.
        frames, events, boxes: of one camera that stands still, on one clock.
        queue: takes the tracklets.
        ledger: cutting is entered in it.
        stop: set from outside to end it.
        camera, run: see `Waiting`.
        on_look: called with each frame, on the thread that reads.
        on_end: called at the end of a thread that `begin` started, with what went wrong or None.

    Attributes:
        count: frames taken in.
        cut: tracklets that were complete.
        begun: when the first frame came, on `time.perf_counter`; None before it.
    """

    def __init__(
        self,
        clip: ClipFormat,
        *,
        frames: FrameSource,
        events: EventSource,
        boxes: BoxSource,
        queue: DropQueue[Waiting],
        ledger: Ledger,
        stop: threading.Event,
        camera: str = "",
        run: int = 0,
        on_look: Callable[[SeenFrame], None] = lambda look: None,
        on_end: Callable[[BaseException | None], None] = lambda error: None,
    ) -> None:
        self._frames, self.events, self.boxes = frames, events, boxes
        self._queue, self._ledger, self._stop = queue, ledger, stop
        self.camera, self.run = camera, run
        self._on_look, self._on_end = on_look, on_end
        self.cutter = LiveCutter(clip)
        self.count = self.cut = 0
        self.begun: float | None = None
        # A thread made here would hold its reader, and the reader it: neither would go before
        # the next collection of everything, with all that the reader holds.
        self._thread: threading.Thread | None = None

    @property
    def late_events(self) -> int:
        """Events that came after their interval was closed."""
        return int(getattr(self.events, "late", 0))

    def begin(self) -> None:
        """Start reading on a thread of its own."""
        self._thread = threading.Thread(target=self._read_and_tell, name="live-frames", daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for the end; it may sit in a read indefinitely. Return whether it came."""
        if self._thread is None:
            return True
        self._thread.join(timeout=timeout)
        return not self._thread.is_alive()

    def read(self) -> None:
        """Read on this thread until the camera ends; raises what it says of its content."""
        after_us = self._frames.start_us
        for index, time_us, frame in self._frames.frames(self._stop):
            arrived = time.perf_counter()
            self.begun = arrived if self.begun is None else self.begun
            done, tracks = self._take(index, after_us, time_us, frame)
            for tracklet in done:
                self.cut += 1
                beside = tracks - {tracklet.person}
                self._queue.put(Waiting(tracklet, arrived, self.camera, self.run, beside))
            after_us, self.count = time_us, index + 1

    def _read_and_tell(self) -> None:
        try:
            self.read()
        except BaseException as error:
            self._on_end(error)
        else:
            self._on_end(None)

    def _take(
        self, index: int, after_us: int, time_us: int, frame: Frame
    ) -> tuple[list[Tracklet], frozenset[int]]:
        """Take a frame in; return the tracklets that it completes, and the tracks it shows."""
        with self._ledger.stage("cutting", synchronise=False):
            seen = self.events.interval(after_us, time_us, frame)
            boxes = self.boxes.boxes(index)
            view = self.events.view
            done = self.cutter.add(index, after_us, time_us, frame, seen, boxes, view)
        self._on_look(SeenFrame(index, time_us, frame, seen, boxes, view))
        return done, frozenset(boxes)
