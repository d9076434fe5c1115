"""From a video and its events to an `Alignment`, with what says how sure it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public

from ..alignment import Alignment, Mapping
from ..alignment.calibration import Matrix
from ..array import Events
from ..frames import VideoFrames
from .activity import Changes, EventPictures, Intervals, changes_of, fine_intervals, fine_size
from .estimate_result import Estimate
from .refine import FREEDOMS, Array, OffsetAndView, Refiner, frame_corners, homography
from .search import TURNS, Candidate, candidates

LEAST_FRAMES = 8
CLOSE_LOOK = 16  # intervals of the first look at a candidate
FINE_LOOK = 56  # intervals of the last fit
KEPT = 0.5
"""Candidates below this part of the best one's score are not looked at."""
BLURS = (6.0, 3.0, 1.6)  # pixels of the fine pictures, coarse to fine
LEAST_GAIN = 0.002
"""A freer view must raise the correlation on the other half of the recording by this much."""
LEAST_SCORE = 0.2
LARGEST_RIVAL = 0.6
"""Correlation at wrong offsets over that at the found one, above which it is refused."""
LARGEST_SPREAD = 0.25
"""Frame intervals by which the two halves of the recording may disagree."""
LARGEST_SHIFT = 0.03
"""Part of the frame's width by which their views may."""


@public
def estimate_alignment(
    video: VideoFrames,
    events: Events,
    *,
    same_view: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Estimate:
    """Find the offset of the events' clock and the view of the event camera.

    The video is read twice. What is compared is signed: where the picture grows brighter ON events
    are expected, where it grows darker OFF events.

    Args:
        video: its frames, with times.
        events: a recording that shares some time and some of the view with it.
        same_view: both show the same; only the offset is sought.
        say: told what is being done.

    Raises:
        InputError: nothing moves, too little in common, or several answers as good as each other.
    """
    say("reading the frames")
    changes = changes_of(video)
    _check(changes, events)
    found = candidates(changes, events)
    if not found:
        raise _cannot("no offset at which events follow the frames")
    if same_view:
        found = [one for one in found if one.turn == "upright"] or found
    say(f"looking at {len(found)} offsets")
    fine = _Fine(video, events, changes, found)
    state, candidate = fine.best(found, same_view=same_view)
    freedom, state = fine.model(state, same_view=same_view, turned=candidate.turn != "upright")
    return fine.estimate(state, freedom, candidate.turn)


def _check(changes: Changes, events: Events) -> None:
    if len(changes.times_us) < LEAST_FRAMES:
        raise _cannot(f"{len(changes.times_us)} frames")
    if len(events) < 1000:
        raise _cannot(f"{len(events)} events")
    motion = np.sort(changes.motion)
    if motion[-max(1, len(motion) // 10)] < 1e-6:
        raise _cannot("nothing changes in the frames")


def _cannot(why: str) -> InputError:
    return InputError(
        f"cannot determine how events and frames are aligned: {why}",
        where="events align",
        hint="give a part with more motion in view, or the offset and view by hand",
    )


class _Fine:
    """The second reading of the video, and what is done with it."""

    def __init__(
        self, video: VideoFrames, events: Events, changes: Changes, found: Iterable[Candidate]
    ) -> None:
        self.video_size, self.events = video.size, events
        self.size = fine_size(*video.size)
        self.sensor_size = fine_size(events.width, events.height)
        self.interval_us = float(np.median(np.diff(changes.times_us)))
        self.pictures = EventPictures(events, self.sensor_size, interval_us=self.interval_us)
        picks = {id(one): _chosen(changes, events, one.offset_us, FINE_LOOK) for one in found}
        union = np.unique(np.concatenate(list(picks.values())))
        self._all = fine_intervals(video, union, self.size)
        self._rows = {
            key: np.searchsorted(union, one) for key, one in picks.items() if len(one) >= 4
        }
        if not self._rows:
            raise _cannot("events and frames share too little time with motion")
        self._intervals = self._all

    def _of(self, candidate: Candidate, most: int) -> Intervals:
        rows = self._rows[id(candidate)]
        rows = rows[:: max(1, len(rows) // most)]
        return Intervals(self._all.edges_us[rows], self._all.changes[rows])

    def best(self, found: list[Candidate], *, same_view: bool) -> tuple[OffsetAndView, Candidate]:
        """Return the candidate whose refined state agrees best, at the coarse blurs."""
        freedom = 0 if same_view else 4
        results: list[tuple[OffsetAndView, Candidate]] = []
        for candidate in found:
            if id(candidate) not in self._rows or candidate.score < KEPT * found[0].score:
                continue
            refiner = Refiner(self._of(candidate, CLOSE_LOOK), self.pictures, BLURS[0])
            for corners in self._beginnings(candidate.turn, same_view):
                state = OffsetAndView(candidate.offset_us, corners)
                results.append((refiner.refine(state, freedom=freedom, steps=6), candidate))
        if not results:
            raise _cannot("events and frames share too little time with motion")
        results.sort(key=lambda one: -one[0].score)
        finer = []
        for state, candidate in results[:2]:
            refiner = Refiner(self._of(candidate, CLOSE_LOOK), self.pictures, BLURS[1])
            finer.append((refiner.refine(state, freedom=freedom, steps=12), candidate))
        state, candidate = max(finer, key=lambda one: one[0].score)
        self._intervals = self._of(candidate, FINE_LOOK)
        return state, candidate

    def _beginnings(self, turn: str, same_view: bool) -> list[Array]:
        """Return corners to begin from: the whole sensor, and square pixels where proportions
        differ.
        """
        rows, columns = self.sensor_size
        whole = frame_corners(self.sensor_size)
        if TURNS[turn][0]:
            whole = whole[[3, 2, 1, 0]]
        if TURNS[turn][1]:
            whole = whole[[1, 0, 3, 2]]
        found = [whole]
        frame_ratio = self.size[1] / self.size[0]
        ratio = columns / rows
        if not same_view and abs(ratio / frame_ratio - 1) > 0.02:
            middle = whole.mean(0)
            for stretch in ((frame_ratio / ratio, 1.0), (1.0, ratio / frame_ratio)):
                found.append(middle + (whole - middle) * np.array(stretch))
        return found

    def model(
        self, state: OffsetAndView, *, same_view: bool, turned: bool
    ) -> tuple[int, OffsetAndView]:
        """Return how free the view must be: no freer than the other half of the recording
        confirms.
        """
        halves = [self._intervals.pick(slice(k, None, 2)) for k in (0, 1)]
        refiners = [Refiner(half, self.pictures, BLURS[-1]) for half in halves]
        same_size = self.video_size == (self.events.width, self.events.height)
        whole = OffsetAndView(state.offset_us, frame_corners(self.sensor_size))
        best: tuple[int, float, OffsetAndView] | None = None
        for freedom in (0,) if same_view else FREEDOMS:
            if freedom == 0 and turned:
                continue
            begun = whole if freedom == 0 else (best[2] if best and best[0] else state)
            fitted = [one.refine(begun, freedom=freedom) for one in refiners]
            crossed = float(np.mean([refiners[1 - k].score(one) for k, one in enumerate(fitted)]))
            # Of two equal views the plainer one; different sizes need a mapping anyway.
            least = LEAST_GAIN if same_size or freedom > 2 else 0.0
            if best is None or crossed > best[1] + least:
                best = (freedom, crossed, fitted[0])
        if best is None:
            raise _cannot("no view fits")
        freedom, _, begun = best
        final = Refiner(self._intervals, self.pictures, BLURS[-1]).refine(begun, freedom=freedom)
        return freedom, final

    def estimate(self, state: OffsetAndView, freedom: int, turn: str) -> Estimate:
        """Return figures on a state, or a refusal."""
        whole = Refiner(self._intervals, self.pictures, BLURS[-1])
        halves = [
            Refiner(self._intervals.pick(slice(k, None, 2)), self.pictures, BLURS[-1]).refine(
                state, freedom=freedom
            )
            for k in (0, 1)
        ]
        spread = abs(halves[0].offset_us - halves[1].offset_us)
        view = self._view_spread(halves) if freedom else 0.0
        lags = [k * self.interval_us for k in (-11, -7, -5, -3, 3, 5, 7, 11)]
        rivals = [whole.score(OffsetAndView(state.offset_us + lag, state.corners)) for lag in lags]
        elsewhere = max(0.0, *rivals)
        mapping = None
        if freedom or self.video_size != (self.events.width, self.events.height):
            mapping = self._mapping(state)
        found = Estimate(
            Alignment(offset_us=round(state.offset_us), mapping=mapping),
            state.score,
            elsewhere,
            spread,
            view,
            freedom,
            turn,
            len(self._intervals.edges_us),
            self.interval_us,
        )
        self._refuse(found)
        return found

    def _refuse(self, found: Estimate) -> None:
        if found.score < LEAST_SCORE:
            raise _cannot(f"they agree nowhere (signed correlation {found.score:.3f} at best)")
        if found.elsewhere > LARGEST_RIVAL * found.score:
            raise _cannot(
                f"a signed correlation of {found.score:.3f} at the best offset and "
                f"{found.elsewhere:.3f} at others"
            )
        if found.offset_spread_us > LARGEST_SPREAD * self.interval_us:
            raise _cannot(
                f"two halves of the recording differ by {found.offset_spread_us / 1e3:.1f} ms"
            )
        if found.view_spread_px > LARGEST_SHIFT * self.video_size[0]:
            raise _cannot(f"two halves of the recording differ by {found.view_spread_px:.1f} px")

    def _mapping(self, state: OffsetAndView) -> Mapping:
        """Map sensor pixels to frame pixels."""
        to_sensor = homography(state.corners, self.size)
        frame = _grown(self.size, self.video_size)
        sensor = _grown(self.sensor_size, (self.events.width, self.events.height))
        matrix = frame @ np.linalg.inv(to_sensor) @ np.linalg.inv(sensor)
        return Mapping(
            _rows(matrix / matrix[2, 2]), (self.events.width, self.events.height), self.video_size
        )

    def _view_spread(self, halves: list[OffsetAndView]) -> float:
        """Mean distance of the corners that two halves find, in frame pixels."""
        ends = []
        corners = frame_corners((self.events.height, self.events.width))
        inner = corners.mean(0) + 0.5 * (corners - corners.mean(0))
        for half in halves:
            ends.append(self._mapping(half).points(inner))
        return float(np.hypot(*(ends[0] - ends[1]).T).mean())


def _chosen(changes: Changes, events: Events, offset_us: float, most: int) -> NDArray[np.int64]:
    """Return intervals inside the events' time, one of most motion in each of `most` equal
    parts.
    """
    times = changes.times_us
    first = events.array["t"][0] + offset_us
    last = events.array["t"][-1] + offset_us
    inside = np.flatnonzero((times[:-1] >= first) & (times[1:] <= last))
    if not len(inside):
        return np.empty(0, np.int64)
    motion = changes.motion
    picked = [part[np.argmax(motion[part])] for part in np.array_split(inside, most) if len(part)]
    moving = np.array(picked, np.int64)
    # Parts in which nothing moves add only noise.
    kept: NDArray[np.int64] = moving[motion[moving] > 0.05 * motion[moving].max()]
    return kept


def _grown(picture: tuple[int, int], whole: tuple[int, int]) -> Array:
    """Map pixels of a picture ``(H, W)`` to pixels of the whole plane (width, height)."""
    across, down = whole[0] / picture[1], whole[1] / picture[0]
    return np.array(
        [[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]], np.float64
    )


def _rows(matrix: Array) -> Matrix:
    a, b, c, d, e, f, g, h, i = matrix.reshape(-1).tolist()
    return ((a, b, c), (d, e, f), (g, h, i))
