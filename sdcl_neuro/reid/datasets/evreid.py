"""EvReID (AAAI 2026, Event-AHU/Neuromorphic_ReID): RGB frames beside event pictures.

Unlike MARS: four variables instead of one table, positions that count from 0, queries that are not
in the gallery. Frames lie in ``rgb_degrade`` or ``rgb``, event pictures under the same names in
``event``. Test clips show the first frame of each of their equal parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files.reading import read_file

from .event_pictures import NOTE, EventPictureReader
from .faults import Faults
from .folder import PICTURES, FolderData, FolderEntry, NoEvents
from .pairing import names_in
from .splits import load_table
from .table import Choices

FRAMES = ("rgb_degrade", "rgb")
EVENTS = "event"
HALVES = ("train", "test")
VARIABLES = ("start_frame", "end_frame", "person_id", "cam_id")
JUNK = -1
FPS = 25.0  # nominal; only the scale of times depends on it
MEND = "complete the folder as EvReID is published"


@dataclass(frozen=True)
class StoredTrack:
    """One row: first and last frame as positions in the half's list of names, both included."""

    first: int
    last: int
    person: int
    camera: int


def recognise(root: Path) -> bool:
    """Return whether a folder looks like EvReID's."""
    return (_info(root) / "query_IDX.mat").is_file() and any(
        (root / name / "train").is_dir() for name in FRAMES
    )


def _info(root: Path) -> Path:
    places = [*(root / name / "info" for name in FRAMES), root / "info"]
    return next((place for place in places if place.is_dir()), places[0])


def open_data(root: Path, choices: Choices) -> FolderData:
    """Return EvReID, by its tables and lists; see `table`."""
    faults = Faults(root)
    frames = next((root / name for name in FRAMES if (root / name).is_dir()), None)
    if frames is None:
        faults.add(f"frames: no folder {' or '.join(FRAMES)}")
        faults.check(MEND)
        raise AssertionError
    events = _event_tree(root, choices, faults)
    info = _info(root)
    tracks = {half: _tracks(info / f"tracks_{half}_info.mat", faults) for half in HALVES}
    names = {half: _names(info / f"{half}_name.txt", faults) for half in HALVES}
    asking = _queries(info / "query_IDX.mat", len(tracks["test"]), faults)
    parts: dict[str, list[int]] = {"train": [], "query": [], "gallery": []}
    entries: list[FolderEntry] = []
    for half in HALVES:
        reader = _Half(frames / half, None if events is None else events / half, names[half])
        for row, track in enumerate(tracks[half]):
            if track.person == JUNK:
                continue
            entry = reader.entry(f"{half}-{row:05d}", track, faults)
            if entry is None:
                continue
            part = "train" if half == "train" else "query" if row in asking else "gallery"
            parts[part].append(len(entries))
            entries.append(entry)
    faults.check(MEND)
    return FolderData(
        "EvReID",
        root,
        tuple(entries),
        fps=FPS,
        source=NoEvents() if events is None else EventPictureReader(),
        pick="first",
        notes=() if events is None else (NOTE,),
        train=tuple(parts["train"]),
        query=tuple(parts["query"]),
        gallery=tuple(parts["gallery"]),
    )


def _event_tree(root: Path, choices: Choices, faults: Faults) -> Path | None:
    if choices.events == "none":
        return None
    tree = root / (EVENTS if choices.events == "auto" else choices.events)
    if not tree.is_dir():
        faults.add(f"events: no folder {tree.name}")
    return tree


def _tracks(path: Path, faults: Faults) -> list[StoredTrack]:
    """Return rows of the four variables."""
    columns: list[NDArray[np.int64]] = []
    for name in VARIABLES:
        try:
            values = np.asarray(load_table(path, name)).reshape(-1)
        except InputError as error:
            faults.add(f"{path.name}: {error.what}")
            return []
        if not np.array_equal(values, np.rint(values)):
            faults.add(f"{path.name}: {name} holds numbers that are not whole")
            return []
        columns.append(values.astype(np.int64))
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(map(str, map(len, columns)))
        faults.add(f"{path.name}: variables of different lengths ({lengths})")
        return []
    table = np.stack(columns, 1)
    if (table[:, 0] > table[:, 1]).any():
        faults.add(f"{path.name}: a tracklet that ends before it begins")
        return []
    return [StoredTrack(*row) for row in table.tolist()]


def _names(path: Path, faults: Faults) -> list[str]:
    try:
        return read_file(path).decode("ascii", "replace").split()
    except (OSError, InputError):
        faults.add(f"{path.name}: no such file")
        return []


def _queries(path: Path, count: int, faults: Faults) -> set[int]:
    """Return rows of the test half that ask, from 0."""
    try:
        rows = np.asarray(load_table(path, "query_IDX")).reshape(-1).astype(np.int64)
    except InputError as error:
        faults.add(f"{path.name}: {error.what}")
        return set()
    if count and (not len(rows) or rows.min() < 0 or rows.max() >= count):
        faults.add(f"{path.name}: rows outside the {count} of the test half, counted from 0")
    return {int(row) for row in rows}


class _Half:
    """The frames and event pictures of one half; the folders of persons are listed once each."""

    def __init__(self, frames: Path, events: Path | None, names: list[str]) -> None:
        self.frames, self.events, self.names = frames, events, names
        self._listed: dict[Path, set[str]] = {}

    def entry(self, name: str, track: StoredTrack, faults: Faults) -> FolderEntry | None:
        """Return the tracklet of a row; None, and a fault, if something is wrong with it."""
        if not self.names:
            return None
        chosen = self.names[track.first : track.last + 1]
        if track.first < 0 or len(chosen) != track.last - track.first + 1:
            faults.add(
                f"{self.frames.name} {name}: frames {track.first} to {track.last} of "
                f"{len(self.names)}"
            )
            return None
        # Characters 0 to 3 of a name are the person, 5 the camera.
        wrong = [one for one in chosen if one[:4] != f"{track.person:04d}" or
                 one[5:6] != str(track.camera)]  # fmt: skip
        if wrong:
            faults.add(
                f"{self.frames.name} {name}: frame {wrong[0]}, not of person {track.person}, "
                f"camera {track.camera}"
            )
            return None
        folder = chosen[0][:4]
        for what, tree in (("frame", self.frames), ("event picture", self.events)):
            if tree is None:
                continue
            absent = [one for one in chosen if one not in self._in(tree / folder)]
            faults.missing(f"{what} {tree.parent.name}/{tree.name}/{folder}", absent)
            if absent:
                return None
        return FolderEntry(
            name,
            track.person,
            track.camera,
            self.frames / folder,
            tuple(chosen),
            None if self.events is None else self.events / folder,
            () if self.events is None else tuple(chosen),
        )

    def _in(self, folder: Path) -> set[str]:
        if folder not in self._listed:
            self._listed[folder] = set(names_in(folder, PICTURES))
        return self._listed[folder]
