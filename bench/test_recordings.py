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

STEPS = 32
LEAST = {
    "camera 320x240": (35, 3),
    "camera 640x480": (35, 3),
    "camera 1280x720": (20, 1),
}
"""On the paper's network: times snnTorch, times dense."""
REAL_TIME_S = 1e-3
PEERS = {"SpikingJelly": "spikingjelly", "Sinabs": "sinabs", "Norse": "norse"}


@pytest.mark.benchmark(group="recordings")
@pytest.mark.parametrize("name", ["paper", "deep"])
@pytest.mark.parametrize("recording", [recording_tools.CLIP, *recording_tools.RECORDINGS])
def test_recordings(benchmark, book, recording, name):
    if recording not in recording_tools.available():
        pytest.skip("no such recording: name their folder in SDCL_NEURO_DATA")
    thresholds = list(recording_tools.thresholds_on(recording, name, STEPS))
    spikes, events = recording_tools.recorded(recording, STEPS)
    arguments = {
        "name": name, "rate": 0.0, "recording": recording, "thresholds": thresholds,
        "steps": STEPS, "cores": 1,
    }  # fmt: skip
    tools = [
        Tool(label, f"engine_tools:{function}", {**arguments, **own})
        for label, (function, own) in {
            "sdcl_neuro": ("ours", {}), "dense": ("dense", {}), **FLOATS,
        }.items()
        if find_spec(PEERS.get(label.split()[0], "numpy")) is not None
    ]  # fmt: skip
    share = f"{100 * float(spikes.mean()):.2g} %"
    outcome = Race(
        "recordings",
        {"recording": recording, "network": name, "spikes": share},
        tools, "ms a step", 1e3 / STEPS, 7,
        {"OMP_NUM_THREADS": "1", **KEPT_PAGES, **HUGE_PAGES},
    ).run(benchmark)  # fmt: skip
    outcome.assert_equal(["dense"])
    (own,) = outcome.results["sdcl_neuro"].values()
    assert own.any()
    net = network(name, 0.0, size=tuple(spikes.shape[3:]), thresholds=thresholds)
    reference = run_network(net, spikes, path="reference", layers=[len(net.layers) - 1])
    np.testing.assert_array_equal(own, reference.spikes[len(net.layers) - 1])
    step_s = median(outcome.rounds["sdcl_neuro"]) / 1e3
    book.add(
        outcome,
        million_events_a_second=round(events / STEPS / step_s / 1e6, 3),
        times_real_time=round(REAL_TIME_S / step_s, 2),
    )
    if name == "paper" and recording in LEAST:
        library, dense = LEAST[recording]
        assert outcome.ratio("snnTorch") >= library
        assert outcome.ratio("dense") >= dense
    if name == "paper" and recording == "camera 640x480":
        assert step_s <= REAL_TIME_S, "VGA is not followed live"
