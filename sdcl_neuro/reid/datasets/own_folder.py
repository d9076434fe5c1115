"""A folder of your own persons: frames by part, person, camera and tracklet, with their events.

``ROOT/{train,query,gallery}/PERSON/CAMERA/TRACKLET/*.jpg``, or flat names as MARS, Market-1501 and
torchreid have them, anywhere below the parts; events in a parallel tree below ``ROOT/events``, in
any format that `events info` reads, or simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sdcl_neuro.errors import InputError

from .event_pictures import NOTE
from .faults import Faults
from .folder import PICTURES, FolderData, FolderEntry, NoEvents
from .own_events import CLOCKS, pair_events, source_of
from .own_names import FoundTracklet, collect, numbered
from .table import Choices

PARTS = {
    "train": ("train", "bounding_box_train", "bbox_train"),
    "query": ("query",),
    "gallery": ("gallery", "bounding_box_test", "bbox_test", "test"),
}
EVENTS = ("events", "event")
USUAL_FPS = 25.0
MEND = "give ROOT/{train,query,gallery}/PERSON/CAMERA/TRACKLET/*.jpg (docs/datasets.md)"


@dataclass(frozen=True)
class FolderTable:
    """What only one's own folder has.

    Attributes:
        fps: frames a second; 0 takes 25, and says so.
        clock: of one event file a tracklet: ``frame``, 0 us is the first frame; ``first``, the
            first event comes with it.
    """

    fps: float = 0.0
    clock: str = "frame"

    def __post_init__(self) -> None:
        if not 0 <= self.fps <= 1e6:
            raise InputError(f"fps is {self.fps}", hint="give a rate above 0")
        if self.clock not in CLOCKS:
            raise InputError(f"clock is {self.clock!r}", hint=f"give one of {', '.join(CLOCKS)}")


def recognise(root: Path) -> bool:
    """Return whether a folder has parts with pictures in them."""
    return any(
        path.suffix.lower() in PICTURES
        for folder in _parts(root).values()
        for path in folder.rglob("*")
    )


def _parts(root: Path) -> dict[str, Path]:
    """Return the folder of each part that is there."""
    found = {}
    for part, names in PARTS.items():
        place = next((root / name for name in names if (root / name).is_dir()), None)
        if place is not None:
            found[part] = place
    return found


def open_data(root: Path, choices: Choices) -> FolderData:
    """Return a folder of one's own; see `table`."""
    own = choices.own if isinstance(choices.own, FolderTable) else FolderTable()
    faults, notes = Faults(root), []
    folders = _parts(root)
    if not folders:
        faults.add(f"no folder {', '.join(PARTS)}")
    found = [one for part, folder in folders.items() for one in collect(part, folder, faults)]
    for part in folders:
        if not any(one.part == part for one in found):
            faults.add(f"{folders[part].name}: no pictures")
    absent = [part for part in PARTS if part not in folders]
    if absent and folders:
        notes.append(f"no {' and no '.join(absent)} folder")
    entries = _entries(found, notes)
    if not own.fps:
        notes.append(f"{USUAL_FPS:g} frames/s are assumed (data.folder.fps)")
    fps = own.fps or USUAL_FPS
    source: object = NoEvents()
    trees = _event_trees(root, folders, choices, faults)
    if trees is not None and not faults.count:
        paired, form = pair_events(entries, trees, faults)
        source = source_of(form, choices, fps, own.clock)
        entries = list(zip([one for one, _ in entries], paired, strict=True))
        notes.append({"recordings": "one event file a tracklet", "files": "one event file a frame",
                      "pictures": NOTE}[form])  # fmt: skip
    elif trees is None:
        notes.append("no events for the frames")
    faults.check(MEND)
    parts = {
        part: tuple(k for k, (one, _) in enumerate(entries) if one.part == part) for part in PARTS
    }
    return FolderData(
        "a folder of one's own",
        root,
        tuple(entry for _, entry in entries),
        fps=fps,
        source=source,  # type: ignore[arg-type]
        notes=tuple(notes),
        train=parts["train"],
        query=parts["query"],
        gallery=parts["gallery"],
    )


def _entries(
    found: list[FoundTracklet], notes: list[str]
) -> list[tuple[FoundTracklet, FolderEntry]]:
    """Return entries with numbers for persons and cameras; junk (person -1) is left out and
    counted.
    """
    persons = numbered(one.person for one in found)
    cameras = numbered(one.camera for one in found)
    junk = [one for one in found if persons[one.person] < 0]
    if junk:
        notes.append(f"{len(junk)} tracklets of person -1 (junk) were left out")
    if any(str(number) != label.lstrip("0") for label, number in persons.items() if number > 0):
        notes.append(f"{len(persons)} persons by name, numbered in alphabetical order")
    return [
        (
            one,
            FolderEntry(one.name, persons[one.person], cameras[one.camera], one.folder, one.names),
        )
        for one in found
        if persons[one.person] >= 0
    ]


def _event_trees(
    root: Path, folders: dict[str, Path], choices: Choices, faults: Faults
) -> dict[str, Path] | None:
    """Return the events' folder of each part; None for frames alone."""
    if choices.events == "none":
        return None
    names = EVENTS if choices.events == "auto" else (choices.events,)
    tree = next((root / name for name in names if (root / name).is_dir()), None)
    if tree is None:
        if choices.events != "auto":
            faults.add(f"events: no folder {choices.events}")
        return None
    return {
        part: next(
            (tree / name for name in (folder.name, part) if (tree / name).is_dir()),
            tree / folder.name,
        )
        for part, folder in folders.items()
    }
