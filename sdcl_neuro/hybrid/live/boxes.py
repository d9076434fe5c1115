"""Boxes of each frame, from a file of tracks or from a tracker that is still writing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.events.tracklets.mot import read_tracks
from sdcl_neuro.events.tracklets.track_rows import Box, Skipped, is_remark, parse_row

from .follow import follow, lines
from .stream import Stream, Streamed

BOX_DTYPE = np.dtype([("frame", "<i8"), ("track", "<i8"), ("box", "<f8", (4,))])


class BoxSource(Protocol):
    """Boxes of a video, one frame after another."""

    @property
    def late(self) -> int:
        """Boxes that came after their frame was done."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Rows that are not of persons to be considered, in words."""

    def boxes(self, index: int) -> Mapping[int, Box]:
        """Return boxes of frame `index` (from 0) by track; left, top, width, height in pixels."""


class RecordedBoxes:
    """All tracks of a MOTChallenge file."""

    late = 0

    def __init__(self, path: Path) -> None:
        self._frames: dict[int, dict[int, Box]] = {}
        found = read_tracks(path)
        self.left_out = found.left_out
        for track in found.tracks:
            for index in track.indices.tolist():
                self._frames.setdefault(index, {})[track.identity] = track.box(index)

    def boxes(self, index: int) -> Mapping[int, Box]:
        """See `BoxSource`."""
        return self._frames.get(index, {})


class StreamedBoxes(Streamed):
    """MOTChallenge lines that arrive, frame after frame; used within ``with``.

    A frame's boxes are complete when a line of a later frame has come, or after `patience_s`.

    Args:
        path: a growing file or a named pipe; ``-`` is standard input.
        patience_s: how long to wait for a frame's boxes.
        idle_s: see `follow`.
    """

    def __init__(self, path: str, *, patience_s: float, idle_s: float) -> None:
        self.path, self._idle_s = path, idle_s
        self._skipped = Skipped()
        self._stream = Stream(self._blocks, "frame", patience_s=patience_s)

    def boxes(self, index: int) -> Mapping[int, Box]:
        """See `BoxSource`."""
        rows = self._stream.until(index)
        if rows is None:
            return {}
        now = rows[rows["frame"] == index]
        return {int(row["track"]): _box(row["box"]) for row in now}

    @property
    def left_out(self) -> tuple[str, ...]:
        """See `BoxSource`."""
        return self._skipped.lines()

    def _blocks(self, stop: threading.Event) -> Iterator[NDArray[Any]]:
        number = 0
        for some in lines(follow(self.path, idle_s=self._idle_s, stop=stop), where=self.path):
            rows = []
            for line in some:
                number += 1
                text = line.decode("utf-8", "replace").strip()
                if not is_remark(text):
                    row = parse_row(text, f"{self.path}, line {number}")
                    if row.skipped:
                        self._skipped.add(row)
                    else:
                        rows.append((row.frame - 1, row.identity, row.box))
            yield np.array(rows, BOX_DTYPE)


def _box(values: NDArray[np.float64]) -> Box:
    left, top, width, height = values.tolist()
    return left, top, width, height
