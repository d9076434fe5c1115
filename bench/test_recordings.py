"""The engine on real recordings, where most of the picture is quiet most of the time.

One sample, one core, whole calls. Results are compared after timing: exactly with the dense path,
with the float libraries up to neurons within rounding of their threshold.
"""

from __future__ import annotations

from importlib.util import find_spec
from statistics import median

import numpy as np
import pytest
import recording_tools
from engine_networks import network
from harness import HUGE_PAGES, KEPT_PAGES, Race, Tool
from test_engine import FLOATS

from sdcl_neuro.engine import run_network

SMALL, MIDDLE = 320 * 240, 640 * 480
"""Pixels up to which all libraries run, and up to which there are 16 steps; beyond, 8."""
LEAST = {
    "camera 320x240": (35, 3),
    "camera 640x480": (35, 3),
    "camera 1280x720": (20, 3),
}
"""On the paper's network: times snnTorch, times dense."""
STEP_S = 1e-3
SLOWEST_S = 1.25e-3
"""A step of the paper's network at 640x480. Within `STEP_S` it is followed live, which it is by
little on a quiet machine (docs/bench.md)."""
REFERENCE_STEPS = 3
"""Steps of a large picture that are compared with the reference, which takes seconds for each; all
steps are compared with the dense path."""
PEERS = {"SpikingJelly": "spikingjelly", "Sinabs": "sinabs", "Norse": "norse"}


def effort(pixels: int) -> tuple[int, int]:
    """Steps and rounds: libraries keep all steps of a layer, gigabytes for a large picture."""
    if pixels <= SMALL:
        return 32, 4
    return (16, 4) if pixels <= MIDDLE else (8, 3)


@pytest.mark.benchmark(group="recordings")
@pytest.mark.parametrize("name", ["paper", "deep"])
@pytest.mark.parametrize("recording", [recording_tools.CLIP, *recording_tools.RECORDINGS])
def test_recordings(benchmark, book, recording, name):
    if recording not in recording_tools.available():
        pytest.skip("no such recording: name their folder in SDCL_NEURO_DATA")
    pixels = recording_tools.pixels_of(recording)
    steps, rounds = effort(pixels)
    thresholds = list(recording_tools.thresholds_on(recording, name, steps))
    spikes, events = recording_tools.recorded(recording, steps)
    few = {label: FLOATS[label] for label in ("snnTorch", "SpikingJelly multi")}
    peers = {"snnTorch": few["snnTorch"]}
    if pixels <= SMALL:
        peers = FLOATS if name == "paper" else few
    arguments = {
        "name": name, "rate": 0.0, "recording": recording, "thresholds": thresholds,
        "steps": steps, "cores": 1,
    }  # fmt: skip
    tools = [
        Tool(label, function, {**arguments, **own}, calls=1)
        for label, (function, own) in {
            "sdcl_neuro": ("engine_tools:ours", {}), "dense": ("engine_peers:dense", {}), **peers,
        }.items()
        if find_spec(PEERS.get(label.split()[0], "numpy")) is not None
    ]  # fmt: skip
    share = f"{100 * float(spikes.mean()):.2g} %"
    outcome = Race(
        "recordings",
        {"recording": recording, "network": name, "spikes": share},
        tools, "ms a step", 1e3 / steps, rounds,
        {"OMP_NUM_THREADS": "1", **KEPT_PAGES, **HUGE_PAGES},
    ).run(benchmark)  # fmt: skip
    outcome.assert_equal(["dense"])
    (own,) = outcome.results["sdcl_neuro"].values()
    assert own.any()
    net = network(name, 0.0, size=tuple(spikes.shape[3:]), thresholds=thresholds)
    checked = steps if pixels <= SMALL else REFERENCE_STEPS
    reference = run_network(net, spikes[:checked], path="reference", layers=[len(net.layers) - 1])
    np.testing.assert_array_equal(own[:checked], reference.spikes[len(net.layers) - 1])
    step_s = median(outcome.rounds["sdcl_neuro"]) / 1e3
    book.add(
        outcome,
        million_events_a_second=round(events / steps / step_s / 1e6, 3),
        times_real_time=round(STEP_S / step_s, 2),
    )
    if name == "paper" and recording in LEAST:
        library, dense = LEAST[recording]
        assert outcome.ratio("snnTorch") >= library
        assert outcome.ratio("dense") >= dense
    if name == "paper" and recording == "camera 640x480":
        assert step_s <= SLOWEST_S
