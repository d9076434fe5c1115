"""ByteTrack (Zhang et al., ECCV 2022): boxes linked by overlap, doubtful ones in a second round.

Each track predicts where its box will be (a Kalman filter with constant velocity on centre, aspect
and height). Sure detections are matched first, by overlap times score; then what is left of the
tracks in view, with unsure detections, which alone never begin a track. A track without a match is
kept for a while, and found again where it was heading.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from .detections import Detections, Floats, overlaps

# Noise of position and velocity over the box's height (Wojke et al., "Deep SORT", 2017).
POSITION_NOISE = 1 / 20
VELOCITY_NOISE = 1 / 160
ASPECT_NOISE = (1e-2, 1e-5, 1e-1)  # of the state, of its velocity, of a measurement

# The paper's threshold of a sure detection (section 4.1).
PAPER_SURE = 0.6


@dataclass(frozen=True)
class ByteTrackSettings:
    """Thresholds; the defaults are the paper's, but for those of scores.

    Attributes:
        sure: score from which a detection is matched in the first round.
        unsure: score from which it is matched in the second one.
        begin: score from which an unmatched detection begins a track.
        first_cost, second_cost, unconfirmed_cost: largest cost of a match: 1 less overlap (times
            score but in the second round).
        lost_s: seconds for which a track that is out of sight is kept.

    Raises:
        InputError: thresholds out of order or range.
    """

    sure: float = 0.5
    unsure: float = 0.1
    begin: float = 0.6
    first_cost: float = 0.8
    second_cost: float = 0.5
    unconfirmed_cost: float = 0.7
    lost_s: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.unsure <= self.sure <= self.begin <= 1:
            raise InputError(
                f"scores {self.unsure:g}, {self.sure:g} and {self.begin:g}",
                hint="give unsure, sure and begin in ascending order, 0 to 1",
            )
        if not 0 <= self.lost_s <= 3600:
            raise InputError(f"tracks kept for {self.lost_s:g} s", hint="give 0 to an hour")


@dataclass
class _Track:
    identity: int
    mean: Floats  # centre x, y, aspect, height, and their velocities per frame
    covariance: Floats
    frames: list[int] = field(default_factory=list)
    boxes: list[Floats] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    confirmed: bool = False
    lost: bool = False

    def add(self, frame: int, box: Floats, score: float) -> None:
        self.frames.append(frame)
        self.boxes.append(box)
        self.scores.append(score)
        self.lost = False


class ByteTrack:
    """Follows persons frame by frame.

    Args:
        fps: frames a second, for `ByteTrackSettings.lost_s`.
        settings: thresholds.
    """

    def __init__(self, fps: float, settings: ByteTrackSettings | None = None) -> None:
        self.settings = settings or ByteTrackSettings()
        self._kept_frames = max(1, round(self.settings.lost_s * fps))
        self._tracks: list[_Track] = []
        self._done: list[_Track] = []
        self._frame, self._next = -1, 1

    def add(self, found: Detections) -> None:
        """Take the next frame's detections."""
        self._frame += 1
        limits = self.settings
        for track in self._tracks:
            _predict(track)
        sure = found.pick(found.scores >= limits.sure)
        unsure = found.pick((found.scores < limits.sure) & (found.scores >= limits.unsure))
        known = [track for track in self._tracks if track.confirmed]
        fresh = [track for track in self._tracks if not track.confirmed]
        left, rest = self._match(known, sure, limits.first_cost, by_score=True)
        in_view = [track for track in left if not track.lost]
        still, _ = self._match(in_view, unsure, limits.second_cost, by_score=False)
        for track in still:
            track.lost = True
        gone, rest = self._match(fresh, rest, limits.unconfirmed_cost, by_score=True)
        for track in gone:
            self._tracks.remove(track)
        self._begin(rest)
        for track in [t for t in self._tracks if self._frame - t.frames[-1] > self._kept_frames]:
            self._tracks.remove(track)
            self._done.append(track)

    def finish(self) -> list[tuple[NDArray[np.int64], Floats, Floats]]:
        """Return frames ``[N]``, boxes ``[N, 4]`` (corners) and scores ``[N]`` of each confirmed
        track.
        """
        tracks = [*self._done, *(track for track in self._tracks if track.confirmed)]
        tracks.sort(key=lambda track: (track.frames[0], track.identity))
        return [
            (np.array(one.frames, np.int64), np.stack(one.boxes), np.array(one.scores))
            for one in tracks
        ]

    def _match(
        self, tracks: list[_Track], found: Detections, limit: float, *, by_score: bool
    ) -> tuple[list[_Track], Detections]:
        """Link tracks and detections; return what is left of both."""
        if not tracks or not len(found):
            return tracks, found
        from scipy.optimize import linear_sum_assignment

        likeness = overlaps(np.stack([_box(track.mean) for track in tracks]), found.boxes)
        if by_score:
            likeness = likeness * self._fused(found.scores)[None]
        cost = 1.0 - likeness
        # Costs beyond the limit count alike, so that no good match is given up for two bad ones.
        rows, columns = linear_sum_assignment(np.minimum(cost, limit + 1e-6))
        matched, taken = set(), set()
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if cost[row, column] > limit:
                continue
            track = tracks[row]
            _correct(track, found.boxes[column])
            track.add(self._frame, found.boxes[column], float(found.scores[column]))
            track.confirmed = True
            matched.add(row)
            taken.add(column)
        free = np.array([k not in taken for k in range(len(found))], bool)
        return [track for k, track in enumerate(tracks) if k not in matched], found.pick(free)

    def _fused(self, scores: Floats) -> Floats:
        """Return scores on the scale of the paper's detector, so that one that is just sure counts
        as its.

        Weak detectors are sure from a lower score on; multiplied by it as it is, no overlap would
        be enough for a match.
        """
        sure = self.settings.sure
        return PAPER_SURE + (1 - PAPER_SURE) * (scores - sure) / max(1 - sure, 1e-9)

    def _begin(self, found: Detections) -> None:
        for box, score in zip(found.boxes, found.scores.tolist(), strict=True):
            if score < self.settings.begin:
                continue
            mean, covariance = _begun(box)
            track = _Track(self._next, mean, covariance, confirmed=self._frame == 0)
            track.add(self._frame, box, score)
            self._tracks.append(track)
            self._next += 1


_MOTION = np.eye(8) + np.eye(8, k=4)


def _measured(box: Floats) -> Floats:
    width, height = box[2] - box[0], box[3] - box[1]
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, width / height, height])


def _box(mean: Floats) -> Floats:
    height = max(float(mean[3]), 1.0)
    width = max(float(mean[2]), 0.01) * height
    x, y = mean[0], mean[1]
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def _begun(box: Floats) -> tuple[Floats, Floats]:
    measured = _measured(box)
    near, far = 2 * POSITION_NOISE * measured[3], 10 * VELOCITY_NOISE * measured[3]
    deviation = np.array(
        [near, near, ASPECT_NOISE[0], near, far, far, ASPECT_NOISE[1], far], np.float64
    )
    return np.concatenate([measured, np.zeros(4)]), np.diag(deviation**2)


def _predict(track: _Track) -> None:
    height = track.mean[3]
    near, far = POSITION_NOISE * height, VELOCITY_NOISE * height
    deviation = np.array(
        [near, near, ASPECT_NOISE[0], near, far, far, ASPECT_NOISE[1], far], np.float64
    )
    if track.lost:
        track.mean[7] = 0.0  # a height that grows unseen would run away
    track.mean = _MOTION @ track.mean
    track.covariance = _MOTION @ track.covariance @ _MOTION.T + np.diag(deviation**2)


def _correct(track: _Track, box: Floats) -> None:
    near = POSITION_NOISE * track.mean[3]
    noise = np.diag(np.array([near, near, ASPECT_NOISE[2], near]) ** 2)
    spread = track.covariance[:4, :4] + noise
    gain = np.linalg.solve(spread, track.covariance[:4]).T
    track.mean = track.mean + gain @ (_measured(box) - track.mean[:4])
    track.covariance = track.covariance - gain @ spread @ gain.T
