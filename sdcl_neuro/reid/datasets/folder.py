"""Data sets in folders: a tracklet is a list of picture files, with events from somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.events.tracklets.tracklet import CROP_SIZE
from sdcl_neuro.extras import need
from sdcl_neuro.files.reading import read_file
from sdcl_neuro.network.arguments import public_class

from .clip import Clip, Pick, pick_frames
from .index import describe

Size = tuple[int, int]
PICTURES = (".png", ".jpg", ".jpeg", ".bmp")


PICTURE_BYTES = 256 << 20


@dataclass(frozen=True)
class FolderEntry:
    """One tracklet's files; names beside a folder, because a million paths would fill memory.

    Attributes:
        name: unique in its data set; also names its file in a cache of events.
        person, camera: as the data set numbers them; person 0 is a distractor.
        folder: of the frames.
        frames: their file names, in order.
        event_folder: of the event files; None where the data set has no such tree.
        events: for each frame the file of the interval before it, or None; empty without a tree.
    """

    name: str
    person: int
    camera: int
    folder: Path
    frames: tuple[str, ...]
    event_folder: Path | None = None
    events: tuple[str | None, ...] = ()

    def frame_paths(self) -> Iterator[Path]:
        """Return all frames, in order."""
        return (self.folder / name for name in self.frames)

    def event_path(self, frame: int) -> Path | None:
        """Return the event file of a frame, if there is one."""
        name = self.events[frame] if self.events else None
        return None if name is None or self.event_folder is None else self.event_folder / name


class EntryEvents(Protocol):
    """Where the events of an entry come from."""

    def spikes(
        self, entry: FolderEntry, picked: NDArray[np.int64], clip: Clip, size: Size
    ) -> NDArray[np.uint8]:
        """Return spikes ``[F*K, 2, h, w]`` of the picked frames; `size` is their width and
        height.
        """


@dataclass(frozen=True)
class NoEvents:
    """For frames alone: no spike at all."""

    def spikes(
        self, entry: FolderEntry, picked: NDArray[np.int64], clip: Clip, size: Size
    ) -> NDArray[np.uint8]:
        """Return Zeros."""
        return np.zeros((len(picked) * clip.bins, 2, *clip.size), np.uint8)


@public_class
@dataclass(frozen=True)
class FolderData:
    """A data set in a folder; see `index.DataSet` for what it offers.

    Attributes:
        name: of the data set.
        root: the folder its user gave.
        entries: its tracklets.
        train, query, gallery: positions in `entries`.
        fps: frames a second, for the times of frames and simulated events.
        source: of the events.
        pick: without a seed, the middle or the first frame of each evenly divided chunk.
        notes: what was assumed, in words.
    """

    name: str
    root: Path
    entries: tuple[FolderEntry, ...]
    train: tuple[int, ...]
    query: tuple[int, ...]
    gallery: tuple[int, ...]
    fps: float
    source: EntryEvents
    pick: Pick = "middle"
    notes: tuple[str, ...] = ()

    @property
    def has_events(self) -> bool:
        """Whether there are events for the frames."""
        return not isinstance(self.source, NoEvents)

    def load(self, position: int, clip: Clip, *, seed: int | None = None) -> Tracklet:
        """Read one tracklet: a frame of each evenly divided chunk, and its interval's events.

        Args:
            position: in `entries`.
            clip: what it shall look like.
            seed: picks frames at random within their chunks; without it, their middles.

        Raises:
            InputError: a file that is gone or damaged.
        """
        entry = self.entries[position]
        picked = pick_frames(len(entry.frames), clip.frames, seed=seed, pick=self.pick)
        pictures = [read_picture(entry.folder / entry.frames[int(k)]) for k in picked]
        sizes = [(picture.shape[1], picture.shape[0]) for picture in pictures]
        boxes = np.array([(0, 0, *size) for size in sizes], dtype=np.int64)
        return Tracklet(
            name=entry.name,
            person=entry.person,
            camera=entry.camera,
            frames=np.stack([crop_sized(picture) for picture in pictures]),
            spikes=self.source.spikes(entry, picked, clip, sizes[0]),
            times_us=np.rint(picked * (1e6 / self.fps)).astype(np.int64),
            boxes=boxes,
            indices=picked,
        )

    def __str__(self) -> str:
        return f"{self.name} in {self.root}: {describe(self)}"


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Return RGB uint8 ``[H, W, 3]`` of a picture file.

    Raises:
        InputError: no such file, or none that OpenCV can decode.
    """
    cv2 = need("cv2", "reading pictures")

    data = np.frombuffer(read_file(path, what="a picture", largest=PICTURE_BYTES), np.uint8)
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:  # more pixels than `extras` allows
        picture = None
    if picture is None:
        raise InputError("is not a picture, or damaged", where=str(path), hint="copy it again")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def crop_sized(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture at 256 x 128."""
    cv2 = need("cv2", "reading pictures")

    if picture.shape[:2] == CROP_SIZE:
        return picture
    shrinks = picture.shape[0] > CROP_SIZE[0] and picture.shape[1] > CROP_SIZE[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, CROP_SIZE[::-1], interpolation=way), dtype=np.uint8)
