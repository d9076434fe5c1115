"""Rows of track files, in the layouts that MOTChallenge, trackers and annotation tools write.

A row is ``frame, id, left, top, width, height``, then as many more fields as the writer has, split
by commas, blanks or tabs:

- MOTChallenge 2015 and most trackers: confidence, x, y, z (mostly -1).
- MOTChallenge 2016 to 2020 ground truth, py-motmetrics ``mot16``, BoxMOT: whether the row is to be
  considered (0 or 1), class, visibility. Class 1 is a pedestrian.
- VisDrone: score (0 or 1 in ground truth), category, truncation, occlusion; categories 1 and 2
  are persons.
- VATIC (py-motmetrics ``vatic-txt``): ``id, xmin, ymin, xmax, ymax, frame, lost, occluded,
  generated, "label"``, frames from 0.
"""

from __future__ import annotations

import math
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from sdcl_neuro.errors import InputError, number_of

FIELDS = ("frame", "id", "left", "top", "width", "height")
MOST_FIELDS = 10
CLASS_FIELDS = 9
PEDESTRIAN = 1
# MOT16: A Benchmark for Multi-Object Tracking (Milan et al., 2016), table 3.
CLASSES = {
    2: "person on vehicle",
    3: "car",
    4: "bicycle",
    5: "motorbike",
    6: "non-motorised vehicle",
    7: "static person",
    8: "distractor",
    9: "occluder",
    10: "occluder on the ground",
    11: "full occluder",
    12: "reflection",
    13: "crowd",
}
# The Vision Meets Drone challenge (Zhu et al., 2018), its toolkit's README.
VISDRONE = {
    "0": "ignored region",
    "1": "pedestrian",
    "2": "person who sits or lies",
    "3": "bicycle",
    "4": "car",
    "5": "van",
    "6": "truck",
    "7": "tricycle",
    "8": "awning tricycle",
    "9": "bus",
    "10": "motorbike",
    "11": "others",
}
VISDRONE_PERSONS = ("1", "2")
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class TrackBox:
    """One box.

    Attributes:
        frame: from 1.
        identity: from 0; some trackers begin there.
        box: left, top, width, height in pixels.
        skipped: why it is not a box of a person to be considered; empty if it is one.
    """

    frame: int
    identity: int
    box: Box
    skipped: str = ""


@dataclass
class Skipped:
    """Counts the rows that are left out."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    identities: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, row: TrackBox) -> None:
        """Count one."""
        self.counts[row.skipped] += 1
        self.identities[row.skipped].add(row.identity)

    def lines(self) -> tuple[str, ...]:
        """Return one line for each reason, with the tracks it touched."""
        return tuple(
            f"{number_of(count, 'row')} {why} (track {_listed(self.identities[why])})"
            for why, count in self.counts.items()
        )


def _listed(identities: set[int]) -> str:
    first = ", ".join(map(str, sorted(identities)[:8]))
    return first if len(identities) <= 8 else f"{first} and {len(identities) - 8} more"


def is_remark(line: str) -> bool:
    """Return whether a line holds no row: empty, a remark, or the columns' names."""
    text = line.strip().lower()
    return not text or text[0] in "#%" or text.startswith(("frame,", "frame;", "frame ", "frame\t"))


def is_visdrone(lines: Iterable[str]) -> bool:
    """Return whether all rows are VisDrone's: ten fields, then score, category, truncation,
    occlusion.

    MOTChallenge's tenth field is -1, or three places in the world that are not all small numbers.
    """
    seen = False
    for line in lines:
        if is_remark(line):
            continue
        words = [word.strip() for word in line.strip().rstrip(",;").replace(";", ",").split(",")]
        if len(words) != MOST_FIELDS:
            return False
        kind, cut, hidden = words[7:]
        if not (kind in VISDRONE and cut in ("0", "1") and hidden in ("0", "1", "2")):
            return False
        seen = True
    return seen


def parse_row(line: str, where: str, *, visdrone: bool = False) -> TrackBox:
    """Return one line of a file; InputError, with `where`, if it holds no box."""
    if '"' in line:
        return _vatic_row(line, where)
    text = line.strip().rstrip(",;")
    split = next((mark for mark in ",;" if mark in text), None)
    words = text.split(split)
    fields = [word.strip() for word in words]
    if not len(FIELDS) <= len(fields) <= MOST_FIELDS:
        raise InputError(
            f"{len(fields)} fields, not {len(FIELDS)} to {MOST_FIELDS}",
            where=where,
            hint=f"write {', '.join(FIELDS)}, confidence, -1, -1, -1 with commas",
        )
    values = []
    for position, word in enumerate(fields):
        name = FIELDS[position] if position < len(FIELDS) else f"field {position + 1}"
        values.append(_number(word, name, where))
    frame = _whole(values[0], FIELDS[0], where)
    if values[1] == -1:
        raise InputError(
            "id is -1: detections, not tracks",
            where=where,
            hint="give a tracker's output, or leave --tracks out and give --detect",
        )
    identity = _whole(values[1], FIELDS[1], where, least=0)
    left, top, width, height = values[2:6]
    skipped = _skipped_visdrone(values) if visdrone else _skipped(values)
    if (width <= 0 or height <= 0) and not skipped:
        raise InputError(
            f"a box of {width:g} x {height:g} pixels has no area", where=where, hint="remove it"
        )
    return TrackBox(frame, identity, (left, top, width, height), skipped)


def _skipped(values: list[float]) -> str:
    """Say why a row is not of a person to be considered, by what it says after its box."""
    if len(values) > 6 and values[6] == 0:
        return "not to be considered (7th field 0)"
    kind = values[7] if len(values) == CLASS_FIELDS else -1.0
    # Nine fields are ground truth or BoxMOT's; ten may hold a place in the world there.
    if len(values) == MOST_FIELDS and values[9] == -1 and 0 <= values[8] <= 1:
        kind = values[7]
    if kind != int(kind) or kind < PEDESTRIAN or kind == PEDESTRIAN:
        return ""
    name = CLASSES.get(int(kind), "not a pedestrian")
    return f"of class {int(kind)}, {name}"


def _skipped_visdrone(values: list[float]) -> str:
    if values[6] == 0:
        return "not to be considered (7th field 0)"
    kind = str(int(values[7]))
    return "" if kind in VISDRONE_PERSONS else f"of class {kind}, {VISDRONE[kind]}"


def _vatic_row(line: str, where: str) -> TrackBox:
    try:
        words = shlex.split(line)
        numbers = [float(word) for word in words[:9]]
    except ValueError:
        words, numbers = [], []
    if len(words) < MOST_FIELDS or not all(math.isfinite(value) for value in numbers):
        raise InputError(
            f"{line.strip()[:60]!r} is not a VATIC row",
            where=where,
            hint='write id xmin ymin xmax ymax frame lost occluded generated "label"',
        )
    identity, left, top, right, bottom, frame, lost = numbers[:7]
    skipped = ""
    if lost:
        skipped = "of a lost object"
    elif not re.fullmatch(r"(?i)person|pedestrian", words[9]):
        skipped = f"of class {words[9]}"
    if (right <= left or bottom <= top) and not skipped:
        raise InputError("a box without area", where=where, hint="remove it")
    box = (left, top, right - left, bottom - top)
    # Both count from 0 there.
    return TrackBox(
        _whole(frame + 1, "frame", where), _whole(identity + 1, "id", where), box, skipped
    )


def _number(word: str, name: str, where: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{name} is {word!r}", where=where, hint="write a finite number")
    return value


def _whole(value: float, name: str, where: str, least: int = 1) -> int:
    if value != int(value) or not least <= value < 2**53:
        raise InputError(
            f"{name} is {value:g}", where=where, hint=f"write a whole number from {least}"
        )
    return int(value)
