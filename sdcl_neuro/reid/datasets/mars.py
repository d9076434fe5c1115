"""MARS: tracklets as rows of its tables, frames by their names in two lists."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files.reading import read_file
from sdcl_neuro.network.arguments import public

from .faults import Faults
from .folder import PICTURES, FolderData, FolderEntry, NoEvents
from .pairing import EVENT_FILES, EventFiles, names_in, pair
from .splits import load_table
from .table import Choices

FPS = 25.0  # nominal; only the scale of times depends on it
JUNK, DISTRACTOR = -1, 0
# A frame's name, for example 0001C1T0001F001.jpg: person, camera, tracklet, frame.
PERSON_CHARACTERS, TRACKLET_CHARACTERS = 4, 11
MEND = "complete the folder as MARS is published, with info/ from MARS-evaluation"


@dataclass(frozen=True)
class MarsTables:
    """The published tables.

    Attributes:
        train, test: int64 ``[N, 4]``: first and last frame (from 1, both included, lines of the
            name lists), person (0 distractor, -1 junk), camera.
        query: int64 ``[Q]``, rows of `test`, from 0.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    query: NDArray[np.int64]

    def __str__(self) -> str:
        persons = [len(set(table[:, 2].tolist()) - {0, -1}) for table in (self.train, self.test)]
        return (
            f"train {len(self.train):,} tracklets of {persons[0]} persons, test "
            f"{len(self.test):,} of {persons[1]}, {len(self.query):,} queries"
        )


def read_mars_tables(info: Path | str) -> MarsTables:
    """Return ``tracks_train_info.mat``, ``tracks_test_info.mat`` and ``query_IDX.mat`` of a folder.

    Raises:
        InputError: everything that is missing or malformed, in one list.
    """
    info = Path(info)
    faults = Faults(info)
    wanted = (
        ("tracks_train_info.mat", "track_train_info"),
        ("tracks_test_info.mat", "track_test_info"),
        ("query_IDX.mat", "query_IDX"),
    )
    found: list[NDArray[np.int64]] = []
    for file, variable in wanted:
        if not (info / file).is_file():
            faults.add(f"{file}: no such file")
            continue
        try:
            found.append(_whole(load_table(info / file, variable)))
        except InputError as error:
            faults.add(f"{file}: {error.what}")
    faults.check(MEND)
    train, test, query = found[0], found[1], found[2].reshape(-1) - 1
    for file, table in (("tracks_train_info.mat", train), ("tracks_test_info.mat", test)):
        if table.ndim != 2 or table.shape[1] != 4 or bool((table[:, 0] > table[:, 1]).any()):
            faults.add(f"{file}: shape {table.shape}, not rows of first, last, person, camera")
    if not faults.count and (not len(query) or query.min() < 0 or query.max() >= len(test)):
        faults.add(f"query_IDX.mat: rows outside the {len(test)} of tracks_test_info.mat")
    faults.check(MEND)
    return MarsTables(train, test, query)


def _whole(values: Any) -> NDArray[np.int64]:
    if values.dtype.kind == "f" and not bool(np.all(values == np.rint(values))):
        raise InputError("numbers that are not whole")
    return np.asarray(values).astype(np.int64)


@public
def read_mars(
    root: Path | str,
    *,
    events: Path | str | None = None,
    info: Path | str | None = None,
    queries_in_gallery: bool = True,
    event_files: EventFiles | None = None,
) -> FolderData:
    """Return MARS, by its published tables and lists.

    Junk tracklets (person -1) are left out, as the published evaluation ignores them. Distractors
    (person 0) are in the gallery.

    Args:
        root: holds ``bbox_train``, ``bbox_test`` and ``info``.
        events: holds ``bbox_train`` and ``bbox_test`` with ``.mat`` files; None for frames
            alone (or events simulated into a cache).
        info: holds the tables and lists; ``info`` in `root` if left out.
        queries_in_gallery: as the published evaluation has it; False as torchreid has it.
        event_files: how to read them, where the files leave it open.

    Raises:
        InputError: everything that is missing or does not pair, in one list.
    """
    root = Path(root)
    info = root / "info" if info is None else Path(info)
    tables = read_mars_tables(info)
    faults = Faults(root)
    tree = None if events is None else Path(events)
    asking = set(tables.query.tolist())
    parts: dict[str, list[int]] = {"train": [], "query": [], "gallery": []}
    entries: list[FolderEntry] = []
    for part, table in (("train", tables.train), ("test", tables.test)):
        lines = _names(info / f"{part}_name.txt", faults)
        reader = _MarsReader(root, tree, f"bbox_{part}", lines, faults)
        for row, (first, last, person, camera) in enumerate(table.tolist()):
            entry = None
            if person != JUNK:
                entry = reader.entry(f"{part}-{row:05d}", (first, last), person, camera)
            if entry is None:
                continue
            if part == "train":
                parts["train"].append(len(entries))
            elif row in asking:
                parts["query"].append(len(entries))
            if part == "test" and (queries_in_gallery or row not in asking):
                parts["gallery"].append(len(entries))
            entries.append(entry)
    faults.check(MEND)
    source = NoEvents() if tree is None else event_files or EventFiles()
    return FolderData(
        "MARS",
        root,
        tuple(entries),
        fps=FPS,
        source=source,
        train=tuple(parts["train"]),
        query=tuple(parts["query"]),
        gallery=tuple(parts["gallery"]),
    )


def recognise(root: Path) -> bool:
    """Return whether a folder looks like MARS's."""
    return (root / "bbox_train").is_dir() and (root / "info" / "query_IDX.mat").is_file()


def open_data(root: Path, choices: Choices) -> FolderData:
    """Return MARS; its events, which have no usual place, are below ``events``. See `table`."""
    return read_mars(
        root,
        events=None if choices.events in ("none", "auto") else root / choices.events,
        queries_in_gallery=choices.queries_in_gallery,
        event_files=choices.event_files,
    )


def _names(path: Path, faults: Faults) -> list[str]:
    try:
        return read_file(path).decode("ascii", "replace").split()
    except (OSError, InputError):
        faults.add(f"info/{path.name}: no such file")
        return []


class _MarsReader:
    """One half of MARS: the folders of persons are listed once each."""

    def __init__(
        self, root: Path, tree: Path | None, half: str, names: list[str], faults: Faults
    ) -> None:
        self.frames, self.names, self.faults = root / half, names, faults
        self.events = None if tree is None else tree / half
        self.half = half
        self.listed: dict[str, set[str]] = {}
        self.event_files: dict[str, tuple[dict[str, str], dict[str, list[str]]]] = {}

    def entry(
        self, name: str, span: tuple[int, int], person: int, camera: int
    ) -> FolderEntry | None:
        """Return the tracklet of a row; None, and a fault, if something is wrong with it."""
        first, last = span
        if not self.names:
            return None
        frames = self.names[first - 1 : last]
        if first < 1 or len(frames) != last - first + 1:
            self.faults.add(f"{self.half} {name}: lines {first} to {last} of {len(self.names)}")
            return None
        begin = f"{person:04d}C{camera}"
        wrong = [one for one in frames if not one.startswith(begin)]
        if wrong:
            self.faults.add(
                f"{self.half} {name}: frame {wrong[0]}, not of person {person}, camera {camera}"
            )
            return None
        folder = begin[:PERSON_CHARACTERS]
        absent = [one for one in frames if one not in self._listed(folder)]
        if absent:
            self.faults.missing(f"{self.half}/{folder}", absent)
            return None
        return self._paired(FolderEntry(name, person, camera, self.frames / folder, tuple(frames)))

    def _listed(self, folder: str) -> set[str]:
        if folder not in self.listed:
            self.listed[folder] = set(names_in(self.frames / folder, PICTURES))
        return self.listed[folder]

    def _paired(self, entry: FolderEntry) -> FolderEntry | None:
        """Return the entry with its event files: by its frames' names, else by its tracklet's."""
        if self.events is None:
            return entry
        folder = self.events / entry.folder.name
        by_name, by_tracklet = self._event_files(folder)
        files = [by_name[stem] for stem in map(_stem, entry.frames) if stem in by_name]
        if len(files) < len(entry.frames) - 1:
            tracklets = sorted({frame[:TRACKLET_CHARACTERS] for frame in entry.frames})
            files = [file for tracklet in tracklets for file in by_tracklet.get(tracklet, [])]
        try:
            events = pair(entry.frames, files)
        except InputError as error:
            where = f"{self.half}/{entry.folder.name}/{entry.frames[0][:TRACKLET_CHARACTERS]}"
            self.faults.add(f"{where}: {error.what}")
            return None
        return replace(entry, event_folder=folder, events=events)

    def _event_files(self, folder: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Return a person's event files by stem and by tracklet."""
        if folder.name not in self.event_files:
            by_tracklet: dict[str, list[str]] = {}
            names = names_in(folder, EVENT_FILES)
            for name in names:
                by_tracklet.setdefault(name[:TRACKLET_CHARACTERS], []).append(name)
            self.event_files[folder.name] = ({_stem(name): name for name in names}, by_tracklet)
        return self.event_files[folder.name]


def _stem(name: str) -> str:
    return name.rpartition(".")[0]
