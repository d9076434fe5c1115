"""Tracks of persons from text files, read strictly; `track_rows` says in which layouts.

Frames count from 1. Boxes are in pixels, 0 at the picture's left and top edge, as OpenCV has them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.files import atomic_path
from sdcl_neuro.files.reading import read_text
from sdcl_neuro.network.arguments import need_path, public, public_class

from .track_rows import Box, Skipped, is_remark, is_visdrone, parse_row

# Coordinates are commonly written with one decimal: two roundings may add up to a tenth of a pixel.
SLACK_PX = 0.11


LARGEST_FILE = 256 << 20


@public_class
@dataclass(frozen=True, eq=False)
class Track:
    """One person's boxes.

    Attributes:
        identity: the file's id.
        indices: int64 ``[N]``, ascending frame numbers, from 0 (the file's frame minus 1).
        boxes: float64 ``[N, 4]``, left, top, width, height in pixels.
        mended: boxes cut to the picture or dropped because `clip_boxes` allowed it.
    """

    identity: int
    indices: NDArray[np.int64]
    boxes: NDArray[np.float64]
    mended: int = 0

    def __len__(self) -> int:
        return len(self.indices)

    def __str__(self) -> str:
        if not len(self):
            return f"track {self.identity}: no boxes"
        first, last = int(self.indices[0]) + 1, int(self.indices[-1]) + 1
        mended = f", {self.mended} mended" if self.mended else ""
        boxes = number_of(len(self), "box")
        return f"track {self.identity}: {boxes} in frames {first} to {last}{mended}"

    def box(self, index: int) -> Box:
        """Return its box in frame `index` (from 0), which must be one of `indices`."""
        left, top, width, height = self.boxes[int(np.searchsorted(self.indices, index))].tolist()
        return left, top, width, height

    def runs(self) -> list[slice]:
        """Return stretches without a gap, as slices into `indices` and `boxes`."""
        breaks = np.flatnonzero(np.diff(self.indices) != 1) + 1
        edges = [0, *breaks.tolist(), len(self.indices)]
        return [slice(a, b) for a, b in pairwise(edges) if b > a]


@dataclass(frozen=True)
class TrackFile:
    """What a file of tracks holds.

    Attributes:
        tracks: of persons to be considered, in order of first appearance.
        left_out: which rows were left out, and why, in words.
    """

    tracks: tuple[Track, ...]
    left_out: tuple[str, ...] = ()


@public
def read_mot(
    path: Path | str,
    *,
    frame_size: tuple[int, int] | None = None,
    frame_count: int | None = None,
    clip_boxes: bool = False,
) -> list[Track]:
    """Return the tracks of `read_tracks`."""
    found = read_tracks(path, frame_size=frame_size, frame_count=frame_count, clip_boxes=clip_boxes)
    return list(found.tracks)


@public
def read_tracks(
    path: Path | str,
    *,
    frame_size: tuple[int, int] | None = None,
    frame_count: int | None = None,
    clip_boxes: bool = False,
) -> TrackFile:
    """Read all tracks of a file, in a layout of `track_rows`.

    Rows that say that they are not to be considered, or of another class than a pedestrian, are
    left out and counted.

    Args:
        path: the text file.
        frame_size: width and height of the video; boxes outside it are errors.
        frame_count: frames in the video; boxes after it are errors.
        clip_boxes: cut boxes that reach over the border (needs `frame_size`); one with nothing
            left inside is dropped. Both are counted in `Track.mended`.

    Raises:
        InputError: with the line's number, for a line with the wrong number of fields, a field
            that is not a number, a frame or id below 1, a box without area, outside the picture or
            given twice, a frame beyond the video; for a file without boxes or that is not text.
    """
    path = need_path(path, "tracks", "give the path of a file")
    if clip_boxes and frame_size is None:
        raise InputError("clip_boxes needs the frame's size", hint="give frame_size")
    rows: dict[int, dict[int, Box]] = defaultdict(dict)
    mended: dict[int, int] = defaultdict(int)
    skipped = Skipped()
    lines = _lines(path)
    visdrone = is_visdrone(lines)
    for number, line in enumerate(lines, start=1):
        if is_remark(line):
            continue
        where = f"{path}, line {number}"
        row = parse_row(line, where, visdrone=visdrone)
        if row.skipped:
            skipped.add(row)
            continue
        frame, identity, box = row.frame, row.identity, row.box
        if frame_count is not None and frame > frame_count:
            raise InputError(
                f"frame {frame} is beyond the video's {frame_count} frames",
                where=where,
                hint="give the video these tracks were made from",
            )
        if frame in rows[identity]:
            raise InputError(
                f"a second box for frame {frame}, id {identity}", where=where, hint="remove one"
            )
        inside = inside_picture(box, frame_size, clip_boxes, where)
        if inside != box:
            mended[identity] += 1
        if inside is not None:
            rows[identity][frame] = inside
    if not any(rows.values()):
        none = "; ".join(["no boxes of persons in it", *skipped.lines()])
        raise InputError(none, where=str(path), hint="give a file with tracks")
    tracks = [_track(k, boxes, mended[k]) for k, boxes in rows.items() if boxes]
    tracks.sort(key=lambda track: (int(track.indices[0]), track.identity))
    return TrackFile(tuple(tracks), skipped.lines())


@public
def write_mot(path: Path | str, tracks: Sequence[Track]) -> None:
    """Write tracks by frame, then id, with a confidence of 1."""
    rows = sorted(
        (int(index) + 1, track.identity, box.tolist())
        for track in tracks
        for index, box in zip(track.indices, track.boxes, strict=True)
    )
    text = "".join(
        f"{frame},{identity},{','.join(f'{v:g}' for v in box)},1,-1,-1,-1\n"
        for frame, identity, box in rows
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="ascii")


def _lines(path: Path) -> list[str]:
    what = "tracks in MOTChallenge format"
    return read_text(path, what=what, largest=LARGEST_FILE).splitlines()


def inside_picture(
    box: Box, frame_size: tuple[int, int] | None, clip_boxes: bool, where: str
) -> Box | None:
    """Return the box itself, cut to the picture (width, height), or None if nothing of it is left.

    Raises:
        InputError: it reaches over the border by more than rounding, and may not be cut.
    """
    if frame_size is None:
        return box
    left, top, width, height = box
    over = max(-left, -top, left + width - frame_size[0], top + height - frame_size[1])
    if over <= 0:
        return box
    if over > SLACK_PX and not clip_boxes:
        raise InputError(
            f"box {left:g},{top:g},{width:g},{height:g} reaches outside the picture of "
            f"{frame_size[0]}x{frame_size[1]}",
            where=where,
            hint="correct it, or allow cutting with clip_boxes (--clip-boxes)",
        )
    x0, y0 = max(left, 0.0), max(top, 0.0)
    x1, y1 = min(left + width, float(frame_size[0])), min(top + height, float(frame_size[1]))
    return (x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None


def _track(identity: int, boxes: dict[int, Box], mended: int) -> Track:
    frames = sorted(boxes)
    return Track(
        identity,
        np.array(frames, dtype=np.int64) - 1,
        np.array([boxes[frame] for frame in frames], dtype=np.float64),
        mended,
    )
