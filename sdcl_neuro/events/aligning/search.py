"""The first search: every lag at once, by correlating signed cells of frames and events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..array import Events
from .activity import CELLS, Changes, Floats, event_cells

BINS_MAX = 1 << 16
BINS_A_FRAME = 4
LEAST_OVERLAP = 0.25
"""Part of the shorter of the two that a lag must leave in common."""
TURNS: dict[str, tuple[bool, bool]] = {
    "upright": (False, False),
    "upside down": (True, True),
    "mirrored": (False, True),
}
"""How a sensor may sit behind its lens: whether rows and columns run backwards."""


@dataclass(frozen=True)
class Candidate:
    """A lag worth a closer look.

    Attributes:
        offset_us: added to event times.
        turn: of `TURNS`.
        score: signed correlation of the cells, -1 to 1.
    """

    offset_us: float
    turn: str
    score: float


def candidates(changes: Changes, events: Events, *, most: int = 6) -> list[Candidate]:
    """Return the lags at which cells agree best, best first, over all `TURNS`."""
    times = changes.times_us
    interval = float(np.median(np.diff(times)))
    event_times = events.array["t"]
    begun, ended = int(event_times[0]), int(event_times[-1])
    longest = max(ended - begun, int(times[-1] - times[0]), 1)
    bin_us = max(interval / BINS_A_FRAME, longest / BINS_MAX)
    seen = event_cells(events, begun, bin_us, int((ended - begun) / bin_us) + 1)
    # As long as the frames' own interval, so that both sides are equally smooth.
    width = max(1, round(interval / bin_us))
    kernel = np.ones(width) / width
    change = _spread(changes, bin_us)
    found: list[Candidate] = []
    for turn, (rows, columns) in TURNS.items():
        turned = change[:, :: -1 if rows else 1, :: -1 if columns else 1]
        scores = np.convolve(_lag_scores(turned, seen), kernel, "same")
        for lag in _peaks(scores, round(interval / bin_us), most):
            # Bin b of the events lies at bin b + lag of the frames.
            offset = times[0] - begun + lag_of(lag, len(change), len(seen)) * bin_us
            found.append(Candidate(float(offset), turn, float(scores[lag])))
    return sorted(found, key=lambda one: -one.score)[:most]


def lag_of(index: int, frames: int, events: int) -> int:
    """Return bins to shift the events by, of entry `index` of `_lag_scores`."""
    return index - (events - 1)


def _spread(changes: Changes, bin_us: float) -> Floats:
    """Return each interval's change, evenly over its time, ``[bins, rows, columns]``."""
    edges = (changes.times_us - changes.times_us[0]) / bin_us
    bins = max(1, int(edges[-1]))
    interval = np.searchsorted(edges, np.arange(bins) + 0.5) - 1
    interval = np.clip(interval, 0, len(changes.cells) - 1)
    length = np.maximum(np.diff(edges), 1e-9).astype(np.float32)
    return np.asarray(changes.cells[interval] / length[interval, None, None], np.float32)


def _lag_scores(change: Floats, seen: Floats) -> NDArray[np.float64]:
    """Return normalised correlation at every lag, ``[frames + events - 1]``, over all cells
    together.
    """
    frames, events = len(change), len(seen)
    count = frames + events - 1
    length = 1 << (count - 1).bit_length()
    total = np.zeros(count)
    flat_change, flat_seen = change.reshape(frames, -1), seen.reshape(events, -1)
    for cell in range(CELLS[0] * CELLS[1]):
        one = np.fft.rfft(flat_change[:, cell], length)
        other = np.fft.rfft(flat_seen[::-1, cell], length)
        total += np.fft.irfft(one * other, length)[:count]
    # Entry i holds the lag i - (events - 1): what of each side lies in common.
    lags = np.arange(count) - (events - 1)
    low, high = np.maximum(lags, 0), np.minimum(lags + events, frames)
    energy = _sums((flat_change**2).sum(1), low, high)
    energy *= _sums((flat_seen**2).sum(1), low - lags, high - lags)
    shared = (high - low) >= LEAST_OVERLAP * min(frames, events)
    good = shared & (energy > 0)
    return np.where(good, total / np.sqrt(np.where(good, energy, 1.0)), 0.0)


def _sums(values: Floats, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.float64]:
    running = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    result: NDArray[np.float64] = running[high] - running[low]
    return result


def _peaks(scores: NDArray[np.float64], apart: int, most: int) -> list[int]:
    """Return indices of the highest values, none nearer than `apart` to a higher one."""
    left = scores.copy()
    found = []
    for _ in range(most):
        best = int(np.argmax(left))
        if left[best] <= 0:
            break
        found.append(best)
        left[max(0, best - apart) : best + apart + 1] = 0
    return found
