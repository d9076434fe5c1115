"""Frames made worse: the blurred and occluded inputs of the paper's Table 3, low light and noise.

Only frames change; events stay as they are, because an event camera has neither exposure time nor
shared gain. The paper does not say how it blurred and occluded, so strengths here are ours: a table
of five levels for each kind. A seed and the tracklet's name give the same result every time.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.extras import need

Frames = NDArray[np.uint8]
Generator = np.random.Generator

SEVERITIES = (1, 2, 3, 4, 5)
# Length of the blur in parts of the frame's height (256 rows: 8 to 46 pixels).
BLUR_LENGTH = (0.03, 0.06, 0.09, 0.13, 0.18)
# Degrees away from the horizontal, at most: people walk and cameras pan sideways.
BLUR_TILT = 20.0
# Part of the frame's area that the occluder hides.
OCCLUDED_AREA = (0.10, 0.20, 0.30, 0.40, 0.50)
OCCLUDER_ASPECT = (0.5, 2.0)  # height over width
# Part of the light that is left, and electrons of a white pixel at full light.
LIGHT_LEFT = (0.45, 0.28, 0.17, 0.10, 0.06)
WHITE_ELECTRONS = 1500.0
READ_NOISE = 2.0  # standard deviation, in grey levels
SRGB_GAMMA = 2.2
# Standard deviation of Gaussian noise, in grey levels of 255.
NOISE_SIGMA = (8.0, 16.0, 26.0, 38.0, 52.0)


def degrade(frames: Frames, kind: str, severity: int, *, seed: int = 0) -> Frames:
    """Degrade the frames of one clip.

    Args:
        frames: uint8 ``[F, H, W, 3]``; not changed.
        kind: a name of `KINDS`.
        severity: 1 (light) to 5 (heavy).
        seed: the same seed, the same result.

    Returns:
        uint8 ``[F, H, W, 3]``.

    Raises:
        InputError: an unknown kind, a severity outside 1 to 5, or frames of another shape.
    """
    if kind not in KINDS:
        raise InputError(f"degradation {kind!r}", hint=f"choose from {', '.join(KINDS)}")
    if severity not in SEVERITIES:
        raise InputError(f"severity {severity} of {kind}", hint="give 1 to 5")
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise InputError(
            f"frames are {frames.dtype} of shape {frames.shape}", hint="give uint8 [F, H, W, 3]"
        )
    # The kind goes into the seed, so that two kinds do not share their random numbers.
    generator = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    return KINDS[kind](frames, severity - 1, generator)


def degrade_tracklet(tracklet: Tracklet, kind: str, severity: int, *, seed: int = 0) -> Tracklet:
    """Return the tracklet with degraded frames and its own events; its name goes into the seed."""
    named = zlib.crc32(tracklet.name.encode(), seed & 0xFFFFFFFF)
    return replace(tracklet, frames=degrade(tracklet.frames, kind, severity, seed=named))


def motion_blur(frames: Frames, level: int, generator: Generator) -> Frames:
    """Mean along a straight, nearly horizontal line, the same in all frames of the clip."""
    cv2 = need("cv2", "degrading frames")

    length = BLUR_LENGTH[level] * frames.shape[1]
    angle = np.deg2rad(generator.uniform(-BLUR_TILT, BLUR_TILT))
    kernel = line_kernel(length, float(angle))
    return np.stack([cv2.filter2D(f, -1, kernel, borderType=cv2.BORDER_REPLICATE) for f in frames])


def line_kernel(length: float, angle: float) -> NDArray[np.float32]:
    """Return a kernel of odd side that sums to 1: points along a line, shared among the nearest
    cells.
    """
    side = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((side + 1, side + 1))
    along = np.linspace(-length / 2, length / 2, 8 * side)
    x, y = side // 2 + along * np.cos(angle), side // 2 + along * np.sin(angle)
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    for down in (0, 1):
        for right in (0, 1):
            share = np.abs(1 - down - (y - row)) * np.abs(1 - right - (x - column))
            np.add.at(kernel, (row + down, column + right), share)
    kernel = kernel[:side, :side]
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def occlusion(frames: Frames, level: int, generator: Generator) -> Frames:
    """Return a blotchy patch of one colour before the person, at the same place in all frames."""
    cv2 = need("cv2", "degrading frames")

    height, width = frames.shape[1:3]
    area = OCCLUDED_AREA[level] * height * width
    aspect = np.exp(generator.uniform(*np.log(OCCLUDER_ASPECT)))
    # Never wider or higher than the frame; the other side makes up for it.
    rows = min(height, max(1, round(np.sqrt(area * aspect))))
    columns = min(width, max(1, round(area / rows)))
    rows = min(height, max(1, round(area / columns)))
    top = int(generator.integers(0, height - rows, endpoint=True))
    left = int(generator.integers(0, width - columns, endpoint=True))
    # Walls, cars and other people: seldom of a pure colour.
    colour = 0.7 * generator.uniform(30, 200) + 0.3 * generator.uniform(30, 200, 3)
    coarse = generator.normal(0.0, 18.0, (5, 4, 1)) + colour
    patch = cv2.resize(np.clip(coarse, 0, 255).astype(np.uint8), (columns, rows))
    worse = frames.copy()
    worse[:, top : top + rows, left : left + columns] = patch
    return worse


def low_light(frames: Frames, level: int, generator: Generator) -> Frames:
    """Return less light on the sensor: darker, with shot noise of the electrons left, then read
    noise.
    """
    linear = (np.arange(256) / 255.0) ** SRGB_GAMMA * LIGHT_LEFT[level] * WHITE_ELECTRONS
    electrons = linear[frames].astype(np.float32)
    # A normal distribution of the same variance: at these counts close to Poisson's, and faster.
    shot = generator.standard_normal(frames.shape, np.float32) * np.sqrt(electrons)
    coded = np.maximum(electrons + shot, 0.0) / np.float32(WHITE_ELECTRONS)
    grey = 255.0 * coded ** np.float32(1 / SRGB_GAMMA)
    return _bytes(grey + READ_NOISE * generator.standard_normal(frames.shape, np.float32))


def sensor_noise(frames: Frames, level: int, generator: Generator) -> Frames:
    """Return Gaussian noise, independent in pixels, channels and frames."""
    noise = generator.standard_normal(frames.shape, np.float32)
    return _bytes(frames + np.float32(NOISE_SIGMA[level]) * noise)


def _bytes(values: NDArray[np.floating]) -> Frames:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


KINDS: dict[str, Callable[[Frames, int, Generator], Frames]] = {
    "blur": motion_blur,
    "occlusion": occlusion,
    "low-light": low_light,
    "noise": sensor_noise,
}
