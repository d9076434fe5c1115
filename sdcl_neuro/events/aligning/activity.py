"""What frames and events both measure: the signed change of log intensity.

Between two frames the change of log intensity is, up to a pixel's threshold, its ON events less its
OFF events. Both are made here on coarse grids: cells of the whole recording for the first search,
small pictures of chosen intervals for the fine one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.extras import need

from ..array import Events
from ..light import linear_of_srgb

Floats = NDArray[np.float32]
LOG_EPS = 1e-2
"""Added to linear intensity (0 to 1): what a frame's last grey levels say is mostly noise."""
CELLS = (12, 16)  # rows and columns of the first search
FINE_WIDTH = 160  # columns of the fine search's pictures


def log_grey(frame: NDArray[np.uint8], size: tuple[int, int]) -> Floats:
    """Log of the linear intensity of an sRGB frame, averaged over cells, ``size = (H, W)``."""
    cv2 = need("cv2", "aligning events with frames")

    table = linear_of_srgb().astype(np.float32) / 65535.0
    linear = table[frame] @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    small = cv2.resize(linear, size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(np.log(small + LOG_EPS), np.float32)


def fine_size(width: int, height: int) -> tuple[int, int]:
    """Return rows and columns of the fine search's picture of a plane of `width` x `height`
    pixels.
    """
    columns = min(FINE_WIDTH, width)
    return max(2, round(columns * height / width)), columns


@dataclass(frozen=True, eq=False)
class Changes:
    """The change of log intensity of each frame interval in `CELLS`.

    Attributes:
        times_us: int64 ``[F]``, of the frames.
        cells: float32 ``[F - 1, rows, columns]``; entry k is of ``(t[k], t[k + 1]]``.
    """

    times_us: NDArray[np.int64]
    cells: Floats

    @property
    def motion(self) -> Floats:
        """Mean square of each interval's change, ``[F - 1]``."""
        return np.asarray((self.cells**2).mean((1, 2)), np.float32)


def changes_of(frames: Iterable[tuple[int, int, NDArray[np.uint8]]]) -> Changes:
    """Read a video once; only its cells are kept."""
    times: list[int] = []
    cells: list[Floats] = []
    before: Floats | None = None
    for _, time_us, frame in frames:
        now = log_grey(frame, CELLS)
        if before is not None:
            cells.append(now - before)
        times.append(time_us)
        before = now
    empty = np.empty((0, *CELLS), np.float32)
    return Changes(np.array(times, np.int64), np.stack(cells) if cells else empty)


def event_cells(events: Events, start_us: int, bin_us: float, bins: int) -> Floats:
    """Return ON less OFF events in `CELLS` and time bins, ``[bins, rows, columns]``."""
    array = events.array
    rows, columns = CELLS
    time = ((array["t"] - start_us) / bin_us).astype(np.int64)
    row, column = _cell(array["y"], events.height, rows), _cell(array["x"], events.width, columns)
    inside = (time >= 0) & (time < bins)
    place = ((time * rows + row) * columns + column)[inside]
    sign = array["p"][inside].astype(np.float32) * 2 - 1
    total = np.bincount(place, sign, bins * rows * columns)
    return total.reshape(bins, rows, columns).astype(np.float32)


def _cell(pixels: NDArray[Any], length: int, cells: int) -> NDArray[np.int64]:
    """Return the cell in which each pixel's centre lies, of an axis of `length` pixels."""
    found: NDArray[np.int64] = (2 * pixels.astype(np.int64) + 1) * cells // (2 * length)
    return found


@dataclass(frozen=True, eq=False)
class Intervals:
    """Chosen frame intervals in fine pictures.

    Attributes:
        edges_us: int64 ``[N, 2]``, times of the frame before and of the frame.
        changes: float32 ``[N, h, w]``, change of log intensity.
    """

    edges_us: NDArray[np.int64]
    changes: Floats

    def pick(self, which: slice) -> Intervals:
        """Return some of them."""
        return Intervals(self.edges_us[which], self.changes[which])


def fine_intervals(
    frames: Iterable[tuple[int, int, NDArray[np.uint8]]],
    chosen: NDArray[np.int64],
    size: tuple[int, int],
) -> Intervals:
    """Read a video once more and keep the intervals that end with frame ``chosen + 1``."""
    wanted = {int(k) for k in chosen}
    edges, pictures = [], []
    before: tuple[int, Floats] | None = None
    for index, time_us, frame in frames:
        needed = index in wanted or index - 1 in wanted
        now = (time_us, log_grey(frame, size)) if needed else None
        if now is not None and before is not None and index - 1 in wanted:
            edges.append((before[0], time_us))
            pictures.append(now[1] - before[1])
        before = now
    return Intervals(np.array(edges, np.int64), np.stack(pictures))


class EventPictures:
    """Signed pictures of the events of any interval, on the sensor's own plane.

    Args:
        events: the recording.
        size: rows and columns of a picture.
        interval_us: of the frames; a change that lasts longer is not followed back.
        most: events looked at in one interval; of more, every n-th.
    """

    def __init__(
        self, events: Events, size: tuple[int, int], *, interval_us: float, most: int = 25_000
    ) -> None:
        self.events, self.size, self.most = events, size, most
        self.array = centred(events, longest_us=interval_us)

    def of(self, edges_us: NDArray[np.int64], offset_us: float) -> Floats:
        """Return ON less OFF events, ``[N, h, w]``; an event at t is at ``t + offset_us`` for
        frames.
        """
        rows, columns = self.size
        found = np.zeros((len(edges_us), rows, columns), np.float32)
        times = self.array["t"]
        bounds = np.searchsorted(times, np.rint(edges_us - offset_us).astype(np.int64), "right")
        for k, (low, high) in enumerate(bounds.tolist()):
            part = self.array[low:high]
            step = -(-len(part) // self.most) if len(part) else 1
            part = part[::step]
            place = _cell(part["y"], self.events.height, rows) * columns
            place += _cell(part["x"], self.events.width, columns)
            sign = (part["p"].astype(np.float32) * 2 - 1) * step
            found[k] = np.bincount(place, sign, rows * columns).reshape(rows, columns)
        return found


def centred(events: Events, *, longest_us: float) -> NDArray[Any]:
    """Return the events, each in the middle of the time during which its change came about.

    A pixel sends an event when its level has moved by a whole threshold since the last one, so that
    an event comes late by half the time since then, milliseconds where the picture changes slowly.
    That time is taken from the pixel's own events of the same polarity, before or after; where it
    has none within `longest_us`, it is the recording's median.
    """
    array = events.array.copy()
    if not len(array):
        return array
    pixel = array["y"].astype(np.int64) * events.width + array["x"]
    order = np.lexsort((array["t"], pixel))
    time, sign, place = array["t"][order], array["p"][order], pixel[order]
    apart = np.diff(time).astype(np.float64)
    follows = (np.diff(place) == 0) & (np.diff(sign) == 0) & (apart <= longest_us)
    since = np.full(len(time), np.nan)
    since[:-1][follows] = apart[follows]  # until the next one, where there is none before
    since[1:][follows] = apart[follows]
    known = np.isfinite(since)
    usual = float(np.median(since[known])) if known.any() else 0.0
    late = np.where(known, np.nan_to_num(since), usual) / 2
    array["t"][order] = time - np.rint(late).astype(np.int64)
    return array[np.argsort(array["t"], kind="stable")]
