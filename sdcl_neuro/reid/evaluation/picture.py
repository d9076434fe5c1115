"""Ranked lists as one picture: queries on the left, their galleries in order, right or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.extras import need
from sdcl_neuro.files import atomic_path
from sdcl_neuro.profiling.report import event_image, on_white

from ..datasets import Clip, DataSet
from ..metrics import Ranking

QUERIES, ENTRIES = 8, 10
RIGHT, WRONG, QUERY = "#1a7f37", "#c62828", "#444444"
_HEIGHT, _GAP, _TEXT = 1.0, 0.09, 0.1
"""Heights of a picture, of the gap between two, and of a line of text, in pictures."""
_INCH, _DPI, _FONT = 1.1, 110, 5.5


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
    """Return the matplotlib figure that `draw_ranked_lists` writes."""
    figure_module = need("matplotlib.figure", "a picture of ranked lists")

    if len(query) != len(ranking.head) or min(queries, entries) < 1:
        raise InputError(
            f"{len(query)} queries, a ranking of {len(ranking.head)}, {queries} x {entries} shown",
            hint="give the ranking's own queries, and at least one row and column",
        )
    rows = np.unique(np.linspace(0, len(query) - 1, min(queries, len(query))).round().astype(int))
    columns = 1 + min(entries, ranking.head.shape[1])
    cells = []  # row, column, tracklet, words above it, colour and line of its frame
    for line, row in enumerate(rows.tolist()):
        cells.append((line, 0, data.load(query[row], clip), "query", QUERY, "solid"))
        for rank, entry in enumerate(ranking.head[row, : columns - 1].tolist()):
            if entry >= 0:
                right = bool(ranking.matches[row, rank])
                words = f"{rank + 1}: {ranking.distances[row, rank]:.3f}"
                shown = (RIGHT, "solid") if right else (WRONG, "dashed")
                cells.append((line, rank + 1, data.load(gallery[entry], clip), words, *shown))
    # One plane for everything: matplotlib takes long for many small axes.
    wide = max(tracklet_picture(cells[0][2]).shape[1] / tracklet_picture(cells[0][2]).shape[0], 0.6)
    step = wide + _GAP, _HEIGHT + 2 * _TEXT + _GAP
    width, height = columns * step[0] + _GAP, len(rows) * step[1] + _GAP
    figure = figure_module.Figure(figsize=(_INCH * width, _INCH * height))
    plane = figure.add_axes((0.0, 0.0, 1.0, 1.0), xlim=(0, width), ylim=(height, 0))
    plane.set_axis_off()
    for line, column, tracklet, words, colour, style in cells:
        corner = _GAP + column * step[0], _GAP + _TEXT + line * step[1]
        _draw(plane, tracklet, corner, words, colour, style)
    return figure


def _draw(
    plane: Any,
    tracklet: Tracklet,
    corner: tuple[float, float],
    words: str,
    colour: str,
    style: str,
) -> None:
    """Draw one tracklet at a corner, left and top, with words above and its person below."""
    patches = need("matplotlib.patches", "a picture of ranked lists")

    picture = tracklet_picture(tracklet)
    (left, top), wide = corner, picture.shape[1] / picture.shape[0]
    bottom, middle = top + _HEIGHT, left + wide / 2
    plane.imshow(picture, extent=(left, left + wide, bottom, top), interpolation="nearest")
    plane.add_patch(
        patches.Rectangle(
            (left, top), wide, _HEIGHT, fill=False, edgecolor=colour, linewidth=2.0, linestyle=style
        )
    )
    plane.text(middle, top - 0.03, words, ha="center", va="bottom", fontsize=_FONT)
    named = f"person {tracklet.person}, camera {tracklet.camera}"
    plane.text(middle, bottom + 0.03, named, ha="center", va="top", fontsize=_FONT - 1)


def tracklet_picture(tracklet: Tracklet) -> NDArray[np.uint8]:
    """Draw the middle frame next to its events, uint8 ``[H, W, 3]``; a black frame is left out."""
    count = len(tracklet.frames)
    middle = count // 2
    bins = tracklet.spikes.reshape(count, -1, *tracklet.spikes.shape[1:])
    events = on_white(event_image(bins[middle], full=float(tracklet.bins)))
    frame = tracklet.frames[middle]
    if not tracklet.frames.any():
        return events
    rows = np.linspace(0, len(events) - 1, len(frame)).round().astype(int)
    wide = len(frame) * events.shape[1] // len(events)
    columns = np.linspace(0, events.shape[1] - 1, wide).round().astype(int)
    return np.concatenate([frame, events[rows][:, columns]], axis=1)
