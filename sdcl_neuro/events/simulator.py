"""From frames to events by the log-intensity threshold model.

The model of ESIM (Rebecq et al., CoRL 2018, Section 3) and v2e (Hu et al., CVPRW 2021, Section 3):
a pixel sends an ON or OFF event whenever its log intensity has risen or fallen by its threshold
since the last one; between two frames the log intensity runs in a straight line, so each crossing
has a time of its own. Everything after the tables is integer arithmetic (log intensity in units of
2**-20), so a seed gives the same events on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.network.arguments import public

from .array import EVENT_DTYPE, SENSOR_MAX, Events, unchecked
from .encoding import frame_times
from .light import LINEAR_MAX, LOG_BITS, LUMINANCE, linear_intensity, linear_of_srgb, log_levels
from .pixels import Pixels, all_crossings
from .pixels import SimulatorConfig as SimulatorConfig

# Shot noise falls with intensity to this part of its rate at full white (v2e's factor).
NOISE_AT_WHITE = 0.25
# Times since the last frame have 31 bits in the simulator's keys.
DURATION_LIMIT_US = 1 << 31
NOISE_LIMIT = 1e9
FIRST_ROOM = 1 << 16


@public
def simulate(
    frames: NDArray[np.uint8], times_us: ArrayLike, config: SimulatorConfig | None = None
) -> Events:
    """Return events that a camera would have sent while it saw these frames.

    Args:
        frames: uint8 ``[F, H, W]`` (grey) or ``[F, H, W, 3]`` (RGB), sRGB-coded.
        times_us: ``[F]`` integers in microseconds, strictly ascending.
        config: the pixel; `SimulatorConfig()` if left out.

    Returns:
        Events with times in ``(times_us[0], times_us[-1]]``: the first frame sets the level. Those
        of one microsecond lie in raster order.

    Raises:
        InputError: frames of another type or shape, or times that do not ascend.
    """
    from . import kernels

    times = frame_times(times_us)
    if frames.ndim not in (3, 4) or len(frames) != len(times):
        raise InputError(
            f"frames of shape {frames.shape} with {number_of(len(times), 'frame time')}",
            hint="give frames [F, H, W] or [F, H, W, 3], and one time for each",
        )
    simulator = Simulator(config or SimulatorConfig())
    events, count = np.empty(FIRST_ROOM, EVENT_DTYPE), 0
    for frame, time in zip(frames, times, strict=True):
        keys, start_us = simulator.keys(frame, int(time))
        if count + len(keys) > len(events):
            # Nothing else refers to it: the array may move.
            events.resize(2 * (count + len(keys)), refcheck=False)
        kernels.unpack(keys, start_us, events[count : count + len(keys)])
        count += len(keys)
    events.resize(count, refcheck=False)
    return unchecked(events, frames.shape[2], frames.shape[1], "simulated")


class Simulator:
    """The same, frame by frame: for streams longer than memory."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self._noise = np.random.default_rng([config.seed, 1])
        linear = linear_of_srgb()
        self._level_of = log_levels(config.log_eps)
        self._level_of_grey = self._level_of[linear]
        self._shares = np.outer(LUMINANCE, linear.astype(np.int64))
        self._pixels: Pixels | None = None

    def advance(self, frame: NDArray[np.uint8], time_us: int) -> NDArray[Any]:
        """Take the next frame, uint8 ``[H, W]`` or RGB ``[H, W, 3]``; return the events since.

        Returns:
            Array of `EVENT_DTYPE`, in order of time, all in ``(previous time, time_us]``.
        """
        from . import kernels

        keys, start_us = self.keys(frame, time_us)
        events = np.empty(len(keys), EVENT_DTYPE)
        kernels.unpack(keys, start_us, events)
        return events

    def keys(self, frame: NDArray[np.uint8], time_us: int) -> tuple[NDArray[np.uint64], int]:
        """Return the same as keys in order (see `kernels`), and the time that their offsets count
        from.

        The array is ours and lasts until the next frame.
        """
        _check_frame(frame)
        pixels = self._pixels
        if pixels is None:
            level = self._levels(frame, np.empty(frame.shape[0] * frame.shape[1], np.int32))
            self._pixels = Pixels.at_rest(self.config, frame.shape, level, time_us)
            return np.empty(0, np.uint64), time_us
        duration = self._duration(pixels, frame, time_us)
        drift = self._drift(pixels, time_us)
        self._levels(frame, pixels.next_level)
        noisy = self.config.shot_noise_hz > 0
        keys = all_crossings(
            pixels,
            drift=drift,
            duration_us=duration,
            refractory_us=0 if noisy else self.config.refractory_us,
        )
        ordered = (
            self._with_noise(pixels, keys, frame, duration)
            if noisy
            else _ordered(keys, pixels.spare, duration)
        )
        start_us, pixels.time_us = pixels.time_us, time_us
        pixels.level, pixels.next_level = pixels.next_level, pixels.level
        return ordered, start_us

    def _with_noise(
        self, pixels: Pixels, keys: NDArray[np.uint64], frame: NDArray[np.uint8], duration: int
    ) -> NDArray[np.uint64]:
        """Return crossings and noise in order; noise makes a pixel deaf as its own events do."""
        from . import kernels

        both = np.sort(np.concatenate([keys, self._shot_noise(frame, duration)]))
        wait = self.config.refractory_us
        if not wait:
            return both
        keep = kernels.outside_refractory(
            both, frame.shape[1], pixels.time_us, wait, pixels.last_event_us
        )
        kept: NDArray[np.uint64] = both[keep]
        return kept

    def _levels(self, frame: NDArray[np.uint8], level: NDArray[np.int32]) -> NDArray[np.int32]:
        from . import kernels

        if frame.ndim == 2:
            kernels.grey_levels(frame.reshape(-1), self._level_of_grey, level)
        else:
            kernels.colour_levels(frame.reshape(-1, 3), self._shares, self._level_of, level)
        return level

    def _duration(self, pixels: Pixels, frame: NDArray[np.uint8], time_us: int) -> int:
        if frame.shape != pixels.shape:
            raise InputError(
                f"a frame of shape {frame.shape} after one of {pixels.shape}",
                hint="give frames of one size and colour",
            )
        duration = time_us - pixels.time_us
        if not 0 < duration < DURATION_LIMIT_US:
            raise InputError(
                f"a frame at {time_us} us after one at {pixels.time_us} us",
                hint=f"give ascending times, less than {DURATION_LIMIT_US} us apart",
            )
        return duration

    def _drift(self, pixels: Pixels, time_us: int) -> int:
        """Return level gained by leaking since the last frame; the sum over frames does not
        round.
        """
        per_second = round(self.config.leak_hz * self.config.threshold_on * (1 << LOG_BITS))
        before, after = (
            per_second * (t - pixels.start_us) // 1_000_000 for t in (pixels.time_us, time_us)
        )
        if after - before >= 1 << 30:
            raise InputError(
                f"a leak of {self.config.leak_hz} Hz is too much for frames "
                f"{time_us - pixels.time_us} us apart",
                hint="lower leak_hz or give more frames",
            )
        return after - before

    def _shot_noise(self, frame: NDArray[np.uint8], duration_us: int) -> NDArray[np.uint64]:
        """Return a Poisson process per pixel, thinned where it is bright."""
        from .kernels import OFFSET_SHIFT, PIXEL_SHIFT, ROW_SHIFT

        linear = linear_intensity(frame).reshape(-1)
        mean = self.config.shot_noise_hz * linear.size * duration_us / 1e6
        if mean > NOISE_LIMIT:
            raise InputError(
                f"about {mean:.3g} noise events between two frames",
                hint="lower shot_noise_hz or give more frames",
            )
        number = int(self._noise.poisson(mean))
        pixel = self._noise.integers(0, linear.size, number)
        offset = self._noise.integers(1, duration_us, number, endpoint=True)
        polarity = self._noise.integers(0, 2, number)
        chance = 1.0 - (1.0 - NOISE_AT_WHITE) * linear[pixel] / LINEAR_MAX
        keep = self._noise.random(number) < chance
        y, x = np.divmod(pixel, frame.shape[1])
        keys = (offset << OFFSET_SHIFT) | (y << ROW_SHIFT) | (x << PIXEL_SHIFT) | polarity
        return keys[keep].astype(np.uint64)


def _ordered(
    keys: NDArray[np.uint64], spare: NDArray[np.uint64], duration_us: int
) -> NDArray[np.uint64]:
    from . import kernels

    spare = spare[: len(keys)]
    return spare if kernels.order_by_offset(keys, spare, duration_us) else keys


def _check_frame(frame: NDArray[np.uint8]) -> None:
    colour = frame.ndim == 3 and frame.shape[2] == 3
    if frame.dtype != np.uint8 or not (frame.ndim == 2 or colour) or 0 in frame.shape:
        raise InputError(
            f"a frame of {frame.dtype} and shape {frame.shape}",
            hint="give uint8 [H, W] or [H, W, 3] in RGB",
        )
    if max(frame.shape[:2]) > SENSOR_MAX:
        raise InputError(f"a frame of shape {frame.shape}", hint=f"at most {SENSOR_MAX} a side")
