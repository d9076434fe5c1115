"""One generated walk: a person passes a camera that stands still, filmed and seen by pixels.

The same way as from a video: events come from the whole fixed picture, at a high rate, and the
events of each frame's interval are cropped by that frame's box, which follows the person. Times of
events have the resolution of `substeps` renderings a frame, refined by the simulator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.events import Events, SimulatorConfig, concatenate, encode
from sdcl_neuro.events.simulator import Simulator
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.events.tracklets.tracklet import CROP_SIZE
from sdcl_neuro.extras import need

from .camera import GROUND_ROW, PERSON_ROWS, SCENE_COLUMNS, BodyView, SceneCamera, scene
from .clip import Clip
from .drawing import Brush
from .figure import draw_person
from .person import Person
from .posing import pose, walking_speed

cv2 = need("cv2", "rendering persons")

# The simulated pixels see the strip at this part of a crop's resolution: 128 x 64 a crop.
SENSOR_SCALE = 0.5
MARGIN_COLUMNS = 96


@dataclass(frozen=True)
class Walk:
    """One passage of a person before a camera.

    Attributes:
        person, camera: who and before which.
        view: the camera's angles with this walk's direction.
        phase: of the gait when the clip begins, in cycles.
        pace: this walk's speed over the person's usual one.
        column: where in the scene the clip begins.
        jitter: seed of what the detector and the camera's noise add.
    """

    person: Person
    camera: SceneCamera
    view: BodyView
    phase: float
    pace: float
    column: int
    jitter: int


def make_walk(
    person: Person, camera: SceneCamera, *, seed: int, number: int, moment: int | None = None
) -> Walk:
    """Walk `number` of a person before a camera; `moment` picks another stretch of that walk.

    The direction, the pace and the place belong to the walk; the gait's phase, where the clip
    begins and the detector's jitter belong to the moment.
    """
    whole = np.random.default_rng([seed, 4, person.number, camera.number, number])
    back = np.pi if whole.integers(2) else 0.0
    yaw = camera.yaw + back + whole.uniform(-0.12, 0.12)
    pace = float(whole.uniform(0.93, 1.07))
    column = int(whole.integers(0, SCENE_COLUMNS))
    key = [seed, 5, person.number, camera.number, number, 0 if moment is None else moment + 1]
    now = np.random.default_rng(key)
    return Walk(
        person=person,
        camera=camera,
        view=BodyView(float(yaw), camera.elevation),
        phase=float(now.random()),
        pace=pace,
        column=(column + int(now.integers(0, 200))) % SCENE_COLUMNS,
        jitter=int(now.integers(1 << 31)),
    )


def render_walk(
    walk: Walk, clip: Clip, *, name: str, fps: float, substeps: int, simulator: SimulatorConfig,
    seed: int,
) -> Tracklet:  # fmt: skip
    """Film a walk.

    Args:
        walk: who, where and when.
        clip: what the tracklet looks like.
        name: of the tracklet.
        fps: frames a second.
        substeps: renderings per frame interval that the simulated pixels see.
        simulator: the pixels.
        seed: of the camera's scene.

    Returns:
        The tracklet; its boxes are in pixels of the strip the person walked along.
    """
    stage = _Stage.of(walk, clip.frames / fps, seed)
    times_s = np.arange(clip.frames + 1) / fps
    boxes = _boxes(walk, stage, times_s[1:])
    noise = np.random.default_rng([walk.jitter, 1])
    scale = walk.camera.resolution
    frames = [
        _crop(_noisy(stage.picture(float(time), scale), walk.camera.noise, noise), box, scale)
        for time, box in zip(times_s[1:], boxes, strict=True)
    ]
    times_us = np.rint(times_s * 1e6).astype(np.int64)
    pixels = Simulator(simulator)
    pixels.advance(stage.picture(0.0, SENSOR_SCALE), 0)
    seen = [
        _interval(pixels, stage, (int(times_us[f]), int(times_us[f + 1])), substeps).crop(
            tuple(box * SENSOR_SCALE), clip.size
        )
        for f, box in enumerate(boxes)
    ]
    return Tracklet(
        name=name,
        person=walk.person.number,
        camera=walk.camera.number,
        frames=np.stack(frames),
        spikes=encode(concatenate(seen), frame_times_us=times_us[1:], bins=clip.bins, start_us=0),
        times_us=times_us[1:],
        boxes=boxes,
    )


@dataclass(frozen=True)
class _Stage:
    """The strip of the scene along which one clip's person walks, and how to draw it.

    Attributes:
        walk: who walks.
        backgrounds: the strip without them, by pixels per pixel of a crop.
        start: column of the body's middle when the clip begins, in pixels of a crop.
        speed: columns a second; below zero to the left.
        tone: the camera's tone curve.
    """

    walk: Walk
    backgrounds: dict[float, NDArray[np.uint8]]
    start: float
    speed: float
    tone: NDArray[np.uint8]

    @classmethod
    def of(cls, walk: Walk, duration_s: float, seed: int) -> _Stage:
        """Return a walk long enough for the whole clip."""
        along = float(np.cos(walk.view.yaw))
        speed = walking_speed(walk.person) * walk.pace * along * PERSON_ROWS
        travel = abs(speed) * duration_s
        width = int(np.ceil(travel)) + 2 * MARGIN_COLUMNS
        width += width % 2
        columns = np.arange(walk.column, walk.column + width) % SCENE_COLUMNS
        behind = scene(seed, walk.camera.number)[:, columns]
        backgrounds = {
            scale: _shrunk(behind, scale) for scale in (SENSOR_SCALE, walk.camera.resolution)
        }
        start = MARGIN_COLUMNS + (travel if speed < 0 else 0.0)
        return cls(walk, backgrounds, start, speed, walk.camera.table())

    def place(self, time_s: float) -> float:
        """Return column of the body's middle."""
        return self.start + self.speed * time_s

    def picture(self, time_s: float, scale: float) -> NDArray[np.uint8]:
        """Return the whole strip as the camera tones it; `scale` is one of `backgrounds`."""
        walk = self.walk
        brush = Brush(
            picture=self.backgrounds[scale].copy(),
            column=self.place(time_s) * scale,
            row=GROUND_ROW * scale,
            scale=PERSON_ROWS * scale,
            light=-1.0 if walk.camera.light_left else 1.0,
        )
        cycle = walk.phase + time_s * walk.person.gait.cadence_hz * walk.pace
        draw_person(brush, walk.person, pose(walk.person, cycle), walk.view)
        return np.asarray(cv2.LUT(brush.picture, self.tone), dtype=np.uint8)


def _shrunk(picture: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _boxes(walk: Walk, stage: _Stage, times_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a detector's boxes ``[F, 4]``: around the person, a little off, steadily and by
    frame.
    """
    generator = np.random.default_rng([walk.jitter, 0])
    steady = generator.normal(0.0, (3.0, 3.0, 0.025))
    rows, columns = CROP_SIZE
    boxes = []
    for time in times_s:
        right, down, larger = steady + generator.normal(0.0, (1.0, 1.0, 0.005))
        height = rows * min(1.06, max(0.94, 1.0 + larger))
        width = height * columns / rows
        left = stage.place(float(time)) + right - 0.5 * width
        top = GROUND_ROW + 10.0 + min(8.0, max(-8.0, down)) - height
        boxes.append([round(left), round(top), round(width), round(height)])
    return np.array(boxes, dtype=np.int64)


def _crop(picture: NDArray[np.uint8], box: NDArray[np.int64], scale: float) -> NDArray[np.uint8]:
    """Return the box out of a picture of `scale`, resized to a crop; pixel centres on pixel
    centres.
    """
    rows, columns = CROP_SIZE
    left, top, width, height = (float(value) * scale for value in box)
    across, down = width / columns, height / rows
    back = np.array([[across, 0.0, left + 0.5 * across - 0.5], [0.0, down, top + 0.5 * down - 0.5]])
    cut = cv2.warpAffine(
        picture, back, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(cut, dtype=np.uint8)


def _noisy(
    picture: NDArray[np.uint8], sigma: float, generator: np.random.Generator
) -> NDArray[np.uint8]:
    noise = generator.standard_normal(picture.shape, np.float32) * np.float32(sigma)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def _interval(pixels: Simulator, stage: _Stage, span_us: tuple[int, int], substeps: int) -> Events:
    """Return what the fixed pixels saw in ``(start, end]``."""
    start, end = span_us
    parts = []
    height, width = stage.backgrounds[SENSOR_SCALE].shape[:2]
    for step in range(1, substeps + 1):
        time_us = start + (end - start) * step // substeps
        picture = stage.picture(time_us / 1e6, SENSOR_SCALE)
        parts.append(pixels.advance(picture, time_us))
    return Events(np.concatenate(parts), width, height, "simulated")
