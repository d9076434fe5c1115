"""Simulator and encoding, each beside a NumPy twin that must give the same result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sdcl_neuro.events import EVENT_DTYPE, Events, SimulatorConfig, encode, simulate
from sdcl_neuro.events.light import linear_of_srgb, log_levels
from sdcl_neuro.events.pixels import thresholds

FRAMES, HEIGHT, WIDTH = 100, 260, 346
CONFIG = SimulatorConfig(refractory_us=0, seed=1)


@pytest.fixture(scope="module")
def frames() -> NDArray[np.uint8]:
    """A bright disc that moves over a textured ground: about 2 events per 100 pixels a frame."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 120, (HEIGHT, WIDTH))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    disc = [(rows - 130) ** 2 + (columns - 60 - 2 * f) ** 2 < 900 for f in range(FRAMES)]
    return np.where(disc, 200, ground).astype(np.uint8)


@pytest.fixture(scope="module")
def times() -> NDArray[np.int64]:
    return np.arange(FRAMES, dtype=np.int64) * 10_000


def numpy_simulate(frames: NDArray[np.uint8], times: NDArray[np.int64]) -> Events:
    """The same model, one whole picture at a time."""
    levels = log_levels(CONFIG.log_eps)[linear_of_srgb()].astype(np.int64)
    on, off = (v.astype(np.int64) for v in thresholds(CONFIG, HEIGHT * WIDTH))
    before, excess = levels[frames[0]].ravel(), np.zeros(HEIGHT * WIDTH, np.int64)
    parts = []
    for frame, t0, t1 in zip(frames[1:], times[:-1], times[1:], strict=True):
        after = levels[frame].ravel()
        rise = after - before
        end = excess + rise
        sign = np.where(end >= 0, 1, -1)
        step = np.where(end >= 0, on, off)
        number = sign * end // step
        for k in range(1, int(number.max()) + 1):
            pixel = np.flatnonzero(number >= k)
            share = k * step[pixel] - sign[pixel] * excess[pixel]
            slope = sign[pixel] * rise[pixel]
            part = np.empty(len(pixel), EVENT_DTYPE)
            part["t"] = t0 - (-(t1 - t0) * share // slope)
            part["y"], part["x"] = np.divmod(pixel, WIDTH)
            part["p"] = sign[pixel] > 0
            parts.append(part)
        excess, before = end - sign * number * step, after
    array = np.concatenate(parts)
    order = np.lexsort((array["x"], array["y"], array["t"]))
    return Events(array[order], WIDTH, HEIGHT)


def numpy_encode(events: Events, times: NDArray[np.int64], bins: int) -> NDArray[np.uint8]:
    frame = np.searchsorted(times, events.array["t"], side="left")
    length = np.diff(times, prepend=0)[frame]
    since = events.array["t"] - times[frame - 1]
    spikes = np.zeros((len(times) * bins, 2, events.height, events.width), np.uint8)
    step = frame * bins + (since * bins - 1) // length
    spikes[step, events.array["p"], events.array["y"], events.array["x"]] = 1
    return spikes


@pytest.mark.parametrize("run", [simulate, numpy_simulate], ids=["ours", "numpy"])
def test_simulate(
    benchmark: Any, run: Any, frames: NDArray[np.uint8], times: NDArray[np.int64]
) -> None:
    arguments = (frames, times, CONFIG) if run is simulate else (frames, times)
    events = benchmark.pedantic(run, args=arguments, rounds=3, warmup_rounds=1)
    benchmark.extra_info["frames_per_second"] = FRAMES / benchmark.stats.stats.min
    assert events == numpy_simulate(frames, times)


@pytest.mark.parametrize("name", ["ours", "numpy"])
def test_encode(
    benchmark: Any, name: str, frames: NDArray[np.uint8], times: NDArray[np.int64]
) -> None:
    events = simulate(frames, times, CONFIG)

    def ours() -> NDArray[np.uint8]:
        return encode(events, frame_times_us=times, bins=2)

    def numpy() -> NDArray[np.uint8]:
        return numpy_encode(events, times, 2)

    spikes = benchmark.pedantic({"ours": ours, "numpy": numpy}[name], rounds=3, warmup_rounds=1)
    np.testing.assert_array_equal(spikes, numpy())
