"""Real events for the engine's benches: camera recordings, and the packaged clip's.

The recordings lie in the folder that SDCL_NEURO_DATA names (default ../shared/data beside the
checkout); none is shipped.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from engine_networks import DECAY, network
from numpy.typing import NDArray

from sdcl_neuro.engine import run_network
from sdcl_neuro.events import Events, encode, read_events, simulate
from sdcl_neuro.network.spec import IntNetwork, IntNeuron

STEP_US = 1_000
RECORDINGS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "camera 320x240": ("faery_dvs.es", {}),
    "camera 640x480": ("faery_evt2.raw", {"sensor": (640, 480)}),
    "camera 1280x720": ("expelliarmus_evt3_sample.raw", {"sensor": (1280, 720)}),
}
"""File in the folder ``events``, and what its header does not state."""
CLIP = "packaged clip"
HIGHEST = 1 << 12
"""Highest threshold that the calibration tries."""


def folder() -> Path:
    """Where recordings lie; it may be absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("SDCL_NEURO_DATA", default)) / "events"


def available() -> list[str]:
    """Names of what can be had here."""
    return [CLIP, *(name for name, (file, _) in RECORDINGS.items() if (folder() / file).is_file())]


def pixels_of(name: str) -> int:
    """Pixels of the sensor, or of the clip's pictures."""
    spikes, _ = recorded(name, 2)
    return int(spikes.shape[3] * spikes.shape[4])


@lru_cache(2)
def recorded(name: str, steps: int) -> tuple[NDArray[np.uint8], int]:
    """Spikes uint8 ``[steps, 1, 2, H, W]`` of a recording's middle, and events in them.

    Steps are of a millisecond; of the clip they are its frames, whose events are simulated.
    """
    if name == CLIP:
        events, times = _clip(steps)
    else:
        file, stated = RECORDINGS[name]
        events = read_events(folder() / file, **stated)
        stamps = events.array["t"]
        middle = int(stamps[len(stamps) // 2]) - steps * STEP_US // 2
        times = middle + STEP_US * np.arange(1, steps + 1)
    start = int(times[0] - (times[1] - times[0]))
    spikes = encode(events, frame_times_us=times, bins=1, start_us=start)
    seen = np.count_nonzero((events.array["t"] > start) & (events.array["t"] <= times[-1]))
    return np.ascontiguousarray(spikes[:, None]), int(seen)


def _clip(steps: int) -> tuple[Events, NDArray[np.int64]]:
    from sdcl_neuro.demo import clip_path
    from sdcl_neuro.events.tracklets import Video

    frames = [frame for _, _, frame in Video(clip_path())][: steps + 1]
    times = 40_000 * np.arange(1, len(frames) + 1)
    return simulate(np.stack(frames), times), times[1:]


@lru_cache(8)
def thresholds_on(name: str, of: str, steps: int) -> tuple[int, ...]:
    """Thresholds at which the layers of network `of` fire at the recording's own rate."""
    spikes, _ = recorded(name, steps)
    size = spikes.shape[3:]
    rate = max(float(spikes.mean()), 1e-4)
    net = network(of, rate, size=size, thresholds=[HIGHEST] * 4)
    for index in range(len(net.layers)):
        low, high = 0, HIGHEST
        while high - low > 1:
            middle = (low + high) // 2
            net = _with_threshold(net, index, middle)
            part = replace(net, layers=net.layers[: index + 1])
            fired = run_network(part, spikes[:12], layers=()).activity[index]
            share = int(fired.spikes_out.sum()) / int(fired.updates.sum())
            low, high = (middle, high) if share > rate else (low, middle)
        net = _with_threshold(net, index, high)
    return tuple(layer.neuron.threshold for layer in net.layers)


def _with_threshold(net: IntNetwork, index: int, threshold: int) -> IntNetwork:
    layer = replace(net.layers[index], neuron=IntNeuron(4096, DECAY, threshold))
    return replace(net, layers=(*net.layers[:index], layer, *net.layers[index + 1 :]))


def case(recording: str, name: str, thresholds: Any, steps: int) -> tuple[IntNetwork, Any]:
    """The network and its input."""
    spikes, _ = recorded(recording, steps)
    return network(name, 0.0, size=tuple(spikes.shape[3:]), thresholds=thresholds), spikes
