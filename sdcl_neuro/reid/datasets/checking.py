"""Check a data set's folder: every fault at once, and its counts against the published ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError, number_of

from .clip import Clip
from .faults import FaultyData
from .index import DataSet, Part, labels
from .table import KINDS, Choices, kind_named, recognise

PARTS: tuple[Part, ...] = ("train", "query", "gallery")

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def _no_progress(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda count: None)


@dataclass(frozen=True)
class DataReport:
    """What `check_data` found.

    Attributes:
        root: the folder.
        kind: the data set's name in the table.
        faults: all that is wrong, one line each; empty if nothing is.
        counts: persons, cameras, tracklets and frames, of all and by part.
        published: what the whole data set has, where that is known.
        assumed: what was taken for granted.
        read: entries whose files were opened; 0 if only their names were looked at.
    """

    root: Path
    kind: str
    faults: tuple[str, ...]
    counts: dict[str, int] = field(default_factory=dict)
    published: dict[str, int] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    read: int = 0

    @property
    def differing(self) -> tuple[str, ...]:
        """Counts that are not the published ones."""
        return tuple(
            name for name, number in self.published.items() if self.counts.get(name) != number
        )

    @property
    def good(self) -> bool:
        """Whether nothing is wrong and no count differs."""
        return not self.faults and not self.differing

    def __str__(self) -> str:
        lines = [f"{self.root}: {KINDS[self.kind].text} ({self.kind})"]
        for name, number in self.counts.items():
            known = self.published.get(name)
            beside = "" if known is None else f"   published {known:>9,}"
            mark = "" if known is None or known == number else "   differs"
            lines.append(f"  {name:<18} {number:>9,}{beside}{mark}")
        lines += [f"  assumed: {note}" for note in self.assumed]
        if self.read:
            lines.append(f"  {self.read:,} tracklets were read")
        many = "no faults" if not self.faults else f"{number_of(len(self.faults), 'fault')}:"
        lines.append(f"  {many}")
        return "\n".join([*lines, *(f"    {fault}" for fault in self.faults)])

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "schema": {"name": "sdcl_neuro.data-check", "version": 1},
            "root": str(self.root),
            "kind": self.kind,
            "faults": list(self.faults),
            "counts": self.counts,
            "published": self.published,
            "differing": list(self.differing),
            "assumed": list(self.assumed),
            "read": self.read,
        }


def check_data(
    root: Path | str,
    *,
    kind: str | None = None,
    choices: Choices | None = None,
    read: bool = False,
    progress: Progress = _no_progress,
) -> DataReport:
    """Look a folder over.

    Args:
        root: the folder.
        kind: which data set; recognised if left out.
        choices: see `Choices`.
        read: open every tracklet's files, too.
        progress: makes a progress bar for reading.

    Raises:
        InputError: no such folder, or it looks like no data set.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError("no such folder", where=str(root), hint="give a data set's folder")
    name = recognise(root) if kind is None else kind
    row = kind_named(name)
    published = dict(row.published)
    try:
        data = row.open_data(root, choices or Choices())
    except FaultyData as error:
        return DataReport(root, name, error.faults, published=published)
    except InputError as error:
        return DataReport(root, name, (str(error),), published=published)
    faults, done = _read_all(data, row.one_bin, progress) if read else ([], 0)
    notes: tuple[str, ...] = getattr(data, "notes", ())
    return DataReport(root, name, tuple(faults), count(data), published, notes, done)


def count(data: DataSet) -> dict[str, int]:
    """Return persons (distractors left out), cameras, tracklets and frames, of all and by part."""
    entries = data.entries
    found = {
        "persons": len({entry.person for entry in entries} - {0}),
        "cameras": len({entry.camera for entry in entries}),
        "tracklets": len(entries),
    }
    frames = sum(len(getattr(entry, "frames", ())) for entry in entries)
    if frames:
        found["frames"] = frames
    for part in PARTS:
        chosen = labels(data, part)
        found[f"{part} tracklets"] = len(chosen.persons)
        found[f"{part} persons"] = len(set(chosen.persons.tolist()) - {0})
    return found


def _read_all(data: DataSet, one_bin: bool, progress: Progress) -> tuple[list[str], int]:
    """Return faults of all tracklets that cannot be loaded, and how many were tried."""
    faults = []
    with progress("reading", len(data.entries)) as advance:
        for position, entry in enumerate(data.entries):
            # As many frames as there are, so that every file is opened.
            frames = max(1, len(getattr(entry, "frames", ())))
            try:
                data.load(position, Clip(frames, 1 if one_bin else 2, (16, 8)))
            except InputError as error:
                faults.append(str(error))
            advance(1)
    return faults, len(data.entries)
