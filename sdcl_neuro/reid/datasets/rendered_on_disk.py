"""Rendered tracklets kept on disk, so that several trainings on the generated set render once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.files import atomic_path

from .clip import Clip
from .generated import Generated, GeneratedEntry
from .wrapping import Around

_ARRAYS = ("frames", "spikes", "times_us", "boxes")
_SIZES = ("persons", "train_persons", "walks", "cameras", "moments")
"""What of a configuration does not change a walk: it says only which walks there are."""


@dataclass(frozen=True)
class RenderedOnDisk(Around):
    """The generated data set behind a folder; see `index.DataSet` for what it offers.

    A walk's usual moment is kept, and so are those of seeds where `GeneratedConfig.moments` says
    how many there are. Files come as they are asked for and get their names when they are whole;
    what is damaged is rendered again. About 0.5 MiB a tracklet of 4 frames.

    Attributes:
        data: renders.
        folder: made if absent; walks of different populations and clips lie apart.
    """

    data: Generated
    folder: Path

    def load(self, position: int, clip: Clip, *, seed: int | None = None) -> Tracklet:
        """Return a walk from its file, or rendered and kept."""
        moment = self.data.config.moment(seed)
        if moment is not None and not self.data.config.moments:
            return self.data.load(position, clip, seed=seed)
        entry = self.data.entries[position]
        name = entry.name if moment is None else f"{entry.name}-m{moment}"
        path = self.folder / self._population(clip) / f"{name}.npz"
        found = _read(path, entry)
        if found is None:
            found = self.data.load(position, clip, seed=moment)
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, **{key: getattr(found, key) for key in _ARRAYS})
        return found

    def __str__(self) -> str:
        return str(self.data)

    def _population(self, clip: Clip) -> str:
        """Hash everything that changes a walk's pixels."""
        config = {k: v for k, v in asdict(self.data.config).items() if k not in _SIZES}
        text = json.dumps([config, asdict(clip)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(path: Path, entry: GeneratedEntry) -> Tracklet | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
            arrays = {key: held[key] for key in _ARRAYS}
    except Exception:  # whatever numpy and zipfile trip over: it is rendered again
        return None
    return Tracklet(name=entry.name, person=entry.person, camera=entry.camera, **arrays)
