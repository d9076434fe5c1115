"""Event-ReId v2 (Ahmad et al., ICCV 2023) as it is downloaded: whole recordings with labels.

``PPP/camCC/events.txt``: a line ``640 480``, then ``t x y p``, one event a line, those outside the
person's box already left out. ``PPP/camCC/labels/*.json``: ``[[x1, y1, x2, y2], frame]`` every 33.3
ms. The unit of time is stated nowhere: it is derived from the labels, which last as long.

Published protocol: of every three persons the second is tested (2, 5, 8, ... 32), the others are
for training; in the test every fifth window counts, and 44 of them ask.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.options import ReadingOptions
from sdcl_neuro.files.reading import read_json, read_text, regular_file

from .faults import Faults
from .recordings import Box, RecordingData, RecordingEntry, fitted
from .table import Choices

LABEL_US = 1e6 / 30
TEST_REST, TEST_PERIOD = 2, 3
TEST_STEP = 5
UNITS_US = (0.001, 1.0, 10.0, 100.0, 1000.0, 1e6)
UNIT_SLACK = 0.5
"""Labels and events may differ in length by this part before no unit fits."""
PERSON, CAMERA = re.compile(r"\d{1,4}"), re.compile(r"cam_?(\d{1,2})")
QUERY = re.compile(r"(\d+)_c(\d+)_(\d+)(?:\.txt)?")
MEND = "complete the folder as Event-ReId v2 is published (Zenodo 8256439)"


@dataclass(frozen=True)
class CameraRecording:
    """What a camera's folder holds: numbers of the labels in order, and their boxes."""

    person: int
    camera: int
    path: Path
    frames: tuple[int, ...]
    boxes: tuple[Box, ...]
    unit_us: float


def recognise(root: Path) -> bool:
    """Return whether a folder looks like Event-ReId v2's download."""
    return any(True for _ in root.glob("[0-9]*/cam*/events.txt"))


def open_data(root: Path, choices: Choices) -> RecordingData:
    """Return Event-ReId v2; see `table`.

    ``protocol = "recordings"`` (the first): a recording is one tracklet; all test recordings ask
    and are searched, and ranking leaves out those of the query's own person and camera.
    ``"windows"``: the published one, a window of 33.3 ms each. Its queries are those of the list
    ``event_reid.query``; without it, the middle window of each person and camera.
    """
    faults = Faults(root)
    found = [_recording(path, faults) for path in sorted(root.glob("*/cam*")) if path.is_dir()]
    recordings = [one for one in found if one is not None]
    if not recordings and not faults.count:
        faults.add("no folder PPP/camCC with events.txt and labels")
    windows = choices.protocol == "windows"
    entries, parts, notes = _windows(recordings) if windows else _whole(recordings)
    listed = getattr(choices.own, "query", "") if choices.own is not None else ""
    if windows and listed:
        parts["query"], notes = _listed(root / listed, entries, faults), notes[1:]
    faults.check(MEND)
    units = sorted({one.unit_us for one in recordings})
    said = ", ".join(f"{unit:g}" for unit in units)
    return RecordingData(
        "Event-ReId v2",
        root,
        tuple(entries),
        train=tuple(parts["train"]),
        query=tuple(parts["query"]),
        gallery=tuple(parts["gallery"]),
        reading=ReadingOptions(sensor=None, mend=choices.event_files.mend),
        interval_us=choices.interval_ms * 1e3 or LABEL_US,
        notes=(f"a unit of time is taken as {said} us, which the labels' duration gives", *notes),
    )


def _whole(recordings: list[CameraRecording]) -> tuple[list[RecordingEntry], dict[str, list[int]],
                                                 tuple[str, ...]]:  # fmt: skip
    entries = [_entry(one, None) for one in recordings]
    train = [k for k, one in enumerate(recordings) if not _tested(one.person)]
    test = [k for k, one in enumerate(recordings) if _tested(one.person)]
    return entries, {"train": train, "query": test, "gallery": test}, ()


def _windows(recordings: list[CameraRecording]) -> tuple[list[RecordingEntry], dict[str, list[int]],
                                                   tuple[str, ...]]:  # fmt: skip
    entries: list[RecordingEntry] = []
    parts: dict[str, list[int]] = {"train": [], "query": [], "gallery": []}
    for one in recordings:
        first = one.frames[0]
        numbers = [frame - first for frame in one.frames]
        if not _tested(one.person):
            parts["train"] += range(len(entries), len(entries) + len(numbers))
            entries += [_entry(one, number) for number in numbers]
            continue
        kept = numbers[::TEST_STEP]
        places = list(range(len(entries), len(entries) + len(kept)))
        parts["gallery"] += places
        parts["query"].append(places[len(places) // 2])
        entries += [_entry(one, number) for number in kept]
    note = "the published list of queries is not given: the middle window of each recording asks"
    return entries, parts, (note,)


def _entry(one: CameraRecording, window: int | None) -> RecordingEntry:
    first = one.frames[0]
    name = f"{one.person:03d}_c{one.camera}"
    return RecordingEntry(
        name if window is None else f"{name}_{window:03d}",
        one.person,
        one.camera,
        one.path,
        unit_us=one.unit_us,
        labels=tuple(frame - first for frame in one.frames),
        boxes=one.boxes,
        window=window,
    )


def _tested(person: int) -> bool:
    return person % TEST_PERIOD == TEST_REST


def _listed(path: Path, entries: list[RecordingEntry], faults: Faults) -> list[int]:
    """Return positions of the windows that a list names; one that is not a fifth window is an
    error.
    """
    try:
        names = read_text(path).split()
    except (OSError, InputError):
        faults.add(f"list {path}: no such file")
        return []
    places = {entry.name: k for k, entry in enumerate(entries)}
    chosen = []
    for name in names:
        matched = QUERY.fullmatch(name.rsplit("/", 1)[-1])
        if matched is None:
            continue  # the person beside a name
        person, camera, window = (int(number) for number in matched.groups())
        own = f"{person:03d}_c{camera}_{window:03d}"
        if own in places:
            chosen.append(places[own])
        else:
            faults.add(f"{path.name}: {name} is not a test window (every {TEST_STEP}th)")
    return chosen


def _recording(folder: Path, faults: Faults) -> CameraRecording | None:
    where = f"{folder.parent.name}/{folder.name}"
    person, camera = PERSON.fullmatch(folder.parent.name), CAMERA.fullmatch(folder.name)
    path = folder / "events.txt"
    if person is None or camera is None:
        faults.add(f"{where}: not named PPP/camCC")
        return None
    if not path.is_file():
        faults.missing("events", [f"{where}/events.txt"])
        return None
    labels = _labels(folder / "labels", where, faults)
    if not labels:
        return None
    frames = tuple(sorted(labels))
    try:
        unit = _unit(path, frames)
    except InputError as error:
        faults.add(f"{where}/events.txt: {error.what}")
        return None
    return CameraRecording(
        int(person[0]), int(camera[1]), path, frames, tuple(labels[f] for f in frames), unit
    )


def _labels(folder: Path, where: str, faults: Faults) -> dict[int, Box]:
    """Return boxes by frame number."""
    found: dict[int, Box] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            box, frame = read_json(path)
            corners = [float(side) for side in box]
            if len(corners) != 4 or not np.isfinite(corners).all() or int(frame) != frame:
                raise ValueError
            if corners[0] >= corners[2] or corners[1] >= corners[3]:
                raise ValueError
            found[int(frame)] = fitted(*corners)
        except (OSError, InputError, ValueError, TypeError, OverflowError):
            faults.add(f"{where}/labels/{path.name}: not [[x1, y1, x2, y2], frame]")
    if not found and not any(folder.glob("*.json")):
        faults.missing("labels", [f"{where}/labels/*.json"])
    return found


def _unit(path: Path, frames: tuple[int, ...]) -> float:
    """Return microseconds per unit of time: the one with which events last as long as labels.

    Raises:
        InputError: no events, or no usual unit that fits.
    """
    first, last = _ends(path)
    wanted = (frames[-1] - frames[0] + 1) * LABEL_US
    if last <= first:
        raise InputError("its times do not ascend")
    unit = min(UNITS_US, key=lambda one: abs(np.log(one * (last - first) / wanted)))
    if abs(np.log(unit * (last - first) / wanted)) > np.log(1 + UNIT_SLACK) + 1e-9:
        raise InputError(
            f"{last - first:g} units of time for {len(frames)} labels of 33.3 ms, which no usual "
            "unit explains"
        )
    return unit


def _ends(path: Path) -> tuple[float, float]:
    """Return times of the first and the last event of a text file."""
    size = regular_file(path, what="a text file of events").stat().st_size
    with path.open("rb") as stream:
        stream.readline()
        first = stream.readline()
        stream.seek(max(0, size - 4096))
        last = stream.read().strip().rsplit(b"\n", 1)[-1]
    try:
        return float(first.split()[0]), float(last.split()[0])
    except (ValueError, IndexError):
        raise InputError("no events after its first line") from None
