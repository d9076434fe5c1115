"""Cameras of the generated data set: viewpoint, light and background."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.extras import need

from .posing import Point

# A person's height and the whole strip's rows, in pixels of a crop of 256 rows.
PERSON_ROWS, STRIP_ROWS = 228, 296
GROUND_ROW = STRIP_ROWS - 34  # of the feet
SCENE_COLUMNS = 1400


@dataclass(frozen=True)
class SceneCamera:
    """One camera.

    Attributes:
        number: from 0.
        yaw: radians by which people's way is turned out of the picture's plane.
        elevation: radians by which it looks down.
        resolution: pixels of its picture per pixel of a crop of 256 rows, at most 1.
        gain: of red, green and blue: colour temperature and exposure.
        gamma: of its tone curve.
        noise: standard deviation in grey levels.
        light_left: whether light comes from the picture's left.
    """

    number: int
    yaw: float
    elevation: float
    resolution: float
    gain: tuple[float, float, float]
    gamma: float
    noise: float
    light_left: bool

    def table(self) -> NDArray[np.uint8]:
        """Return its tone curve, uint8 ``[1, 256, 3]``."""
        ramp = (np.arange(256) / 255.0)[:, None]
        toned = np.minimum(ramp * np.asarray(self.gain), 1.0) ** self.gamma
        return np.asarray(np.rint(255.0 * toned)[None], dtype=np.uint8)


@dataclass(frozen=True)
class BodyView:
    """How a point of a body is seen: the camera's angles and the direction of one walk.

    Attributes:
        yaw: 0 walks to the right, pi to the left, pi/2 away from the camera.
        elevation: radians from above.
    """

    yaw: float
    elevation: float

    def project(self, point: Point) -> tuple[float, float, float]:
        """Return right, up and towards the camera, in body heights."""
        x, y, z = float(point[0]), float(point[1]), float(point[2])
        near = z * float(np.cos(self.yaw)) * -1.0 - x * float(np.sin(self.yaw))
        right = x * float(np.cos(self.yaw)) - z * float(np.sin(self.yaw))
        up = y * float(np.cos(self.elevation)) - near * float(np.sin(self.elevation))
        return right, up, near


def make_camera(seed: int, number: int) -> SceneCamera:
    """Return camera `number` of the network that `seed` names."""
    generator = np.random.default_rng([seed, 2, number])
    exposure = generator.uniform(0.72, 1.12)
    warmth = generator.uniform(-0.10, 0.10)
    # Turns alternate, so that neighbouring numbers really see people from other sides.
    turn = generator.uniform(0.05, 0.75) * (1 if number % 2 else -1)
    return SceneCamera(
        number=number,
        yaw=float(turn),
        elevation=float(generator.uniform(0.03, 0.26)),
        resolution=float(generator.choice([0.5, 0.65, 0.8])),
        gain=(float(exposure * (1 + warmth)), float(exposure), float(exposure * (1 - warmth))),
        gamma=float(generator.uniform(0.85, 1.2)),
        noise=float(generator.uniform(1.0, 4.0)),
        light_left=bool(generator.integers(2)),
    )


@lru_cache(maxsize=16)
def scene(seed: int, number: int) -> NDArray[np.uint8]:
    """Return the static background, RGB ``[STRIP_ROWS, SCENE_COLUMNS, 3]``; read-only."""
    cv2 = need("cv2", "rendering a scene")

    generator = np.random.default_rng([seed, 3, number])
    horizon = int(generator.integers(90, 190))
    wall, floor = generator.uniform(70, 200, 3), generator.uniform(70, 170, 3)
    tint = generator.uniform(90, 160)
    wall, floor = 0.2 * wall + 0.8 * tint, 0.15 * floor + 0.85 * generator.uniform(80, 150)
    picture = np.empty((STRIP_ROWS, SCENE_COLUMNS, 3), np.float32)
    fade = np.linspace(1.1, 0.9, STRIP_ROWS, dtype=np.float32)[:, None, None]
    picture[:horizon], picture[horizon:] = wall, floor
    picture *= fade
    for _ in range(int(generator.integers(10, 26))):
        left, wide = int(generator.integers(0, SCENE_COLUMNS)), int(generator.integers(8, 110))
        top, high = int(generator.integers(0, horizon)), int(generator.integers(30, 150))
        colour = (0.25 * generator.uniform(0, 240, 3) + 0.75 * generator.uniform(40, 210)).tolist()
        cv2.rectangle(picture, (left, top), (left + wide, min(top + high, horizon)), colour, -1)
    for _ in range(int(generator.integers(0, 8))):
        left = int(generator.integers(0, SCENE_COLUMNS))
        row = int(generator.integers(horizon, STRIP_ROWS))
        cv2.line(picture, (left, row), (left + 400, row + 14), (floor * 0.85).tolist(), 3)
    for cells, strength in ((6, 9.0), (40, 6.0), (150, 4.0)):
        shape = (cells, cells * SCENE_COLUMNS // STRIP_ROWS)
        coarse = generator.normal(0, strength, shape).astype(np.float32)
        grain = cv2.resize(coarse, (SCENE_COLUMNS, STRIP_ROWS), interpolation=cv2.INTER_CUBIC)
        picture += grain[..., None]
    blurred = cv2.GaussianBlur(np.clip(picture, 0, 255), (0, 0), 1.2)
    finished = np.asarray(blurred).astype(np.uint8)
    finished.flags.writeable = False
    return finished
