"""Compiled loop of `Events.crop`, which says what it does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import uint64
from numpy.typing import NDArray

from sdcl_neuro.compiling import compiled

Array = NDArray[Any]


@compiled
def inside(events: Array, columns: NDArray[np.int32], rows: NDArray[np.int32]) -> int:
    """Return number of events whose pixel has a cell; `columns` and `rows` are -1 where there is
    none.
    """
    number = 0
    for i in range(uint64(len(events))):
        event = events[i]
        number += (columns[uint64(event.x)] | rows[uint64(event.y)]) >= 0
    return number


@compiled
def crop(
    events: Array, columns: NDArray[np.int32], rows: NDArray[np.int32], cropped: Array
) -> None:
    """Write the events that `inside` counts to `cropped`, their pixels replaced by their cells."""
    done = uint64(0)
    for i in range(uint64(len(events))):
        event = events[i]
        column, row = columns[uint64(event.x)], rows[uint64(event.y)]
        if (column | row) >= 0:
            made = cropped[done]
            made.t, made.p = event.t, event.p
            made.x, made.y = column, row
            done += uint64(1)
