"""Names beside points, placed so that they cover neither points nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float64]
"""Rectangles ``[N, 4]``: left, bottom, right, top, in pixels of the drawing."""

POINT_PX = 5.0
"""Half the width that a marker is given."""
RINGS = (7.0, 13.0, 20.0, 28.0, 38.0)
"""Distances from a point at which its name may stand, in points; the nearest free one is taken."""
TURNS = 16
NEAR = 8.0
"""Names farther away than this get a line to their point."""
GREY = "0.6"


def place_labels(ax: Any, places: Corners, names: Sequence[str], *, size: float) -> None:
    """Write each name at the nearest place where it covers least.

    Call it once everything else is drawn and the layout is final.

    Args:
        ax: the axes.
        places: ``[N, 2]``, of the points, in the axes' data.
        names: of the points.
        size: of the letters, in points.
    """
    figure = ax.figure
    pixels = ax.transData.transform(places)
    scale = figure.dpi / 72
    taken = np.hstack([pixels - POINT_PX, pixels + POINT_PX])
    border = np.array(ax.get_window_extent().extents)
    for index in np.argsort(-pixels[:, 1], kind="stable"):
        text = ax.text(0, 0, names[index], fontsize=size)
        box = text.get_window_extent()
        text.remove()
        offsets = _offsets(box.width, box.height, scale)
        centres = pixels[index] + offsets
        half = np.array([box.width, box.height]) / 2
        candidates = np.hstack([centres - half, centres + half])
        cost = [_covered(one, taken) + _outside(one, border) for one in candidates]
        # Rounded, so that the last bits of a layout choose nothing; the first, nearest one wins.
        best = int(np.argmin(np.round(cost, 0)))
        ring = RINGS[best // TURNS]
        ax.annotate(
            names[index],
            places[index],
            xytext=tuple(np.round(offsets[best] / scale, 1)),
            textcoords="offset points",
            fontsize=size,
            ha="center",
            va="center",
            arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.5} if ring > NEAR else None,
        )
        taken = np.vstack([taken, candidates[best]])


def _offsets(width: float, height: float, scale: float) -> NDArray[np.float64]:
    """Return where a name's middle may stand from its point, ``[rings * turns, 2]``, in pixels."""
    angles = np.pi / 4 + 2 * np.pi * np.arange(TURNS) / TURNS
    way = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate(
        [way * (np.array([width, height]) / 2 + ring * scale / np.sqrt(2)) for ring in RINGS]
    )


def _covered(box: Corners, others: Corners) -> float:
    """Return the area that a rectangle shares with others, in square pixels."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    return float(np.clip(high - low, 0, None).prod(axis=1).sum())


def _outside(box: Corners, border: Corners) -> float:
    """Return a penalty for what reaches over the border, in square pixels."""
    over = np.concatenate([border[:2] - box[:2], box[2:] - border[2:]])
    return 100.0 * float(np.clip(over, 0, None).sum())
