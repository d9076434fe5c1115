"""The fine search: offset and view together, by Gauss-Newton steps on signed pictures.

It maximises the correlation between the frames' change of log intensity and the events' signed
pictures, warped to the frame. The view is four points: where the frame's corners lie on the sensor.
Fewer of their eight coordinates may be free: a shift has 2, a similarity 4, an affine map 6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.extras import need

from .activity import EventPictures, Floats, Intervals

Array = NDArray[np.float64]
STEPS = 25
DAMPING = 1e-3
FREEDOMS = (0, 2, 4, 6, 8)


@dataclass(frozen=True, eq=False)
class OffsetAndView:
    """An offset and a view.

    Attributes:
        offset_us: added to event times.
        corners: float64 ``[4, 2]``, where the frame's corners (top left, top right, bottom right,
            bottom left; pixel centres) lie in the event pictures.
        score: correlation reached, -1 to 1.
    """

    offset_us: float
    corners: Array
    score: float = 0.0


def frame_corners(size: tuple[int, int]) -> Array:
    """Return pixel centres at the corners of a picture of ``(H, W)``."""
    height, width = size
    right, bottom = width - 1.0, height - 1.0
    return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]], np.float64)


def homography(corners: Array, size: tuple[int, int]) -> Array:
    """Return homography from frame pictures to event pictures, ``[3, 3]``."""
    cv2 = need("cv2", "aligning events with frames")

    source = frame_corners(size).astype(np.float32)
    return np.asarray(cv2.getPerspectiveTransform(source, corners.astype(np.float32)), np.float64)


class Refiner:
    """Refines states against one set of intervals.

    Args:
        intervals: of the frames.
        pictures: of the events.
        blur: standard deviation in pixels of the frame pictures.
    """

    def __init__(self, intervals: Intervals, pictures: EventPictures, blur: float) -> None:
        cv2 = need("cv2", "aligning events with frames")

        self.intervals, self.pictures, self.blur = intervals, pictures, blur
        self.size = (intervals.changes.shape[1], intervals.changes.shape[2])
        self.target = np.stack(
            [cv2.GaussianBlur(one, (0, 0), blur) for one in intervals.changes]
        ).astype(np.float32)
        self.interval_us = float(np.median(np.diff(intervals.edges_us, axis=1)))

    def score(self, state: OffsetAndView) -> float:
        """Return signed correlation of frames and events, where the sensor sees the frame."""
        return _correlation(self.target, *self._warped(state))

    def refine(self, state: OffsetAndView, *, freedom: int, steps: int = STEPS) -> OffsetAndView:
        """Climb from `state`; the view has `freedom` of 0, 2, 4, 6 or 8 coordinates."""
        best = replace(state, score=self.score(state))
        damping = DAMPING
        for _ in range(steps):
            matrix, gradient, basis = self._equations(best, freedom)
            diagonal = np.diag(np.diag(matrix)) + 1e-12 * np.eye(len(matrix))
            gained = 0.0
            for _ in range(4):
                step = np.linalg.solve(matrix + damping * diagonal, gradient)
                step[0] = np.clip(step[0], -1.0, 1.0)
                moved = OffsetAndView(
                    best.offset_us + step[0] * self.interval_us,
                    best.corners + (basis @ step[1:]).reshape(4, 2) if freedom else best.corners,
                )
                score = self.score(moved)
                if score > best.score:
                    gained, best = score - best.score, replace(moved, score=score)
                    damping = max(damping / 4, 1e-6)
                    break
                damping *= 8
            if gained < 1e-5:
                break
        return best

    def _warped(
        self, state: OffsetAndView, offset_us: float = 0.0
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Return event pictures on the frame's plane, ``[N, h, w]``, and where the sensor sees."""
        cv2 = need("cv2", "aligning events with frames")

        matrix = homography(state.corners, self.size)
        raw = self.pictures.of(self.intervals.edges_us, state.offset_us + offset_us)
        blur = max(0.5, self.blur * _scale(matrix, self.size))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = [
            cv2.warpPerspective(
                cv2.GaussianBlur(one, (0, 0), blur), matrix, self.size[::-1], flags=flags
            )
            for one in raw
        ]
        ones = np.ones(raw.shape[1:], np.float32)
        seen = cv2.warpPerspective(ones, matrix, self.size[::-1], flags=flags) > 0.99
        return np.stack(warped).astype(np.float32), np.asarray(seen)

    def _equations(self, state: OffsetAndView, freedom: int) -> tuple[Array, Array, Array]:
        """Return normal equations of one step; the first unknown is the offset in frame
        intervals.
        """
        warped, seen = self._warped(state)
        step = 0.1 * self.interval_us
        later, _ = self._warped(state, step)
        sooner, _ = self._warped(state, -step)
        mask = seen[None].astype(np.float32)
        energy = float((warped**2 * mask).sum()) or 1.0
        gain = float((warped * self.target * mask).sum()) / energy
        if abs(gain) < 1e-9:
            gain = 1e-9
        columns = [(later - sooner) * (gain / 0.2)]
        basis = _basis(freedom, state.corners)
        if freedom:
            columns += self._view_columns(state, warped, gain, basis)
        residual = (self.target - gain * warped) * mask
        # The part along the picture itself is the gain's, not the view's.
        flat = [self._without(column * mask, warped * mask, energy) for column in columns]
        matrix = np.array([[float((a * b).sum()) for b in flat] for a in flat])
        gradient = np.array([float((a * residual).sum()) for a in flat])
        return matrix, gradient, basis

    @staticmethod
    def _without(column: Floats, warped: Floats, energy: float) -> Floats:
        share = float((column * warped).sum()) / energy
        return np.asarray(column - share * warped, np.float32)

    def _view_columns(
        self, state: OffsetAndView, warped: Floats, gain: float, basis: Array
    ) -> list[Floats]:
        """Return change of the warped pictures along each free direction of the corners."""
        down, across = np.gradient(warped, axis=(1, 2))
        height, width = self.size
        y, x = np.mgrid[0:height, 0:width]
        points = np.column_stack([x.ravel(), y.ravel(), np.ones(x.size)])
        here = homography(state.corners, self.size)
        columns = []
        for direction in basis.T:
            moved = homography(state.corners + direction.reshape(4, 2), self.size)
            # Where a point of the frame would have to look from, to see what it sees then.
            shifted = np.linalg.inv(here) @ moved @ points.T
            flow = (shifted[:2] / shifted[2]).T - points[:, :2]
            columns.append(
                gain
                * (
                    across * flow[:, 0].reshape(1, height, width)
                    + down * flow[:, 1].reshape(1, height, width)
                ).astype(np.float32)
            )
        return columns


def _basis(freedom: int, corners: Array) -> Array:
    """Return directions in the eight coordinates of the corners, ``[8, freedom]``, about a pixel
    long.
    """
    centred = corners - corners.mean(0)
    reach = float(np.abs(centred).max()) or 1.0
    x, y = centred[:, 0] / reach, centred[:, 1] / reach
    one, zero = np.ones(4), np.zeros(4)
    directions = [
        (one, zero),
        (zero, one),
        (x, y),
        (-y, x),
        (x, -y),
        (y, x),
        (x * y, zero),
        (zero, x * y),
    ]
    chosen = [np.column_stack(pair).reshape(8) for pair in directions[:freedom]]
    return np.array(chosen, np.float64).reshape(freedom, 8).T


def _scale(matrix: Array, size: tuple[int, int]) -> float:
    """Return pixels of the event picture per pixel of the frame picture, in the middle."""
    x, y = size[1] / 2, size[0] / 2
    points = matrix @ np.array([[x, x + 1, x], [y, y, y + 1], [1.0, 1.0, 1.0]])
    (x0, x1, x2), (y0, y1, y2) = points[:2] / points[2]
    area = abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
    return float(np.sqrt(max(area, 1e-6)))


def _correlation(target: Floats, warped: Floats, seen: NDArray[np.bool_]) -> float:
    """Correlate both sides where the sensor sees; a view that sees little counts little."""
    mask = seen[None]
    product = float((target * warped * mask).sum())
    own, other = float((target**2 * mask).sum()), float((warped**2 * mask).sum())
    whole = float((target**2).sum())
    if own <= 0 or other <= 0:
        return 0.0
    # Frames' changes that no event could see cost a little: else a corner of the view would do.
    return float(product / np.sqrt(own * other) * (0.7 + 0.3 * own / whole))
