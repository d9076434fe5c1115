"""Tracklets as they are seen, and what is remembered of each visit."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRACKLETS = 8
"""Of a visit, that decide whom it counts to."""


@dataclass(frozen=True, eq=False)
class Sighting:
    """One tracklet, embedded.

    Attributes:
        visit: name of the visit: camera, run and track.
        camera, track: where.
        time_us: microseconds since 1970 (UTC).
        first_frame, last_frame: of the camera's run, from 1.
        embedding: float32 ``[D]``, of unit length.
        picture: JPEG file of the person.
        together: visits in the same picture, which are other persons.
        latency_s: from the last frame's arrival to the embedding.
    """

    visit: str
    camera: str
    track: int
    time_us: int
    first_frame: int
    last_frame: int
    embedding: NDArray[np.float32]
    picture: bytes
    together: frozenset[str]
    latency_s: float


@dataclass
class VisitState:
    """What is remembered of a visit while it lasts, and for a while after.

    Attributes:
        camera, track: where.
        person: whom it counts to; None for one who is not recognised.
        named: whether that person has a name that someone gave.
        cosine: mean over the visit's tracklets of their best cosine with that person.
        like: that person's entry which is most similar.
        found: of the last tracklets, entries that were near and their cosines, nearest first.
        stored: entries in the gallery.
        silent: forgotten by request: nothing more of it is stored.
        together: visits that shared a picture with it at any time, so other persons.
        picture: JPEG file of the latest tracklet.
        embedding: of the latest tracklet.
        time_us: of the latest tracklet.
        latency_s: of the latest tracklet.
    """

    camera: str
    track: int
    person: str | None = None
    named: bool = False
    cosine: float | None = None
    like: int | None = None
    found: deque[list[tuple[int, float]]] = field(default_factory=lambda: deque(maxlen=TRACKLETS))
    stored: int = 0
    silent: bool = False
    together: set[str] = field(default_factory=set)
    picture: bytes = b""
    embedding: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    time_us: int = 0
    latency_s: float = 0.0

    def to_dict(self, visit: str) -> dict[str, Any]:
        """Return plain JSON values, without picture and embedding."""
        return {
            "visit": visit,
            "camera": self.camera,
            "track": self.track,
            "person": self.person,
            "named": self.named,
            "cosine": self.cosine,
            "stored": self.stored,
            "time_us": self.time_us,
            "latency_ms": 1e3 * self.latency_s,
        }
