"""Cameras: each is opened, read and, where asked or lost, opened again, on a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sdcl_neuro.errors import SdclNeuroError
from sdcl_neuro.events.tracklets.track_rows import Box
from sdcl_neuro.hybrid.live.cameras import is_event_camera
from sdcl_neuro.hybrid.live.frames import is_camera
from sdcl_neuro.hybrid.live.queue import DropQueue
from sdcl_neuro.hybrid.live.reader import CameraReader, SeenFrame, Waiting
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat
from sdcl_neuro.profiling.ledger import Ledger

from ..pipeline.stream_opening import open_stream
from .settings import CameraSpec

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""A camera that was lost is opened again after so long, twice as long after each failure."""
State = Literal["opening", "live", "lost", "ended", "failed"]


@dataclass(frozen=True)
class Lookout:
    """What a camera tells others.

    Attributes:
        on_look: called with each frame, on the camera's thread.
        on_state: called when its state changes.
        say: told in one line what a user should know.
    """

    on_look: Callable[[WatchedCamera, SeenFrame], None]
    on_state: Callable[[WatchedCamera], None]
    say: Callable[[str], None]


class WatchedCamera:
    """One camera.

    Args:
        spec: as asked for.
        clip: what the model's tracklets look like.
        queue: takes the tracklets.
        ledger: cutting is entered in it.
        lookout: who is told.

    Attributes:
        state: ``opening``, ``live``, ``lost`` (to be opened again), ``ended``, ``failed``.
        reason: why it was lost or failed; empty otherwise.
        run: how often it was opened.
        look: the last frame; None before the first.
    """

    def __init__(
        self,
        spec: CameraSpec,
        clip: ClipFormat,
        *,
        queue: DropQueue[Waiting],
        ledger: Ledger,
        lookout: Lookout,
    ) -> None:
        self.spec, self._clip, self._queue, self._ledger = spec, clip, queue, ledger
        self._lookout = lookout
        self.state: State = "opening"
        self.reason = ""
        self.run = 0
        self.look: SeenFrame | None = None
        self._frames = self._cut = 0  # of earlier runs
        self._reader: CameraReader | None = None
        self._begun = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="serve-camera", daemon=True)

    def begin(self) -> None:
        """Open it and read."""
        self._thread.start()

    def stop(self) -> None:
        """Tell it to end."""
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait for its end; it may sit in a read that never returns. Return whether it ended."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    @property
    def over(self) -> bool:
        """Whether it will not be opened again."""
        return self.state in ("ended", "failed")

    def visit(self, track: int, run: int | None = None) -> str:
        """Return name of the visit of a track; the run it belongs to is the present one if left
        out.
        """
        return f"{self.spec.name}/{self._begun}-{self.run if run is None else run}/{track}"

    def boxes(self) -> Mapping[int, Box]:
        """Return boxes of the last frame, by track."""
        look = self.look
        return {} if look is None else look.boxes

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        reader, look = self._reader, self.look
        return {
            "name": self.spec.name,
            "state": self.state,
            "reason": self.reason,
            "runs": self.run,
            "frames": self._frames + (reader.count if reader else 0),
            "tracklets": self._cut + (reader.cut if reader else 0),
            "dropped": self._queue.dropped_of[self.spec.name],
            "persons": len(self.boxes()) if self.state == "live" else 0,
            "late_events": reader.late_events if reader else 0,
            "late_boxes": reader.boxes.late if reader else 0,
            "size": None if look is None else [look.frame.shape[1], look.frame.shape[0]],
        }

    def _work(self) -> None:
        pause = FIRST_PAUSE_S
        self._stop.wait(self.spec.delay_s)
        self._begun = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        while not self._stop.is_set():
            error, frames = self._once()
            if self._stop.is_set():
                return
            if error is not None:
                self._lookout.say(f"camera {self.spec.name}: {error}")
            if error is None and self.spec.loop and frames:
                continue
            if not self._returns():
                self._tell("ended" if error is None else "failed", error)
                return
            pause = FIRST_PAUSE_S if frames else min(LONGEST_PAUSE_S, 2 * pause)
            self._tell("lost", error or "no more pictures came")
            self._stop.wait(pause)

    def _once(self) -> tuple[Exception | None, int]:
        """Read it once, to its end; return what went wrong, and how many frames came."""
        self.run += 1
        reader: CameraReader | None = None
        try:
            opened = open_stream(self.spec.source, self._clip, self._say)
            if self.run == 1:
                for line in (*(f"assumed: {one}" for one in opened.assumed), *opened.said):
                    self._say(line)
            with ExitStack() as stack:
                for context in opened.contexts:
                    stack.enter_context(context)
                reader = self._reader = self._opened(opened.frames, opened.events, opened.boxes)
                reader.read()
        except SdclNeuroError as error:
            return error.with_traceback(None), self._closed(reader)
        except Exception as error:  # a decoder's own; the other cameras go on
            return error.with_traceback(None), self._closed(reader)
        return None, self._closed(reader)

    def _opened(self, frames: Any, events: Any, boxes: Any) -> CameraReader:
        return CameraReader(
            self._clip,
            frames=frames,
            events=events,
            boxes=boxes,
            queue=self._queue,
            ledger=self._ledger,
            stop=self._stop,
            camera=self.spec.name,
            run=self.run,
            on_look=self._seen,
        )

    def _closed(self, reader: CameraReader | None) -> int:
        if reader is None:
            return 0
        self._frames, self._cut = self._frames + reader.count, self._cut + reader.cut
        self._reader = None
        return reader.count

    def _seen(self, look: SeenFrame) -> None:
        self.look = look
        if self.state != "live":
            self._tell("live")
        self._lookout.on_look(self, look)

    def _tell(self, state: State, reason: object = "") -> None:
        self.state, self.reason = state, "" if reason is None else str(reason)
        self._lookout.on_state(self)

    def _say(self, line: str) -> None:
        self._lookout.say(f"camera {self.spec.name}: {line}")

    def _returns(self) -> bool:
        """Return whether it is a camera that may come back, not a recording."""
        source = self.spec.source
        camera = source.raw_size is None and is_camera(source.frames)
        events = source.events is not None and is_event_camera(source.events)
        return camera or (events and not str(source.events).startswith("play:"))


def unix_us() -> int:
    """Return the time of day in microseconds since 1970 (UTC)."""
    return time.time_ns() // 1000
