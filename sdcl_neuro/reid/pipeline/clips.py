"""Clips of a folder or a list: each a video with its tracks and events."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from sdcl_neuro.errors import InputError

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts")
EVENTS = (".raw", ".dat", ".aedat4", ".h5", ".hdf5", ".npz", ".es", ".bag", ".mcap", ".mat")
"""Endings that are looked for beside a video; a list may name any file."""
_COLUMNS = ("name", "video", "tracks", "events")


@dataclass(frozen=True)
class ComparedVideo:
    """One video to compare.

    Attributes:
        name: unique within its batch; names the folder of the results.
        video: absolute path.
        tracks, events: absolute paths; None where there are none.
    """

    name: str
    video: Path
    tracks: Path | None
    events: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the clip."""
        return tuple(path for path in (self.video, self.tracks, self.events) if path is not None)


def find_clips(path: Path) -> list[ComparedVideo]:
    """Return the clips of a folder, or of a CSV list.

    Args:
        path: a folder, whose ``NAME.mp4`` (or another of `VIDEOS`) has tracks in ``NAME.txt`` and
            events in ``NAME`` with one of the endings `EVENTS`, as far as they are there; or a CSV
            file with a header and columns ``video`` and, where wanted, ``name``, ``tracks``,
            ``events``, with paths relative to its own folder.

    Raises:
        InputError: no clip, a name twice, a file that is not there, an unknown column.
    """
    clips = _of_folder(path) if path.is_dir() else _of_list(path)
    if not clips:
        raise InputError(
            "no video",
            where=str(path),
            hint=f"files that end in {', '.join(VIDEOS)} are looked for",
        )
    names = [clip.name for clip in clips]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two clips are named {name!r}", where=str(path), hint="rename one")
    return clips


def _of_folder(folder: Path) -> list[ComparedVideo]:
    clips = []
    for video in sorted(folder.iterdir()):
        if video.suffix.lower() not in VIDEOS or not video.is_file():
            continue
        events = [
            other
            for ending in EVENTS
            if (other := video.with_suffix(ending)).is_file() and other != video
        ]
        if len(events) > 1:
            found = ", ".join(other.name for other in events)
            hint = "keep one, or give a CSV list that names it"
            raise InputError(f"several event files: {found}", where=str(video), hint=hint)
        tracks = video.with_suffix(".txt")
        clips.append(
            ComparedVideo(
                video.stem,
                video.resolve(),
                tracks.resolve() if tracks.is_file() else None,
                events[0].resolve() if events else None,
            )
        )
    return clips


def _of_list(path: Path) -> list[ComparedVideo]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"not a CSV list ({error})", where=str(path)) from None
    return [_of_row(row, path, number) for number, row in enumerate(rows, start=2)]


def _of_row(row: dict[str, str], path: Path, number: int) -> ComparedVideo:
    where = f"{path}, line {number}"
    unknown = [str(name) for name in row if name not in _COLUMNS]
    if unknown or not row.get("video"):
        what = f"column {unknown[0]!r}" if unknown else "no video"
        raise InputError(what, where=where, hint=f"the columns are {', '.join(_COLUMNS)}")
    files: dict[str, Path | None] = {}
    for column in _COLUMNS[1:]:
        text = row.get(column)
        files[column] = (path.parent / text).resolve() if text else None
        if text and not (path.parent / text).exists():
            raise InputError(f"{column} {text!r} does not exist", where=where)
    video = files["video"]
    assert video is not None  # checked above
    name = row.get("name") or video.stem
    if "/" in name or name in {".", ".."} or name.startswith("."):
        raise InputError(f"name {name!r}", where=where, hint="it names a folder of the results")
    return ComparedVideo(name, video, files["tracks"], files["events"])
