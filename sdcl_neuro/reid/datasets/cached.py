"""One tracklet's events in a cache: simulated from its frames, written whole, read by interval."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE, Events, SimulatorConfig, encode
from sdcl_neuro.files import atomic_path
from sdcl_neuro.files.hdf5_writing import new_hdf5
from sdcl_neuro.files.reading import reading

from .clip import Clip
from .folder import FolderEntry, Size, read_picture

FIELDS = ("t", "x", "y", "p")


@dataclass(frozen=True)
class CachedEvents:
    """Events read back from a cache's folder."""

    folder: Path
    fps: float

    def spikes(
        self, entry: FolderEntry, picked: NDArray[np.int64], clip: Clip, size: Size
    ) -> NDArray[np.uint8]:
        """Return spikes of the picked frames' intervals; the first frame of a tracklet has none."""
        with _opened(self.folder, entry) as file:
            bounds = file["bounds"][()]
            width, height = int(file.attrs["width"]), int(file.attrs["height"])
            parts = []
            for frame in picked.tolist():
                low, high = int(bounds[frame]), int(bounds[frame + 1])
                array = np.empty(high - low, EVENT_DTYPE)
                for name in FIELDS:
                    array[name] = file[name][low:high]
                whole = (0.0, 0.0, float(width), float(height))
                seen = Events(array, width, height, "simulated").crop(whole, clip.size)
                parts.append(
                    encode(
                        seen,
                        frame_times_us=[frame_time_us(frame, self.fps)],
                        bins=clip.bins,
                        start_us=frame_time_us(frame - 1, self.fps),
                    )
                )
        return np.concatenate(parts)


def frame_time_us(frame: int, fps: float) -> int:
    """Return time of a frame in microseconds; frame 0 is at 0."""
    return round(frame * 1e6 / fps)


def is_cached(folder: Path, entry: FolderEntry) -> bool:
    """Return whether an entry's events are there, of the frames as they are now."""
    from sdcl_neuro.files.hdf5_guard import open_guarded

    path = cached_path(folder, entry)
    if not path.is_file():
        return False
    try:
        with open_guarded(path, what="a cached tracklet") as (file, _):
            return bool(file.attrs.get("frames_sha256") == _fingerprint(entry))
    except (OSError, InputError):
        return False


def simulate_entry(entry: FolderEntry, folder: Path, config: SimulatorConfig, fps: float) -> None:
    """Simulate one tracklet and put its file in the cache, whole or not at all."""
    from sdcl_neuro.events.simulator import Simulator

    before = _fingerprint(entry)
    pixels = Simulator(config)
    parts: list[NDArray[Any]] = []
    width = height = 0
    for frame, path in enumerate(entry.frame_paths()):
        picture = read_picture(path)
        if frame and picture.shape[:2] != (height, width):
            raise InputError(
                f"{picture.shape[1]}x{picture.shape[0]} pixels, the tracklet's first frame has "
                f"{width}x{height}",
                where=str(path),
                hint="resize them to one size",
            )
        height, width = picture.shape[:2]
        parts.append(pixels.advance(picture, frame_time_us(frame, fps)))
    array = np.concatenate(parts)
    bounds = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    with atomic_path(cached_path(folder, entry)) as temporary, new_hdf5(temporary) as (file, _):
        for name in FIELDS:
            data = np.ascontiguousarray(array[name])
            file.create_dataset(name, data=data, compression="lzf" if len(data) else None)
        file["bounds"] = bounds
        file.attrs.update(width=width, height=height, frames_sha256=before)


def cached_path(folder: Path, entry: FolderEntry) -> Path:
    """Return the file of an entry in a cache."""
    return folder / f"{entry.name}.h5"


def _fingerprint(entry: FolderEntry) -> str:
    """Return names and sizes of the frames: cheap, and different when others take their place."""
    digest = hashlib.sha256()
    for path in entry.frame_paths():
        try:
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from None
    return digest.hexdigest()


@contextmanager
def _opened(folder: Path, entry: FolderEntry) -> Iterator[Any]:
    from sdcl_neuro.files.hdf5_guard import open_hdf5

    path = cached_path(folder, entry)
    hint = "remove it and simulate again"
    try:
        file, guard = open_hdf5(path, what="a cached tracklet")
    except InputError as error:
        raise InputError(
            f"no such tracklet in the cache, or damaged ({error.what})", where=str(path), hint=hint
        ) from None
    with file:
        with reading(path, "a cached tracklet", hint=hint):
            for name in (*FIELDS, "bounds"):
                guard.large(guard.member(file, name))
            count = len(file["bounds"])
        if count != len(entry.frames) + 1:
            raise InputError(
                f"events of {count - 1} frames for a tracklet of {len(entry.frames)}",
                where=str(path),
                hint="simulate this data set in a folder of its own",
            )
        yield file
