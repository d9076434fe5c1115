"""The demonstration: one clip, six persons, from frames to a report."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def clip_path() -> Path:
    """Return the packaged video: 768x432, 10 frames a second (see ``ATTRIBUTION.md`` beside it)."""
    return _packaged("clip.mp4")


def tracks_path() -> Path:
    """Return its six persons' tracks in MOTChallenge format; id is the order of appearance."""
    return _packaged("tracks.txt")


def _packaged(name: str) -> Path:
    # OpenCV and the readers want a real file; pip always unpacks wheels to one.
    return Path(str(files(__name__) / "clip" / name))
