"""DVS128 Gesture (Amir et al., CVPR 2017) by person, in the copy that tonic distributes.

``ibmGestureTrain|ibmGestureTest/user24_fluorescent/0.npy``: N x 4, x y p t, 128 x 128, t in
milliseconds. A person is a user, a camera is a light; persons of the two halves differ.
"""

from __future__ import annotations

import re
from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.options import ReadingOptions
from sdcl_neuro.files.reading import read_text

from .faults import Faults
from .recordings import RecordingData, RecordingEntry
from .table import Choices

HALVES = {"ibmGestureTrain": "train", "ibmGestureTest": "test"}
FOLDER = re.compile(r"user(\d{1,3})_([a-z_]+)")
LIGHTS = ("fluorescent", "fluorescent_led", "lab", "led", "natural")
SENSOR, MILLISECOND_US = (128, 128), 1000.0
INTERVAL_US = 100_000.0
ENDINGS = (".npy",)
MEND = "complete the folder as tonic distributes it"


def recognise(root: Path) -> bool:
    """Return whether a folder looks like DVS128 Gesture's."""
    return any((root / half).is_dir() for half in HALVES)


def open_data(root: Path, choices: Choices) -> RecordingData:
    """Return DVS128 Gesture by person; see `table`.

    Every recording of a test person asks and is searched; ranking leaves out those under the
    query's own light. A list ``event_reid.query`` (``user24_fluorescent/0``) chooses who asks.
    """
    faults = Faults(root)
    entries: list[RecordingEntry] = []
    parts: dict[str, list[int]] = {"train": [], "test": []}
    for half, part in HALVES.items():
        if not (root / half).is_dir():
            faults.add(f"no folder {half}")
            continue
        for folder in sorted((root / half).iterdir()):
            for entry in _recordings(folder, faults):
                parts[part].append(len(entries))
                entries.append(entry)
    both = {entries[k].person for k in parts["train"]} & {entries[k].person for k in parts["test"]}
    if both:
        faults.add(f"user{min(both):02d} is in both halves")
    listed = getattr(choices.own, "query", "") if choices.own is not None else ""
    query = parts["test"]
    if listed:
        query = _listed(root / listed, entries, set(parts["test"]), faults)
    faults.check(MEND)
    return RecordingData(
        "DVS128 Gesture by person",
        root,
        tuple(entries),
        train=tuple(parts["train"]),
        query=tuple(query),
        gallery=tuple(parts["test"]),
        reading=ReadingOptions(
            sensor=SENSOR,
            columns="xypt",
            time_unit_us=MILLISECOND_US,
            mend=choices.event_files.mend,
        ),
        interval_us=choices.interval_ms * 1e3 or INTERVAL_US,
        notes=("times are taken as milliseconds, as in tonic's copy",),
    )


def _recordings(folder: Path, faults: Faults) -> list[RecordingEntry]:
    if not folder.is_dir():
        return []
    matched = FOLDER.fullmatch(folder.name)
    if matched is None or matched[2] not in LIGHTS:
        faults.add(f"{folder.parent.name}/{folder.name}: not named userNN_LIGHT")
        return []
    files = sorted(
        (path for path in folder.iterdir() if path.suffix in ENDINGS and path.stem.isdecimal()),
        key=lambda path: int(path.stem),
    )
    if not files:
        faults.add(f"{folder.parent.name}/{folder.name}: no recording N.npy")
    person, light = int(matched[1]), LIGHTS.index(matched[2]) + 1
    return [RecordingEntry(f"{folder.name}-{path.stem}", person, light, path) for path in files]


def _listed(path: Path, entries: list[RecordingEntry], test: set[int], faults: Faults) -> list[int]:
    """Return positions of the recordings that a list names."""
    try:
        names = read_text(path).split()
    except (OSError, InputError):
        faults.add(f"list {path}: no such file")
        return []
    places = {entry.name: k for k, entry in enumerate(entries) if k in test}
    chosen = []
    for name in names:
        own = "-".join(name.removesuffix(".npy").split("/")[-2:])
        if own in places:
            chosen.append(places[own])
        elif FOLDER.match(own):
            faults.add(f"{path.name}: {name} is not among the test recordings")
    return chosen
