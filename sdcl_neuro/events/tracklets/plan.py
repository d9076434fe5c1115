"""Which frames of a track make a tracklet: windows, planned before a single frame is read.

A window of F frames with stride s spans ``F * s`` video frames without a gap; it samples the last
of each s, which so owns the events of its s video intervals. No window crosses a gap of its track.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of

from .mot import Track

# Tracklets per segment of the demo, spread evenly over the segment; they may overlap within it.
SEGMENT_COUNTS: Mapping[str, int] = {"arriving": 5, "standing": 8, "leaving": 5}
SEGMENTS = ("arriving", "standing", "leaving")
# A person stands while no edge of the box moves by more than this part of its height a frame.
STILL = 0.012
# Shifts of weight while standing last no longer than this many frames.
FIDGET_FRAMES = 4


@dataclass(frozen=True)
class Window:
    """One tracklet to be cut: positions ``start`` to ``start + frames * stride`` of `track`."""

    name: str
    track: Track
    start: int
    frames: int
    stride: int
    segment: str = ""
    camera: int = 0

    @property
    def span(self) -> NDArray[np.int64]:
        """Video frames it covers, ascending without a gap."""
        return self.track.indices[self.start : self.start + self.frames * self.stride]

    @property
    def sampled(self) -> NDArray[np.int64]:
        """Video frames it shows."""
        return self.span[self.stride - 1 :: self.stride]


@dataclass(frozen=True)
class Plan:
    """Windows, and in words what gave none."""

    windows: tuple[Window, ...]
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{number_of(len(self.windows), 'tracklet')} planned", *self.left_out])


def plan_chunks(
    tracks: Sequence[Track], *, frames: int = 8, stride: int = 1, limit: int | None = None
) -> Plan:
    """Cut every track into windows one after another, for any video.

    Where a stretch is not a multiple of a window, its last window overlaps the one before, so that
    no frame is lost. A stretch shorter than one window gives none and is named in `Plan.left_out`.

    Args:
        tracks: of one video.
        frames: F of each tracklet.
        stride: video frames per tracklet frame.
        limit: keep at most so many windows of each track, spread evenly.
    """
    span = _span(frames, stride)
    if limit is not None and limit < 1:
        raise InputError(f"a limit of {limit} tracklets", hint="give at least one")
    windows: list[Window] = []
    left_out: list[str] = []
    for track in tracks:
        starts: list[int] = []
        for run in track.runs():
            length = run.stop - run.start
            if length < span:
                first = int(track.indices[run.start]) + 1
                left_out.append(
                    f"track {track.identity}: {number_of(length, 'frame')} from frame {first}, "
                    f"fewer than the {span} of a tracklet"
                )
                continue
            even = [*range(0, length - span + 1, span)]
            even += [length - span] if even[-1] != length - span else []
            starts += [run.start + k for k in even]
        chosen = starts if limit is None else _spread(starts, limit)
        windows += [
            Window(f"t{track.identity}-{k}", track, start, frames, stride)
            for k, start in enumerate(chosen)
        ]
    return Plan(tuple(windows), tuple(left_out))


def plan_segments(
    tracks: Sequence[Track],
    *,
    frames: int = 4,
    stride: int = 1,
    counts: Mapping[str, int] = SEGMENT_COUNTS,
) -> Plan:
    """Return windows for persons who come in, stand and leave; none crosses from one into another.

    The segment's number (0 arriving, 1 standing, 2 leaving) stands in for the camera, so that
    ranking with the same-camera rule never finds a near copy of the query.

    Args:
        tracks: one a person.
        frames: F of each tracklet.
        stride: video frames per tracklet frame.
        counts: tracklets wanted of each segment; fewer where it is too short.
    """
    span = _span(frames, stride)
    windows: list[Window] = []
    left_out: list[str] = []
    for track in tracks:
        begin, end = standing_span(track)
        for camera, (segment, low, high) in enumerate(
            zip(SEGMENTS, (0, begin, end), (begin, end, len(track)), strict=True)
        ):
            starts = [
                start
                for run in track.runs()
                for start in range(max(run.start, low), min(run.stop, high) - span + 1)
            ]
            if not starts:
                left_out.append(f"track {track.identity}: {segment} is shorter than {span} frames")
            windows += [
                Window(
                    f"p{track.identity}-{segment}-{k}",
                    track,
                    start,
                    frames,
                    stride,
                    segment,
                    camera,
                )
                for k, start in enumerate(_spread(starts, counts.get(segment, 0)))
            ]
    return Plan(tuple(windows), tuple(left_out))


def standing_span(track: Track) -> tuple[int, int]:
    """Begin and end (positions in the track) of its longest stand; both the end if it has none.

    Motion at a frame is the largest speed of the box's left, right and top edges over the two
    frames around it, in box heights a frame.
    """
    count = len(track)
    if count < 3:
        return count, count
    edges = track.boxes[:, :3].copy()
    edges[:, 2] += edges[:, 0]
    steps = np.maximum(np.diff(track.indices), 1)[:, None]
    speed = np.abs(np.diff(edges, axis=0) / steps).max(axis=1) / track.boxes[1:, 3]
    moving = np.concatenate([speed[:1], np.maximum(speed[:-1], speed[1:]), speed[-1:]]) > STILL
    best = (count, count)
    for begin, end in _stills(moving):
        if end - begin > max(best[1] - best[0], 2):
            best = (begin, end)
    return best


def _stills(moving: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return stretches without motion, joined over fidgets."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], moving, [True]])))
    joined: list[tuple[int, int]] = []
    for begin, end in edges.reshape(-1, 2).tolist():
        if joined and begin - joined[-1][1] <= FIDGET_FRAMES:
            begin = joined.pop()[0]
        joined.append((begin, end))
    return joined


def _spread(starts: Sequence[int], count: int) -> list[int]:
    """Return at most `count` of `starts`, evenly, ends included."""
    if len(starts) <= count:
        return list(starts)
    if count == 1:
        return [starts[len(starts) // 2]]
    return [starts[round(k * (len(starts) - 1) / (count - 1))] for k in range(count)]


def _span(frames: int, stride: int) -> int:
    if frames < 1 or stride < 1:
        raise InputError(
            f"tracklets of {frames} frames with a stride of {stride}", hint="give at least 1"
        )
    return frames * stride
