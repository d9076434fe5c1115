"""MARS* (AAAI 2026): MARS's frames in ``rgb``, event pictures of the same names in ``event``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .event_pictures import NOTE, EventPictureReader
from .faults import Faults
from .folder import PICTURES, FolderData
from .mars import MEND, read_mars
from .pairing import names_in
from .table import Choices

FRAMES, EVENTS = "rgb", "event"


def recognise(root: Path) -> bool:
    """Return whether a folder looks like MARS*'s."""
    return (root / FRAMES / "bbox_train").is_dir() and (root / EVENTS).is_dir()


def open_data(root: Path, choices: Choices) -> FolderData:
    """Return MARS*, by MARS's tables, which count from 1; see `table`."""
    info = next((p for p in (root / "info", root / FRAMES / "info") if p.is_dir()), root / "info")
    data = read_mars(root / FRAMES, info=info, queries_in_gallery=choices.queries_in_gallery)
    if choices.events == "none":
        return replace(data, name="MARS*", root=root)
    tree = root / (EVENTS if choices.events == "auto" else choices.events)
    faults = Faults(root)
    listed: dict[Path, set[str]] = {}
    entries = []
    for entry in data.entries:
        folder = tree / entry.folder.relative_to(root / FRAMES)
        if folder not in listed:
            listed[folder] = set(names_in(folder, PICTURES))
        absent = [name for name in entry.frames if name not in listed[folder]]
        faults.missing(f"event picture {folder.relative_to(root)}", absent)
        entries.append(replace(entry, event_folder=folder, events=entry.frames))
    faults.check(MEND)
    return replace(
        data,
        name="MARS*",
        root=root,
        entries=tuple(entries),
        source=EventPictureReader(),
        notes=(NOTE,),
    )
