"""Events of one's own folder: one recording a tracklet, one file a frame, or event pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events, encode, read_parts
from sdcl_neuro.events.options import ReadingOptions

from .clip import Clip
from .event_pictures import EventPictureReader
from .faults import Faults
from .folder import PICTURES, FolderEntry, Size
from .own_names import FoundTracklet
from .pairing import EventFiles, pair
from .table import Choices

CLOCKS = ("frame", "first")


@dataclass(frozen=True)
class TrackletRecordings:
    """One event file a tracklet, in the coordinates of its frames.

    Attributes:
        reading: how the files are to be read.
        fps: frames a second.
        clock: ``frame``: 0 us is the first frame; ``first``: the first event comes with it.
    """

    reading: ReadingOptions
    fps: float
    clock: str

    def spikes(
        self, entry: FolderEntry, picked: NDArray[np.int64], clip: Clip, size: Size
    ) -> NDArray[np.uint8]:
        """Return spikes ``[F*K, 2, h, w]``: frame f owns the events since frame f - 1.

        Raises:
            InputError: a damaged file, or events of another time than the frames.
        """
        path = entry.event_path(0)
        if path is None:
            return np.zeros((len(picked) * clip.bins, 2, *clip.size), np.uint8)
        events = replace(self.reading, sensor=self._sensor(path, size)).read(path)
        start = self._start(entry, events, path)
        seen = events.crop((0.0, 0.0, float(events.width), float(events.height)), clip.size)
        parts = []
        for frame in picked.tolist():
            low, high = (start + round(k * 1e6 / self.fps) for k in (frame - 1, frame))
            parts.append(
                encode(seen, frame_times_us=[high], bins=clip.bins, start_us=low, threads=1)
            )
        return np.concatenate(parts)

    def _sensor(self, path: Path, size: Size) -> Size | None:
        """Return what was said; else nothing if the file states its own size, or the frames'."""
        if self.reading.sensor is not None:
            return self.reading.sensor
        try:
            next(read_parts(path, **self.reading.arguments(), part_events=1))
        except InputError as error:
            if "does not say how large" in error.what:
                return size
            raise
        return None

    def _start(self, entry: FolderEntry, events: Events, path: Path) -> int:
        """Return time of the first frame on the events' clock."""
        if not len(events):
            return 0
        first, last = int(events.array["t"][0]), int(events.array["t"][-1])
        if self.clock == "first":
            return first
        interval = 1e6 / self.fps
        if last < -interval or first > (len(entry.frames) - 1) * interval:
            raise InputError(
                f"events from {first} to {last} us, but {len(entry.frames)} frames at "
                f"{self.fps:g}/s last to {round((len(entry.frames) - 1) * interval)} us",
                where=str(path),
                hint='set data.folder.clock = "first", or write times from the first frame on',
            )
        return 0


def pair_events(
    entries: list[tuple[FoundTracklet, FolderEntry]], trees: dict[str, Path], faults: Faults
) -> tuple[list[FolderEntry], str]:
    """Find each tracklet's events in a tree parallel to the frames'.

    Args:
        entries: what was found of each tracklet, and its entry.
        trees: the events' folder of each part.
        faults: collects what does not pair.

    Returns:
        The entries with their event files, and which form all of them have: ``recordings``,
        ``files`` or ``pictures``.
    """
    paired: list[FolderEntry] = []
    forms: set[str] = set()
    for found, entry in entries:
        form, one = _paired(found, entry, trees[found.part], faults)
        forms.add(form)
        paired.append(one)
    forms.discard("")
    if len(forms) > 1:
        faults.add(f"events in {len(forms)} forms: {', '.join(sorted(forms))}; give one")
    return paired, forms.pop() if forms else "recordings"


def _paired(
    found: FoundTracklet, entry: FolderEntry, tree: Path, faults: Faults
) -> tuple[str, FolderEntry]:
    inner = Path(found.person) / found.camera / found.tracklet
    # Beside nested frames, the same folders; beside flat ones, a file by the tracklet's name.
    flat = found.frames[0][1][: -len(Path(found.frames[0][1]).suffix)].partition("F")[0]
    folder, above = tree / inner, tree / Path(found.person) / found.camera
    if folder.is_dir():
        names = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name[0] != ".")
        pictures = [name for name in names if name.lower().endswith(PICTURES)]
        try:
            events = pair(entry.frames, pictures or names)
        except InputError as error:
            faults.add(f"{found.part}/{inner}: {error.what}")
            return "", entry
        return ("pictures" if pictures else "files"), replace(
            entry, event_folder=folder, events=events
        )
    candidates = [
        path
        for place, stem in ((above, found.tracklet), (tree, flat), (tree / found.person, flat))
        if place.is_dir() and stem
        for path in sorted(place.iterdir())
        if path.name.split(".")[0] == stem and path.is_file()
    ]
    if len(candidates) != 1:
        many = "no events" if not candidates else f"{len(candidates)} event files"
        faults.add(f"{found.part}/{inner}: {many} in {tree}")
        return "", entry
    path = candidates[0]
    names_of_all = (path.name,) * len(entry.frames)
    return "recordings", replace(entry, event_folder=path.parent, events=names_of_all)


def source_of(
    form: str, choices: Choices, fps: float, clock: str
) -> TrackletRecordings | EventFiles | EventPictureReader:
    """Return what reads events of one form."""
    if form == "recordings":
        return TrackletRecordings(choices.reading, fps, clock)
    return choices.event_files if form == "files" else EventPictureReader()
