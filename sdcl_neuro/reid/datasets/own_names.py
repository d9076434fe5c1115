"""Who is seen where, by the names of one's own files: folders, or flat names of known data sets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .faults import Faults
from .folder import PICTURES

# MARS's and EvReID's 0001C1T0001F001.jpg, Market's 0001_c1s1_000151_01.jpg, torchreid's
# 0001_c1_f0001.jpg: person, camera, tracklet, frame.
FLAT = (
    re.compile(r"(?P<person>-?\d+)C(?P<camera>\d+)T(?P<tracklet>\d+)F(?P<frame>\d+)"),
    re.compile(r"(?P<person>-?\d+)_c(?P<camera>\d+)s(?P<tracklet>\d+)_(?P<frame>\d+)(?:_\d+)?"),
    re.compile(r"(?P<person>-?\d+)_c(?P<camera>\d+)(?P<tracklet>)_f?(?P<frame>\d+)"),
)
NESTED = 3
"""Folders above a frame: person, camera, tracklet."""


@dataclass
class FoundTracklet:
    """One tracklet while its frames are collected.

    Attributes:
        part: ``train``, ``query`` or ``gallery``.
        person, camera, tracklet: labels as the names have them.
        folder: of the frames, which all lie in one.
        frames: sort key and name of each.
    """

    part: str
    person: str
    camera: str
    tracklet: str
    folder: Path
    frames: list[tuple[tuple[int, str], str]] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        """File names in the order of their frames."""
        return tuple(name for _, name in sorted(self.frames))

    @property
    def name(self) -> str:
        """Unique in the data set."""
        return "-".join(filter(None, (self.part, self.person, self.camera, self.tracklet)))


def collect(part: str, folder: Path, faults: Faults) -> list[FoundTracklet]:
    """Return all tracklets below one part's folder, in the order of their labels."""
    found: dict[tuple[str, str, str, Path], FoundTracklet] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in PICTURES or path.name.startswith("."):
            continue
        labels = _labels(path, folder)
        if labels is None:
            faults.add(
                f"{path.relative_to(folder.parent)}: neither PERSON/CAMERA/TRACKLET/FRAME nor a "
                "flat name such as 0001C1T0001F001.jpg"
            )
            continue
        person, camera, tracklet, frame = labels
        key = (person, camera, tracklet, path.parent)
        one = found.setdefault(key, FoundTracklet(part, person, camera, tracklet, path.parent))
        one.frames.append((frame, path.name))
    return [found[key] for key in sorted(found, key=lambda key: tuple(map(str, key)))]


def _labels(path: Path, folder: Path) -> tuple[str, str, str, tuple[int, str]] | None:
    """Return person, camera, tracklet and frame of a picture; None if its name says too little."""
    for pattern in FLAT:
        matched = pattern.fullmatch(path.stem)
        if matched:
            return (
                matched["person"],
                matched["camera"],
                matched["tracklet"],
                (int(matched["frame"]), path.name),
            )
    above = path.relative_to(folder).parts[:-1]
    if len(above) != NESTED:
        return None
    number = re.search(r"(\d+)(?!.*\d)", path.stem)
    return *above, (int(number[1]) if number else 0, path.name)  # type: ignore[return-value]


def numbered(labels: Iterable[str]) -> dict[str, int]:
    """Return a number for each label: its own where all are numbers, else its place in order, from
    1.
    """
    distinct = sorted(set(labels))
    if all(re.fullmatch(r"-?\d+", label) for label in distinct):
        return {label: int(label) for label in distinct}
    return {label: place for place, label in enumerate(distinct, start=1)}
