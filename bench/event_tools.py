"""Tools of test_events.py: each function sets up one of them and returns what is timed."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from threading import Thread
from time import perf_counter
from typing import Any

import numba
import numpy as np
from harness import Timed
from numpy.typing import NDArray

from sdcl_neuro.events import EVENT_DTYPE, Events, Simulator, SimulatorConfig, encode, simulate
from sdcl_neuro.events.light import linear_of_srgb, log_levels
from sdcl_neuro.events.pixels import thresholds

EVENTS, STEPS, STEP_US = 10_000_000, 16, 62_500
FRAMES, HEIGHT, WIDTH, FRAME_US = 100, 260, 346, 10_000
Call = Callable[[], Any]


def recording(width: int, height: int) -> NDArray[Any]:
    """Ten million events, evenly random, over sixteen steps."""
    rng = np.random.default_rng(0)
    array = np.empty(EVENTS, EVENT_DTYPE)
    array["t"] = np.sort(rng.integers(0, STEPS * STEP_US, EVENTS))
    array["t"][[0, -1]] = 0, STEPS * STEP_US  # tonic's time bins run from the first to the last
    array["x"], array["y"] = rng.integers(0, width, EVENTS), rng.integers(0, height, EVENTS)
    array["p"] = rng.integers(0, 2, EVENTS)
    return array


def ours(*, width: int, height: int, binary: bool, reuse: bool = True) -> Call:
    events = Events(recording(width, height), width, height)
    times = np.arange(1, STEPS + 1) * STEP_US - 1
    out = np.empty((STEPS, 2, height, width), np.uint8) if reuse else None
    return lambda: encode(events, frame_times_us=times, bins=1, start_us=-1, binary=binary, out=out)


def tonic(*, width: int, height: int) -> Call:
    # The package's own start imports data sets that want five more libraries; its parts do not.
    spec = importlib.util.find_spec("tonic")
    assert spec is not None
    package = types.ModuleType("tonic")
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules["tonic"] = package
    package.functional = importlib.import_module("tonic.functional")  # type: ignore[attr-defined]
    transforms = importlib.import_module("tonic.transforms")
    array = recording(width, height)
    to_frame = transforms.ToFrame(sensor_size=(width, height, 2), n_time_bins=STEPS)
    return lambda: to_frame(array)


def bincount(*, width: int, height: int) -> Call:
    """NumPy at its best: one count over all cells."""
    array = recording(width, height)
    cells = STEPS * 2 * height * width

    def call() -> NDArray[np.int64]:
        place = array["t"] // STEP_US
        for name, extent in (("p", 2), ("y", height), ("x", width)):
            place = place * extent + array[name]
        return np.bincount(place[place < cells], minlength=cells).reshape(STEPS, 2, height, width)

    return call


def memory(*, width: int, height: int) -> Call:
    """No tool: reads the same array once on two threads and does nothing with it."""
    array = recording(width, height)
    words = array.view(np.uint8)[: array.nbytes // 8 * 8].view(np.uint64)
    half = len(words) // 2

    def call() -> NDArray[np.uint64]:
        found = np.zeros(2, np.uint64)

        def work(i: int, part: NDArray[np.uint64]) -> None:
            found[i] = total(part)

        other = Thread(target=work, args=(1, words[half:]))
        other.start()
        work(0, words[:half])
        other.join()
        return found

    return call


@numba.njit(cache=True, nogil=True)
def total(words: NDArray[np.uint64]) -> int:
    found = np.uint64(0)
    for i in range(words.size):
        found += words[i]
    return found


def film() -> NDArray[np.uint8]:
    """A smooth texture that drifts, with a little camera noise: 8,600 events a frame."""
    import cv2

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (HEIGHT // 8 + 12, WIDTH // 8 + 12)).astype(np.float32)
    texture = cv2.GaussianBlur(
        cv2.resize(coarse, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC), (0, 0), 3
    )
    texture = (texture - texture.min()) / (texture.max() - texture.min()) * 160 + 60
    frames = []
    for f in range(FRAMES):
        shift = np.array([[1, 0, -0.4 * f], [0, 1, -0.12 * f]], np.float32)
        seen = cv2.warpAffine(texture, shift, (WIDTH, HEIGHT))
        frames.append(np.clip(seen + rng.normal(0, 0.8, seen.shape), 0, 255).astype(np.uint8))
    return np.stack(frames)


def times() -> NDArray[np.int64]:
    return np.arange(FRAMES, dtype=np.int64) * FRAME_US


def config(refractory_us: int) -> SimulatorConfig:
    return SimulatorConfig(refractory_us=refractory_us, seed=1)


def columns(array: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """By time, then in raster order."""
    order = np.lexsort((array["x"], array["y"], array["t"]))
    return {name: array[name][order] for name in "txyp"}


def simulator(*, refractory_us: int = 0) -> Call:
    """Frame by frame, as a stream is simulated."""
    frames, clock = film(), times()

    def call() -> Timed:
        ours = Simulator(config(refractory_us))
        began = perf_counter()
        parts = [ours.advance(frame, int(t)) for frame, t in zip(frames, clock, strict=True)]
        seconds = perf_counter() - began
        made = np.concatenate(parts)
        assert (np.diff(made["t"]) >= 0).all()
        return Timed(seconds, columns(made))

    return call


def whole_film(*, refractory_us: int = 0) -> Call:
    frames, clock = film(), times()

    def call() -> Timed:
        began = perf_counter()
        events = simulate(frames, clock, config(refractory_us))
        return Timed(perf_counter() - began, columns(events.array))

    return call


@numba.njit(cache=True, nogil=True)
def unordered(frames, times, table, on, off, t, x, y, p):  # type: ignore[no-untyped-def]
    """The simulator's model as one would write it down: pixel by pixel, no order in time."""
    height, width, count = frames.shape[1], frames.shape[2], 0
    excess = np.zeros(height * width, np.int64)
    for f in range(1, len(frames)):
        duration = times[f] - times[f - 1]
        for row in range(height):
            for column in range(width):
                i = row * width + column
                rise = np.int64(table[frames[f, row, column]]) - table[frames[f - 1, row, column]]
                if rise == 0:
                    continue
                start, end = excess[i], excess[i] + rise
                if end >= on[i]:
                    step, sign, polarity = np.int64(on[i]), 1, 1
                elif -end >= off[i]:
                    step, sign, polarity = np.int64(off[i]), -1, 0
                else:
                    excess[i] = end
                    continue
                start, end, rise = sign * start, sign * end, sign * rise
                number = end // step
                for k in range(1, number + 1):
                    # Rounded up, as the simulator's.
                    t[count] = times[f - 1] + (duration * (k * step - start) + rise - 1) // rise
                    x[count], y[count], p[count] = column, row, polarity
                    count += 1
                excess[i] = sign * (end - number * step)
    return count


def plain_loop() -> Call:
    frames, clock = film(), times()
    chosen = config(0)
    table = log_levels(chosen.log_eps)[linear_of_srgb()]
    on, off = thresholds(chosen, HEIGHT * WIDTH)
    room = 4 * FRAMES * HEIGHT * WIDTH // 10
    made = {
        "t": np.empty(room, np.int64), "x": np.empty(room, np.uint16),
        "y": np.empty(room, np.uint16), "p": np.empty(room, np.uint8),
    }  # fmt: skip

    def call() -> Timed:
        began = perf_counter()
        count = unordered(frames, clock, table, on, off, *made.values())
        seconds = perf_counter() - began
        array = np.empty(count, EVENT_DTYPE)
        for name, values in made.items():
            array[name] = values[:count]
        return Timed(seconds, columns(array))

    return call
