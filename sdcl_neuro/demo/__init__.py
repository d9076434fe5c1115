"""The demonstration: one clip, six persons, from frames to a report."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path


def clip_path() -> Path:
    """Return the packaged video: 768x432, 10 frames a second (see ``ATTRIBUTION.md`` beside it)."""
    return _packaged("clip.mp4")


def tracks_path() -> Path:
    """Return its six persons' tracks in MOTChallenge format; id is the order of appearance."""
    return _packaged("tracks.txt")


def copy_clip(folder: Path) -> tuple[Path, Path]:
    """Copy the clip and its tracks to a folder; return ``walk.mp4`` and ``walk.txt`` in it.

    Args:
        folder: made if absent; copies that are there already are left as they are.

    Raises:
        InputError: another file has one of the names.
    """
    pairs = ((clip_path(), folder / "walk.mp4"), (tracks_path(), folder / "walk.txt"))
    for source, target in pairs:
        if target.exists() and target.read_bytes() != source.read_bytes():
            raise InputError(
                "exists already, with other content",
                where=str(target),
                hint="give an empty or a new folder",
            )
    folder.mkdir(parents=True, exist_ok=True)
    for source, target in pairs:
        if not target.exists():
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)
    return pairs[0][1], pairs[1][1]


def _packaged(name: str) -> Path:
    # OpenCV and the readers want a real file; pip always unpacks wheels to one.
    return Path(str(files(__name__) / "clip" / name))
