"""A made-up recording whose clock and view are known: textured patches that sway over a wall.

Rendered many times a frame; a frame averages the linear intensity over its exposure, and the event
camera, which looks at the same plane through a lens of its own, is simulated from every rendering.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from sdcl_neuro.events import Events, Simulator, SimulatorConfig
from sdcl_neuro.events.light import linear_of_srgb

PLANE = (400, 300)


@dataclass(frozen=True)
class Film:
    """Frames with times, as a `Video` gives them."""

    frames: list[np.ndarray]
    times_us: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        return self.frames[0].shape[1], self.frames[0].shape[0]

    def __iter__(self) -> Iterator[tuple[int, int, np.ndarray]]:
        for index, frame in enumerate(self.frames):
            yield index, int(self.times_us[index]), frame


@dataclass(frozen=True)
class Recording:
    """Both cameras' view; `matrix` maps event to frame pixels, times are of mid-exposure."""

    film: Film
    events: Events
    matrix: np.ndarray
    starts_us: np.ndarray
    exposures_us: np.ndarray


def coarse(rng: np.random.Generator, width: int, height: int, cell: int) -> np.ndarray:
    small = rng.random((height // cell + 2, width // cell + 2)).astype(np.float32)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


class Scene:
    """The plane that both cameras see, linear intensity by time."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.wall = 0.15 + 0.35 * coarse(rng, *PLANE, 20)
        self.patches = []
        for left in (40, 150, 260):
            texture = 0.05 + 0.9 * coarse(rng, 50, 130, 9)
            self.patches.append((texture, left, *rng.uniform((60, 0.4, 0), (140, 0.9, 6))))

    def at(self, time_s: float) -> np.ndarray:
        picture = self.wall.copy()
        for texture, left, speed, hertz, phase in self.patches:
            turn = 2 * np.pi * hertz
            x = left + speed * np.sin(turn * time_s + phase) / turn
            y = 85 + 20 * np.sin(1.3 * turn * time_s + phase)
            shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
            cover = cv2.warpAffine(np.ones_like(texture), shift, PLANE)
            picture = picture * (1 - cover) + cv2.warpAffine(texture, shift, PLANE)
        return picture


_CODES = linear_of_srgb().astype(np.float64) / 65535


def srgb(linear: np.ndarray) -> np.ndarray:
    return np.searchsorted((_CODES[1:] + _CODES[:-1]) / 2, linear).astype(np.uint8)


def record(
    *,
    seed: int = 3,
    seconds: float = 1.8,
    fps: float = 30,
    hertz: int = 400,
    frame_size: tuple[int, int] = (320, 240),
    event_size: tuple[int, int] = (160, 120),
    view: np.ndarray | None = None,
    exposure_s: float = 0.01,
    varying: bool = False,
) -> Recording:
    """Film the scene; `view` maps the plane to event pixels (the whole plane if left out)."""
    to_frame = np.diag([frame_size[0] / PLANE[0], frame_size[1] / PLANE[1], 1.0])
    plain = np.diag([event_size[0] / PLANE[0], event_size[1] / PLANE[1], 1.0])
    to_event = plain if view is None else view
    scene, simulator = (
        Scene(seed),
        Simulator(SimulatorConfig(threshold_on=0.15, threshold_off=0.15)),
    )
    starts = np.arange(0.03, seconds - 0.06, 1 / fps)
    wave = 0.6 * np.sin(np.arange(len(starts)) / 4) if varying else np.zeros(len(starts))
    first = np.ceil(starts * hertz - 1e-6).astype(int)
    last = first + np.maximum(1, np.rint(exposure_s * (1 + wave) * hertz)).astype(int)
    sums = [np.zeros(frame_size[::-1]) for _ in starts]
    events = []
    for step in range(int(seconds * hertz)):
        picture = scene.at(step / hertz).astype(np.float32)
        seen = srgb(cv2.warpPerspective(picture, to_event, event_size))
        events.append(simulator.advance(seen, round(step * 1e6 / hertz)))
        for k in np.flatnonzero((first <= step) & (step < last)):
            sums[k] += cv2.warpPerspective(picture, to_frame, frame_size)
    frames = [
        np.repeat(srgb(total / count)[..., None], 3, 2)
        for total, count in zip(sums, last - first, strict=True)
    ]
    middles = np.rint((first + last - 1) / 2 * 1e6 / hertz).astype(np.int64)
    starts_us = np.rint((first - 0.5) * 1e6 / hertz).astype(np.int64)
    exposures_us = np.rint((last - first) * 1e6 / hertz).astype(np.int64)
    return Recording(
        Film(frames, middles),
        Events(np.concatenate(events), *event_size, "simulated"),
        to_frame @ np.linalg.inv(to_event),
        starts_us,
        exposures_us,
    )


def on_clock(events: Events, shift_us: int) -> Events:
    """The same events on a clock that is ahead by `shift_us`."""
    array = events.array.copy()
    array["t"] += shift_us
    return Events(array, events.width, events.height)
