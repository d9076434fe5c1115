"""What is current, and who is told of it: every open page has a bounded box of messages."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

MESSAGES_KEPT = 256
"""Messages that may wait for one page; the oldest are dropped and counted."""
PICTURES_PER_S = 8.0
"""Pictures of one camera that are made in a second, at most."""

Message = str | bytes


class Viewer:
    """One open page: messages in order, and of each camera the newest picture only.

    Attributes:
        watched: cameras whose pictures it wants.
        dropped: messages that it was too slow for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._wake = loop, asyncio.Event()
        self._lock = threading.Lock()
        self._texts: deque[str] = deque()
        self._pictures: dict[str, bytes] = {}
        self.watched: frozenset[str] = frozenset()
        self.dropped = 0

    def tell(self, text: str) -> None:
        """Add a message."""
        with self._lock:
            if len(self._texts) >= MESSAGES_KEPT:
                self._texts.popleft()
                self.dropped += 1
            self._texts.append(text)
        self._rouse()

    def show(self, camera: str, picture: bytes) -> None:
        """Add a picture in place of an older one of the same camera."""
        with self._lock:
            self._pictures[camera] = picture
        self._rouse()

    def idle(self, camera: str) -> bool:
        """Return whether it wants a camera's pictures and has none waiting."""
        return camera in self.watched and camera not in self._pictures

    async def next(self) -> list[Message]:
        """Wait for messages and take them all, texts first."""
        await self._wake.wait()
        with self._lock:
            self._wake.clear()
            taken: list[Message] = [*self._texts, *self._pictures.values()]
            self._texts.clear()
            self._pictures.clear()
        return taken

    def _rouse(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._wake.set)
        except RuntimeError:  # the server's loop has ended
            return


class Hub:
    """Tells every open page; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._viewers: list[Viewer] = []
        self._shown: dict[str, float] = {}
        self._gone = 0

    def join(self, limit: int) -> Viewer | None:
        """Add a page, on the server's loop; None where `limit` are open already."""
        viewer = Viewer(asyncio.get_running_loop())
        with self._lock:
            if len(self._viewers) >= limit:
                return None
            self._viewers.append(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Remove a page."""
        with self._lock:
            self._viewers.remove(viewer)
            self._gone += viewer.dropped

    @property
    def viewers(self) -> int:
        """How many pages are open."""
        return len(self._viewers)

    @property
    def dropped(self) -> int:
        """Messages that pages were too slow for."""
        with self._lock:
            return self._gone + sum(viewer.dropped for viewer in self._viewers)

    def publish(self, kind: str, values: Mapping[str, Any]) -> None:
        """Tell every page."""
        text = json.dumps({"type": kind, **values})
        for viewer in self._now():
            viewer.tell(text)

    def wants(self, camera: str) -> bool:
        """Return whether to make a picture of a camera now; counts as made if so."""
        now = time.monotonic()
        if now - self._shown.get(camera, -1e9) < 1 / PICTURES_PER_S:
            return False
        if not any(viewer.idle(camera) for viewer in self._now()):
            return False
        self._shown[camera] = now
        return True

    def show(self, camera: str, head: Mapping[str, Any], parts: Iterable[bytes]) -> None:
        """Give a picture to the pages that want it.

        The message is binary: length of the head (uint32, little-endian), the head as JSON, and the
        parts, whose lengths are in the head under ``parts``.
        """
        blobs = list(parts)
        text = json.dumps({**head, "camera": camera, "parts": [len(one) for one in blobs]}).encode()
        message = struct.pack("<I", len(text)) + text + b"".join(blobs)
        for viewer in self._now():
            if viewer.idle(camera):
                viewer.show(camera, message)

    def _now(self) -> list[Viewer]:
        with self._lock:
            return list(self._viewers)
