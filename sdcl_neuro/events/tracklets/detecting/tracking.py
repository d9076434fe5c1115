"""A detector and ByteTrack over a whole video: tracks in the form that the rest takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.network.arguments import public

from ..mot import Track
from ..video import Video
from .bytetrack import ByteTrack, ByteTrackSettings
from .detections import Detector, Floats

LEAST_SECONDS = 0.5
"""Tracks that were seen for less are dropped, and named."""
FILLED_SECONDS = 1.0
"""Gaps up to this long are filled by straight lines between the boxes around them."""


@dataclass(frozen=True, eq=False)
class Detected:
    """What was found in a video.

    Attributes:
        tracks: of persons, in order of appearance, numbered from 1.
        left_out: tracks that were dropped, in words.
        filled: boxes between detections.
        detections: boxes before linking.
        seconds: detection and linking took, measured.
        frames: of the video.
        detector: see `Detector.describe`.
    """

    tracks: tuple[Track, ...]
    left_out: tuple[str, ...]
    filled: int
    detections: int
    seconds: float
    frames: int
    detector: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "detector": self.detector,
            "tracker": "ByteTrack",
            "detections": self.detections,
            "boxes": sum(map(len, self.tracks)),
            "filled_boxes": self.filled,
            "ms_per_frame": 1e3 * self.seconds / max(1, self.frames),
        }

    def __str__(self) -> str:
        each = 1e3 * self.seconds / max(1, self.frames)
        tracks, found = (
            number_of(len(self.tracks), "track"),
            number_of(self.detections, "detection"),
        )
        frames, filled = number_of(self.frames, "frame"), number_of(self.filled, "box")
        return (
            f"{self.detector['name']}: {tracks} of {found} in {frames}, {filled} filled in, "
            f"{each:.1f} ms a frame [measured]"
        )


@public
def detect_tracks(
    video: Video,
    detector: Detector,
    settings: ByteTrackSettings | None = None,
    *,
    on_frame: Callable[[int], None] = lambda count: None,
) -> Detected:
    """Find and follow the persons of a video.

    Args:
        video: its frames.
        detector: finds persons in a frame.
        settings: of ByteTrack.
        on_frame: called with 1 after each frame.

    Raises:
        InputError: no one was found.
    """
    fps = video.fps if video.fps > 0 else 25.0
    tracker = ByteTrack(fps, settings)
    begun, frames, detections = time.perf_counter(), 0, 0
    for _, _, frame in video:
        found = detector.detect(frame)
        tracker.add(found)
        detections += int((found.scores >= tracker.settings.unsure).sum())
        frames += 1
        on_frame(1)
    tracks: list[Track] = []
    left_out, filled = [], 0
    for indices, boxes, _ in tracker.finish():
        if len(indices) < max(2, LEAST_SECONDS * fps):
            left_out.append(
                f"a person in {number_of(len(indices), 'frame')} from frame {int(indices[0]) + 1}, "
                "too short for a track"
            )
            continue
        whole, placed = _filled(indices, boxes, max(1, round(FILLED_SECONDS * fps)))
        filled += len(whole) - len(indices)
        tracks.append(Track(len(tracks) + 1, whole, _picture_boxes(placed, video.size)))
    seconds = time.perf_counter() - begun
    if not tracks:
        raise InputError(
            f"no person in {number_of(frames, 'frame')}, of {number_of(detections, 'detection')}",
            where=str(video.path),
            hint="give another --detector, lower --detector-score, or --tracks",
        )
    return Detected(
        tuple(tracks),
        tuple(left_out),
        filled,
        detections,
        seconds,
        frames,
        dict(detector.describe()),
    )


def _filled(
    indices: NDArray[np.int64], boxes: Floats, longest: int
) -> tuple[NDArray[np.int64], Floats]:
    """Return frames and boxes with gaps of at most `longest` frames filled by straight lines."""
    whole = [indices[:1]]
    for before, after in zip(indices[:-1].tolist(), indices[1:].tolist(), strict=True):
        whole.append(np.arange(before + 1, after + 1) if after - before <= longest + 1 else
                     np.array([after]))  # fmt: skip
    frames = np.concatenate(whole).astype(np.int64)
    placed = np.column_stack([np.interp(frames, indices, boxes[:, k]) for k in range(4)])
    return frames, placed


def _picture_boxes(corners: Floats, size: tuple[int, int]) -> Floats:
    """Return left, top, width, height, inside the picture and at least a pixel large."""
    width, height = size
    low = np.clip(corners[:, :2], 0, [width - 1, height - 1])
    high = np.clip(corners[:, 2:], low + 1, [width, height])
    return np.hstack([low, high - low])
