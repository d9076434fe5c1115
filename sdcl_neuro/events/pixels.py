"""Simulated pixels: what they are told (`SimulatorConfig`) and what they remember (`Pixels`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class

from .light import LOG_BITS

# A mismatched threshold never falls below this (v2e's own limit).
THRESHOLD_FLOOR = 0.01
# Flags of pixels are looked at so many at a time.
WORD = 8


@public_class
@dataclass(frozen=True)
class SimulatorConfig:
    """What a simulated pixel does.

    Attributes:
        threshold_on, threshold_off: nominal thresholds in log (base e) intensity; v2e's nominal
            value is 0.2.
        mismatch: standard deviation of a pixel's thresholds; v2e's nominal value is 0.03.
        refractory_us: after an event a pixel is deaf for this long; its level still follows, so
            what it missed is lost. v2e's nominal value is 500.
        leak_hz: the level drifts so that a pixel at the nominal threshold sends this many ON
            events a second in a still scene.
        shot_noise_hz: rate of random events of a dark pixel, both polarities together.
        log_eps: added to the linear intensity (0 to 1) before the logarithm; ESIM's value.
        seed: of mismatch and shot noise.
    """

    threshold_on: float = 0.2
    threshold_off: float = 0.2
    mismatch: float = 0.03
    refractory_us: int = 500
    leak_hz: float = 0.0
    shot_noise_hz: float = 0.0
    log_eps: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        limits: tuple[tuple[str, float, float], ...] = (
            ("threshold_on", THRESHOLD_FLOOR, 10.0),
            ("threshold_off", THRESHOLD_FLOOR, 10.0),
            ("mismatch", 0.0, 10.0),
            ("refractory_us", 0, 1 << 40),
            ("leak_hz", 0.0, 1e4),
            ("shot_noise_hz", 0.0, 1e4),
            ("log_eps", 1e-6, 1.0),
            ("seed", 0, (1 << 63) - 1),
        )
        for name, low, high in limits:
            value = getattr(self, name)
            if not low <= value <= high:  # also refuses NaN
                raise InputError(f"{name} is {value}", hint=f"give one from {low} to {high}")


@dataclass
class Pixels:
    """What the pixels remember; flat arrays in raster order.

    Attributes:
        shape: of a frame.
        level: int32, log intensity in the last frame.
        next_level, rise, crossed, found: room for the next frame's; see `kernels`.
        excess: int32, level above that of the last event.
        threshold_on, threshold_off: int32, above zero.
        last_event_us: int64, time of the last event that was sent.
        buffer, spare: uint64, room for the crossings of one interval; they grow as needed.
        start_us, time_us: times of the first and the last frame.
    """

    shape: tuple[int, ...]
    level: NDArray[np.int32]
    next_level: NDArray[np.int32]
    rise: NDArray[np.int32]
    crossed: NDArray[np.uint8]
    found: NDArray[np.int32]
    excess: NDArray[np.int32]
    threshold_on: NDArray[np.int32]
    threshold_off: NDArray[np.int32]
    last_event_us: NDArray[np.int64]
    buffer: NDArray[np.uint64]
    spare: NDArray[np.uint64]
    start_us: int
    time_us: int

    @classmethod
    def at_rest(
        cls,
        config: SimulatorConfig,
        shape: tuple[int, ...],
        level: NDArray[np.int32],
        time_us: int,
    ) -> Pixels:
        """Return pixels that have settled on their first frame."""
        on, off = thresholds(config, level.size)
        never = np.full(level.size, time_us - config.refractory_us, np.int64)
        whole = -(-level.size // WORD) * WORD
        return cls(
            shape=shape,
            level=level,
            next_level=np.empty_like(level),
            rise=np.empty_like(level),
            crossed=np.zeros(whole, np.uint8),
            found=np.empty(whole + 1, np.int32),
            excess=np.zeros_like(level),
            threshold_on=on,
            threshold_off=off,
            last_event_us=never,
            buffer=np.empty(level.size, np.uint64),
            spare=np.empty(level.size, np.uint64),
            start_us=time_us,
            time_us=time_us,
        )


def thresholds(config: SimulatorConfig, pixels: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return ON and OFF thresholds ``[pixels]`` in units of 2**-20, with the seed's mismatch."""
    rng = np.random.default_rng([config.seed, 0])
    nominal = np.array([[config.threshold_on], [config.threshold_off]])
    drawn = np.maximum(rng.normal(nominal, config.mismatch, (2, pixels)), THRESHOLD_FLOOR)
    on, off = np.rint(drawn * (1 << LOG_BITS)).astype(np.int32)
    return on, off


def all_crossings(
    pixels: Pixels, *, drift: int, duration_us: int, refractory_us: int
) -> NDArray[np.uint64]:
    """Return crossings of all pixels up to `next_level`, pixel by pixel: a part of the buffer."""
    from . import kernels

    thresholds = (pixels.threshold_on, pixels.threshold_off)
    kernels.rises(
        pixels.level,
        pixels.next_level,
        pixels.excess,
        *thresholds,
        drift,
        pixels.rise,
        pixels.crossed,
    )
    found = pixels.found[
        : kernels.flagged(pixels.crossed, pixels.crossed.view(np.uint64), pixels.found)
    ]
    place, count = 0, 0
    while True:
        place, count = kernels.crossings(
            found,
            pixels.rise,
            pixels.excess,
            *thresholds,
            pixels.shape[1],
            duration_us,
            pixels.time_us,
            refractory_us,
            pixels.last_event_us,
            place,
            pixels.buffer,
            count,
        )
        if place == len(found):
            return pixels.buffer[:count]
        # So that also a pixel with very many events fits at last.
        pixels.buffer = np.concatenate([pixels.buffer, np.empty_like(pixels.buffer)])
        pixels.spare = np.empty_like(pixels.buffer)
