"""Tracks in the MOTChallenge text format, read strictly.

One line a box: ``frame, id, left, top, width, height, confidence, x, y, z`` (Leal-Taixe et al.,
"MOTChallenge 2015", section 3.3; the last four may be missing, the last three are not used). Frames
count from 1. Boxes are in pixels from 0 at the picture's left and top edge, as OpenCV has them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path

FIELDS = ("frame", "id", "left", "top", "width", "height")
MOST_FIELDS = 10
# Coordinates are commonly written with one decimal: two roundings may add up to a tenth of a pixel.
SLACK_PX = 0.11

Box = tuple[float, float, float, float]


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
        return f"track {self.identity}: {len(self)} boxes in frames {first} to {last}{mended}"

    def box(self, index: int) -> Box:
        """Its box in frame `index` (from 0), which must be one of `indices`."""
        left, top, width, height = self.boxes[int(np.searchsorted(self.indices, index))].tolist()
        return left, top, width, height

    def runs(self) -> list[slice]:
        """Stretches without a gap, as slices into `indices` and `boxes`."""
        breaks = np.flatnonzero(np.diff(self.indices) != 1) + 1
        edges = [0, *breaks.tolist(), len(self.indices)]
        return [slice(a, b) for a, b in pairwise(edges) if b > a]


def read_mot(
    path: Path | str,
    *,
    frame_size: tuple[int, int] | None = None,
    frame_count: int | None = None,
    clip_boxes: bool = False,
) -> list[Track]:
    """Read all tracks of a file, in order of first appearance.

    Args:
        path: the text file.
        frame_size: width and height of the video; boxes outside it are errors.
        frame_count: frames in the video; boxes after it are errors.
        clip_boxes: cut boxes that reach over the border (needs `frame_size`); one with nothing
            left inside is dropped. Both are counted in `Track.mended`.

    Raises:
        InputError: with the line's number, for a line with the wrong number of fields, a field
            that is no number, a frame or id below 1, a box without area, outside the picture or
            given twice, a frame beyond the video; for a file without boxes or that is no text.
    """
    path = Path(path)
    if clip_boxes and frame_size is None:
        raise InputError("clip_boxes needs the frame's size", mend="give frame_size")
    rows: dict[int, dict[int, Box]] = defaultdict(dict)
    mended: dict[int, int] = defaultdict(int)
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        frame, identity, box = parse_box(line, where)
        if frame_count is not None and frame > frame_count:
            raise InputError(
                f"frame {frame} is beyond the video's {frame_count} frames",
                where=where,
                mend="give the video these tracks were made from",
            )
        if frame in rows[identity]:
            raise InputError(
                f"a second box for frame {frame}, id {identity}", where=where, mend="remove one"
            )
        inside = inside_picture(box, frame_size, clip_boxes, where)
        if inside != box:
            mended[identity] += 1
        if inside is not None:
            rows[identity][frame] = inside
    if not any(rows.values()):
        raise InputError("no boxes in it", where=str(path), mend="give a file with tracks")
    tracks = [_track(k, boxes, mended[k]) for k, boxes in rows.items() if boxes]
    return sorted(tracks, key=lambda track: (int(track.indices[0]), track.identity))


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
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})", where=str(path), mend="give a tracks file"
        ) from None
    except UnicodeDecodeError:
        raise InputError(
            "is not text", where=str(path), mend="give tracks in MOTChallenge format"
        ) from None


def parse_box(line: str, where: str) -> tuple[int, int, Box]:
    """Frame (from 1), id and box of one line; InputError, with `where`, if it is none."""
    fields = [field.strip() for field in line.split(",")]
    if not len(FIELDS) <= len(fields) <= MOST_FIELDS:
        raise InputError(
            f"{len(fields)} fields, not {len(FIELDS)} to {MOST_FIELDS}",
            where=where,
            mend=f"write {', '.join(FIELDS)}, confidence, -1, -1, -1 with commas",
        )
    values = []
    for position, field in enumerate(fields):
        name = FIELDS[position] if position < len(FIELDS) else f"field {position + 1}"
        values.append(_number(field, name, where))
    frame, identity = (_whole(values[k], FIELDS[k], where) for k in (0, 1))
    left, top, width, height = values[2:6]
    if width <= 0 or height <= 0:
        raise InputError(
            f"a box of {width:g} x {height:g} pixels has no area", where=where, mend="remove it"
        )
    return frame, identity, (left, top, width, height)


def _number(field: str, name: str, where: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{name} is {field!r}", where=where, mend="write a finite number")
    return value


def _whole(value: float, name: str, where: str) -> int:
    if value != int(value) or not 1 <= value < 2**53:
        raise InputError(f"{name} is {value:g}", where=where, mend="write a whole number from 1")
    return int(value)


def inside_picture(
    box: Box, frame_size: tuple[int, int] | None, clip_boxes: bool, where: str
) -> Box | None:
    """The box itself, cut to the picture (width, height), or None if nothing of it is left.

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
            mend="mend it, or allow cutting with clip_boxes (--clip-boxes)",
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
