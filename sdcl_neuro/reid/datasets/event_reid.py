"""Event-ReId (Ahmad et al., ICCV 2023): text windows ``PERSON_cCAMERA_WINDOW.txt``, events only.

A window is one person's events of 33.3 ms in four columns, t x y p. Times are in units of 100 us
(a window of 33.3 ms spans 333 of them), the sensor has 640 x 480 pixels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events, encode, read_events
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.events.tracklets.tracklet import CROP_SIZE
from sdcl_neuro.files.reading import read_file

from .clip import Clip
from .faults import Faults
from .index import describe
from .table import Choices

SENSOR = (640, 480)
TIME_UNIT_US = 100.0
NAME = re.compile(r"(\d+)_c(\d+)_(\d+)\.txt")
# The person's box: all but the outermost events, which are mostly noise, and a little room.
OUTERMOST, ROOM = 0.01, 1.08
ASPECT = CROP_SIZE[1] / CROP_SIZE[0]  # width over height
SMALLEST_PX = 16.0
MEND = "give files named PERSON_cCAMERA_WINDOW.txt, listed one a line"


@dataclass(frozen=True)
class WindowEntry:
    """One window: its path below the root, person and camera."""

    name: str
    person: int
    camera: int
    path: Path


@dataclass(frozen=True)
class EventReid:
    """Event-ReId's windows; see `index.DataSet` for what it offers.

    A window has no frames: those of its tracklets are black, for models that take events only.

    Attributes:
        root: the folder its user gave.
        entries: the windows.
        train, query, gallery: positions in `entries`.
        has_events: True.
        has_frames: False.
    """

    root: Path
    entries: tuple[WindowEntry, ...]
    train: tuple[int, ...]
    query: tuple[int, ...]
    gallery: tuple[int, ...]
    has_events: bool = True
    has_frames: bool = False

    def load(self, position: int, clip: Clip, *, seed: int | None = None) -> Tracklet:
        """Read one window, cut in `clip.frames` equal intervals; there is nothing to draw by seed.

        Raises:
            InputError: a file that is gone or damaged.
        """
        entry = self.entries[position]
        events = read_window(entry.path)
        box = person_box(events)
        start, times = _intervals(events, clip.frames)
        spikes = encode(
            events.crop(box, clip.size), frame_times_us=times, bins=clip.bins, start_us=start
        )
        whole = np.rint(np.array(box)).astype(np.int64)
        return Tracklet(
            name=entry.name,
            person=entry.person,
            camera=entry.camera,
            frames=np.zeros((clip.frames, *CROP_SIZE, 3), np.uint8),
            spikes=spikes,
            times_us=times,
            boxes=np.tile(whole, (clip.frames, 1)),
        )

    def __str__(self) -> str:
        return f"Event-ReId in {self.root}: {len(self.entries)} windows; {describe(self)}"


@dataclass(frozen=True)
class EventReidTable:
    """Lists of windows or recordings, or folds that leave persons out.

    Attributes:
        train, query, gallery: list files, below the root; without any, there are folds.
        folds: how many; `data.split` says which of them is tested.
        seed: of the folds.
    """

    train: str = ""
    query: str = ""
    gallery: str = ""
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("folds", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}", hint=f"give {least} or more")


def recognise(root: Path) -> bool:
    """Return whether a folder holds windows by their names."""
    return any(NAME.fullmatch(path.name) for path in root.rglob("*_c*_*.txt"))


def open_data(root: Path, choices: Choices) -> EventReid:
    """Return Event-ReId's windows; see `table`."""
    own = choices.own if isinstance(choices.own, EventReidTable) else EventReidTable()
    lists = [root / name if name else None for name in (own.train, own.query, own.gallery)]
    data = read_event_reid(root, train=lists[0], query=lists[1], gallery=lists[2])
    if any(lists):
        return data
    folds = leave_persons_out(data, folds=own.folds, seed=own.seed)
    if choices.split >= len(folds):
        raise InputError(
            f"split {choices.split} of {len(folds)} folds",
            where="data.split",
            hint=f"give 0 to {len(folds) - 1}",
        )
    return folds[choices.split]


def read_event_reid(
    root: Path | str,
    *,
    train: Path | str | None = None,
    query: Path | str | None = None,
    gallery: Path | str | None = None,
) -> EventReid:
    """Return Event-ReId's windows, by lists of files or, without any list, all windows below
    `root`.

    Args:
        root: the folder that names in lists start from.
        train, query, gallery: lists as the data set has them: ``train/001_c1_048.txt 001``,
            one a line; the person may be left out.

    Returns:
        The data set; without lists all windows are for training: see `leave_persons_out`.

    Raises:
        InputError: everything that is missing or malformed, in one list.
    """
    root = Path(root)
    faults = Faults(root)
    if not root.is_dir():
        raise InputError("no such folder", where=str(root), hint="give Event-ReId's folder")
    listed = {"train": train, "query": query, "gallery": gallery}
    if all(one is None for one in listed.values()):
        found = sorted(path for path in root.rglob("*_c*_*.txt") if NAME.fullmatch(path.name))
        if not found:
            faults.add("no windows named PERSON_cCAMERA_WINDOW.txt")
        names = {"train": [path.relative_to(root).as_posix() for path in found]}
    else:
        names = {
            part: _read_list(Path(one), faults) for part, one in listed.items() if one is not None
        }
    entries: dict[str, WindowEntry] = {}
    parts: dict[str, tuple[int, ...]] = {"train": (), "query": (), "gallery": ()}
    for part, chosen in names.items():
        for name in chosen:
            if name not in entries:
                _add(entries, root, name, faults)
        order = {name: position for position, name in enumerate(entries)}
        parts[part] = tuple(order[name] for name in chosen if name in order)
    faults.check(MEND)
    found_entries = tuple(entries.values())
    return EventReid(root, found_entries, parts["train"], parts["query"], parts["gallery"])


def _add(entries: dict[str, WindowEntry], root: Path, name: str, faults: Faults) -> None:
    matched = NAME.fullmatch(name.rsplit("/", 1)[-1])
    if matched is None:
        faults.add(f"{name}: not named PERSON_cCAMERA_WINDOW.txt")
    elif not (root / name).is_file():
        faults.missing("window", [name])
    else:
        person, camera = int(matched.group(1)), int(matched.group(2))
        entries[name] = WindowEntry(matched.group(0)[:-4], person, camera, root / name)


def _read_list(path: Path, faults: Faults) -> list[str]:
    """Return names of a list; a person beside a name must be the name's own."""
    try:
        lines = read_file(path).decode("utf-8", "replace").splitlines()
    except (OSError, InputError):
        faults.add(f"list {path}: no such file")
        return []
    names = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        matched = NAME.fullmatch(words[0].rsplit("/", 1)[-1])
        stated = words[1] if len(words) > 1 else None
        if matched and stated is not None and stated.lstrip("0") != matched.group(1).lstrip("0"):
            faults.add(f"{path.name} line {number}: {words[0]} is not of person {stated}")
        names.append(words[0])
    if not names:
        faults.add(f"list {path}: is empty")
    return names


def read_window(path: Path) -> Events:
    """Return the events of one window, times in whole microseconds."""
    return read_events(path, sensor=SENSOR, time_unit_us=TIME_UNIT_US)


def person_box(events: Events) -> tuple[float, float, float, float]:
    """Return a box of a crop's proportions around the events: left, top, width, height in
    pixels.
    """
    if not len(events):
        return 0.0, 0.0, float(events.width), float(events.height)
    cut = (OUTERMOST, 1.0 - OUTERMOST)
    x, y = (np.quantile(events.array[axis], cut) for axis in "xy")
    left, right, top, bottom = x[0], x[1] + 1.0, y[0], y[1] + 1.0
    height = max(bottom - top, (right - left) / ASPECT, SMALLEST_PX) * ROOM
    width = height * ASPECT
    return (
        float(0.5 * (left + right - width)),
        float(0.5 * (top + bottom - height)),
        float(width),
        float(height),
    )


def _intervals(events: Events, frames: int) -> tuple[int, NDArray[np.int64]]:
    """Start and ends of equal intervals over all events, each at least one microsecond."""
    array = events.array["t"]
    start = int(array[0]) - 1 if len(array) else 0
    end = max(int(array[-1]) if len(array) else 0, start + frames)
    steps = np.arange(1, frames + 1)
    return start, start + steps * (end - start) // frames


def leave_persons_out(data: EventReid, *, folds: int = 5, seed: int = 0) -> tuple[EventReid, ...]:
    """Return folds whose test persons are in no training: each person is tested once.

    All windows of the test persons are both queries and gallery; ranking leaves out those of the
    query's own person and camera, so a person seen by one camera only never finds a match.

    Raises:
        InputError: fewer than two folds, or more than there are persons.
    """
    persons = sorted({entry.person for entry in data.entries})
    if not 2 <= folds <= len(persons):
        raise InputError(
            f"{folds} folds of {len(persons)} persons", hint=f"give 2 to {len(persons)}"
        )
    shuffled = np.random.default_rng(seed).permutation(persons).tolist()
    return tuple(_fold(data, shuffled[fold::folds]) for fold in range(folds))


def _fold(data: EventReid, tested: Sequence[int]) -> EventReid:
    inside = [entry.person in tested for entry in data.entries]
    test = tuple(k for k, is_test in enumerate(inside) if is_test)
    train = tuple(k for k, is_test in enumerate(inside) if not is_test)
    return replace(data, train=train, query=test, gallery=test)
