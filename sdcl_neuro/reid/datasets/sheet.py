"""Contact sheets: to look at what a data set really holds before one trains on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.events.tracklets.tracklet import CROP_SIZE
from sdcl_neuro.extras import need

# RGB of a cell without events, and what each spike adds: OFF blue, ON red.
SILENT_GREY, PER_SPIKE = 32, 60


def contact_sheet(tracklets: Sequence[Tracklet], columns: int, *, scale: float = 0.5) -> (
    NDArray[np.uint8]
):  # fmt: skip
    """Draw the middle frame of each tracklet next to the events of that frame.

    Args:
        tracklets: at least one.
        columns: tracklets in a row.
        scale: of the crops' 256 x 128 pixels.

    Returns:
        RGB uint8 ``[rows, columns, 3]``; black where the last row is not full.

    Raises:
        InputError: nothing to show, or less than one column.
    """
    if not tracklets or columns < 1:
        raise InputError(
            f"{len(tracklets)} tracklets in {columns} columns", hint="give at least one of each"
        )
    cells = [_cell(tracklet, scale) for tracklet in tracklets]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)]
    return np.vstack(rows)


def _cell(tracklet: Tracklet, scale: float) -> NDArray[np.uint8]:
    cv2 = need("cv2", "a sheet of pictures")

    middle, bins = len(tracklet.frames) // 2, tracklet.bins
    size = (max(1, round(CROP_SIZE[1] * scale)), max(1, round(CROP_SIZE[0] * scale)))
    frame = cv2.resize(tracklet.frames[middle], size, interpolation=cv2.INTER_AREA)
    counts = tracklet.spikes[middle * bins : (middle + 1) * bins].sum(0, dtype=np.int64)
    seen = np.full((*counts.shape[1:], 3), SILENT_GREY, np.int64)
    seen[..., 0] += PER_SPIKE * counts[1]
    seen[..., 2] += PER_SPIKE * counts[0]
    picture = np.minimum(seen, 255).astype(np.uint8)
    return np.hstack([frame, cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)])
