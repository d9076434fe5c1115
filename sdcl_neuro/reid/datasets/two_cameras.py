"""PRID-2011 and iLIDS-VID: two cameras, one folder of frames for each person in each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public

from .faults import Faults
from .folder import PICTURES, EntryEvents, FolderData, FolderEntry, NoEvents
from .pairing import EVENT_FILES, EventFiles, names_in, pair
from .splits import Split, chosen_split, person_number, read_ilids_splits, read_prid_splits
from .table import Choices

AUTO = "auto"
FPS = 25.0  # nominal, of both; only the scale of times depends on it
FRAMES_PRID = ("prid_2011/multi_shot", "multi_shot")
# The published code's name for the events' folder, then its README's.
EVENTS_PRID = ("prid_event_divide/multi_shot", "prid_2011_event/multi_shot")
SPLITS_PRID = ("splits_prid2011.json", "prid_2011/splits_prid2011.json")
FRAMES_ILIDS = ("i-LIDS-VID/sequences", "sequences")
EVENTS_ILIDS = ("i-LIDS-VID_mat_divide/sequences",)
SPLITS_ILIDS = ("train-test people splits/train_test_splits_ilidsvid.mat",)
MEND = "complete the folder, or give the folders and files by name"


@public
def read_prid2011(
    root: Path | str,
    *,
    split: int = 0,
    splits: Path | str | None = None,
    events: Path | str | None = AUTO,
    event_files: EventFiles | None = None,
) -> FolderData:
    """Return PRID-2011's multi-shot part; query camera a, gallery camera b.

    Args:
        root: holds ``prid_2011/multi_shot/cam_a/person_0001/*.png`` and so on.
        split: which of the file's splits, from 0.
        splits: ``splits_prid2011.json``; looked for in `root` if left out.
        events: the events' ``multi_shot`` folder; ``auto`` looks for it in `root`; None for
            frames alone (or events simulated into a cache).
        event_files: how to read them, where the files leave it open.

    Raises:
        InputError: everything that is missing or does not pair, in one list.
    """
    root = Path(root)
    tree = _Tree(Faults(root), root, ("cam_a", "cam_b"))
    tree.find(FRAMES_PRID, EVENTS_PRID, events)
    chosen = chosen_split(read_prid_splits(tree.file(splits, SPLITS_PRID)), split, root)
    return tree.data("PRID-2011", chosen, _source(events, event_files))


@public
def read_ilidsvid(
    root: Path | str,
    *,
    split: int = 0,
    splits: Path | str | None = None,
    events: Path | str | None = AUTO,
    event_files: EventFiles | None = None,
) -> FolderData:
    """Return iLIDS-VID; query camera 1, gallery camera 2; arguments and errors as `read_prid2011`.

    The split file's ``ls_set`` counts persons from 1 in sorted order; the first half of a row is
    for testing (Wang et al., ECCV 2014).
    """
    root = Path(root)
    tree = _Tree(Faults(root), root, ("cam1", "cam2"))
    tree.find(FRAMES_ILIDS, EVENTS_ILIDS, events)
    persons = tree.persons()
    found = read_ilids_splits(tree.file(splits, SPLITS_ILIDS), persons)
    return tree.data("iLIDS-VID", chosen_split(found, split, root), _source(events, event_files))


def is_prid2011(root: Path) -> bool:
    """Return whether a folder looks like PRID-2011's."""
    return any((root / name / "cam_a").is_dir() for name in FRAMES_PRID)


def is_ilidsvid(root: Path) -> bool:
    """Return whether a folder looks like iLIDS-VID's."""
    return any((root / name / "cam1").is_dir() for name in FRAMES_ILIDS)


def open_prid2011(root: Path, choices: Choices) -> FolderData:
    """Return PRID-2011; see `table`."""
    return read_prid2011(root, **_arguments(root, choices))


def open_ilidsvid(root: Path, choices: Choices) -> FolderData:
    """Return iLIDS-VID; see `table`."""
    return read_ilidsvid(root, **_arguments(root, choices))


def _arguments(root: Path, choices: Choices) -> dict[str, Any]:
    events: Path | str | None = root / choices.events
    if choices.events == "none":
        events = None
    elif choices.events == AUTO:
        events = AUTO
    return {
        "split": choices.split,
        "splits": root / choices.splits if choices.splits else None,
        "events": events,
        "event_files": choices.event_files,
    }


def _source(events: Path | str | None, event_files: EventFiles | None) -> EntryEvents:
    return NoEvents() if events is None else event_files or EventFiles()


class _Tree:
    """The folders of one of the two data sets, while it is read."""

    def __init__(self, faults: Faults, root: Path, cameras: tuple[str, str]) -> None:
        self.faults, self.root, self.cameras = faults, root, cameras
        self.frames, self.events = root, root

    def find(
        self, frames: Sequence[str], event_trees: Sequence[str], events: Path | str | None
    ) -> None:
        """Set the two trees; InputError if one of them is not there."""
        self.frames = self._first(frames, "frames")
        self.with_events = events is not None
        if events == AUTO:
            self.events = self._first(event_trees, "events")
        elif events is not None:
            self.events = Path(events)
            if not self.events.is_dir():
                self.faults.add(f"events: no folder {self.events}")
        self.faults.check(MEND)

    def _first(self, candidates: Sequence[str], what: str) -> Path:
        for candidate in candidates:
            if (self.root / candidate).is_dir():
                return self.root / candidate
        self.faults.add(f"{what}: no folder {' or '.join(candidates)}")
        return self.root

    def file(self, given: Path | str | None, candidates: Sequence[str]) -> Path:
        """Return the split file; InputError if it is not there."""
        paths = [Path(given)] if given is not None else [self.root / name for name in candidates]
        for path in paths:
            if path.is_file():
                return path
        self.faults.add(f"splits: no file {' or '.join(map(str, paths))}")
        self.faults.check(MEND)
        return paths[0]

    def persons(self) -> list[str]:
        """Return folders of the first camera, which must be those of the second."""
        first, second = (
            {path.name for path in (self.frames / camera).glob("person*") if path.is_dir()}
            for camera in self.cameras
        )
        for names, camera in ((first - second, 1), (second - first, 0)):
            self.faults.missing(self.cameras[camera], sorted(names))
        self.faults.check(MEND)
        return sorted(first)

    def data(self, name: str, split: Split, source: EntryEvents) -> FolderData:
        """Return entries of one split's persons, both cameras."""
        entries: list[FolderEntry] = []
        parts: dict[str, list[int]] = {"train": [], "query": [], "gallery": []}
        for part, persons in (("train", split.train), ("test", split.test)):
            for person in persons:
                for camera in range(2):
                    entry = self._entry(person, camera)
                    if entry is not None:
                        where = part if part == "train" else ("query", "gallery")[camera]
                        parts[where].append(len(entries))
                        entries.append(entry)
        self.faults.check(MEND)
        return FolderData(
            name,
            self.root,
            tuple(entries),
            fps=FPS,
            source=source,
            train=tuple(parts["train"]),
            query=tuple(parts["query"]),
            gallery=tuple(parts["gallery"]),
        )

    def _entry(self, person: str, camera: int) -> FolderEntry | None:
        inner = f"{self.cameras[camera]}/{person}"
        frames = names_in(self.frames / inner, PICTURES)
        if not frames:
            self.faults.add(f"{inner}: no frames")
            return None
        entry = f"{self.cameras[camera]}-{person}"
        number = person_number(person)
        if not self.with_events:
            return FolderEntry(entry, number, camera, self.frames / inner, tuple(frames))
        folder = self.events / inner
        try:
            paired = pair(frames, names_in(folder, EVENT_FILES))
        except InputError as error:
            self.faults.add(f"{inner}: {error.what}")
            return None
        return FolderEntry(
            entry, number, camera, self.frames / inner, tuple(frames), folder, paired
        )
