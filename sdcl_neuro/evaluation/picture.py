"""Ranked lists as one picture: queries on the left, their galleries in order, right or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import atomic_path
from ..data import Tracklet
from ..datasets import Clip, DataSet
from ..errors import InputError
from ..profiling.report import event_image
from ..reid import Ranking

QUERIES, ENTRIES = 8, 10
RIGHT, WRONG, QUERY = "#1a7f37", "#c62828", "#444444"
_CELL_INCHES = (0.85, 1.25)
_DPI = 110


def draw_ranked_lists(
    path: Path | str,
    data: DataSet,
    ranking: Ranking,
    clip: Clip,
    *,
    query: Sequence[int],
    gallery: Sequence[int],
    queries: int = QUERIES,
    entries: int = ENTRIES,
) -> Path:
    """Write a PNG: for some queries, evenly chosen, the middle frame and its events of each entry.

    Green is the query's person, red another; a wrong entry's frame is dashed, so that the picture
    can be read without colours.

    Args:
        path: of the PNG.
        data: the tracklets; where they have no frames only events are shown.
        ranking: of the data set's gallery for its queries.
        clip: their shape.
        query, gallery: positions in the data set, in the ranking's order.
        queries, entries: rows and columns at most.

    Raises:
        InputError: another number of queries than the ranking has, or no row or column.
    """
    figure = ranked_figure(
        data, ranking, clip, query=query, gallery=gallery, queries=queries, entries=entries
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)
    return Path(path)


def ranked_figure(
    data: DataSet,
    ranking: Ranking,
    clip: Clip,
    *,
    query: Sequence[int],
    gallery: Sequence[int],
    queries: int = QUERIES,
    entries: int = ENTRIES,
) -> Any:
    """The matplotlib figure that `draw_ranked_lists` writes."""
    from matplotlib.figure import Figure

    if len(query) != len(ranking.head) or min(queries, entries) < 1:
        raise InputError(
            f"{len(query)} queries, a ranking of {len(ranking.head)}, {queries} x {entries} shown",
            mend="give the ranking's own queries, and at least one row and column",
        )
    rows = np.unique(np.linspace(0, len(query) - 1, min(queries, len(query))).round().astype(int))
    columns = 1 + min(entries, ranking.head.shape[1])
    width, height = _CELL_INCHES
    figure = Figure(figsize=(width * columns, height * len(rows)))
    # By hand: matplotlib's own layout takes a second for each dozen of cells.
    figure.subplots_adjust(0.01, 0.03, 0.99, 1 - 0.15 / len(rows), wspace=0.08, hspace=0.3)
    cells = figure.subplots(len(rows), columns, squeeze=False)
    for line, row in zip(cells, rows.tolist(), strict=True):
        _draw(line[0], data.load(query[row], clip), "query", QUERY, "solid")
        for rank, cell in enumerate(line[1:]):
            entry = int(ranking.head[row, rank])
            if entry < 0:
                cell.set_axis_off()
                continue
            right = bool(ranking.matches[row, rank])
            title = f"{rank + 1}: {ranking.distances[row, rank]:.3f}"
            colour, style = (RIGHT, "solid") if right else (WRONG, "dashed")
            _draw(cell, data.load(gallery[entry], clip), title, colour, style)
    return figure


def _draw(cell: Any, tracklet: Tracklet, title: str, colour: str, style: str) -> None:
    cell.imshow(tracklet_picture(tracklet), interpolation="nearest", aspect="equal")
    cell.set_title(title, fontsize=6, pad=2)
    cell.set_xlabel(f"person {tracklet.person}, camera {tracklet.camera}", fontsize=5, labelpad=1)
    cell.set_xticks([])
    cell.set_yticks([])
    for spine in cell.spines.values():
        spine.set(color=colour, linewidth=2.2, linestyle=style)


def tracklet_picture(tracklet: Tracklet) -> NDArray[np.uint8]:
    """The middle frame beside its events, uint8 ``[H, W, 3]``; events alone for black frames."""
    count = len(tracklet.frames)
    middle = count // 2
    bins = tracklet.spikes.reshape(count, -1, *tracklet.spikes.shape[1:])
    events = np.asarray(event_image(bins[middle], full=float(tracklet.bins)))
    frame = tracklet.frames[middle]
    if not tracklet.frames.any():
        return events
    rows = np.linspace(0, len(events) - 1, len(frame)).round().astype(int)
    wide = len(frame) * events.shape[1] // len(events)
    columns = np.linspace(0, events.shape[1] - 1, wide).round().astype(int)
    return np.concatenate([frame, events[rows][:, columns]], axis=1)
