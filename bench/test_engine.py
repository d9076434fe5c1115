"""The engine beside Lava, the float libraries and the best dense path; how it scales; its memory.

Times are of whole calls (`engine_tools`), but for Lava's table: there both count stepping alone.
Results are compared after timing: with the dense path and Lava exactly, with the float libraries up
to the few neurons within rounding of their threshold.
"""

from __future__ import annotations

import os
from statistics import median

import numpy as np
import pytest
from engine_networks import network, spikes_at, thresholds_at
from engine_tools import write_recording
from harness import HUGE_PAGES, KEPT_PAGES, Race, Tool, peak_of

from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import EnvironmentFault

STEPS = 16
LINEAR = (0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Shares of inputs and neurons that spike."""
FLOATS = {
    "snnTorch": ("engine_peers:snntorch_loop", {}),
    "Norse": ("engine_peers:norse_loop", {}),
    "SpikingJelly multi": ("engine_peers:spikingjelly", {}),
    "SpikingJelly single": ("engine_peers:spikingjelly", {"multi_step": False}),
    "Sinabs": ("engine_peers:sinabs_layers", {}),
}
AGREEMENT = {"paper": 0.02, "deep": 0.5}
"""Spikes of the last layer that may differ from a float library's, as a share of all. One neuron
within rounding of its threshold changes dozens of sums in the next layer, so that after four layers
a third of the spikes differ, though not their number."""
CORES = min(2, len(os.sched_getaffinity(0)))
THREADS = {"OMP_NUM_THREADS": str(CORES)}
# The best setting of each was looked for: kept pages for all of them, huge pages where they help.
ALLOCATOR = {**KEPT_PAGES, **HUGE_PAGES}


def tool(label, function, name, rate, *, size=(128, 64), **more):
    calls = more.pop("calls", 3)
    arguments = {"name": name, "rate": rate, "size": list(size), "cores": CORES, **more}
    arguments["thresholds"] = list(thresholds_at(name, rate, size))
    return Tool(label, function, arguments, calls=calls)


def contest(table, name, rate, *, samples=1, floats=True, rounds=9, **more):
    case = {"network": name, "samples": samples, "spikes": f"{100 * rate:g} %"}
    tools = [tool("sdcl_neuro", "engine_tools:ours", name, rate, samples=samples, **more)]
    tools += [tool("dense", "engine_peers:dense", name, rate, samples=samples, **more)]
    if floats:
        for label, (function, own) in FLOATS.items():
            tools.append(tool(label, function, name, rate, samples=samples, **own, **more))
    return Race(
        table, case, tools, "ms a step and sample", 1e3 / STEPS / samples, rounds,
        {**THREADS, **ALLOCATOR},
    )  # fmt: skip


def check(outcome, name):
    """Exact with the dense path; the float libraries may differ at the threshold."""
    outcome.assert_equal(["dense"])
    (own,) = outcome.results["sdcl_neuro"].values()
    assert own.any()
    shares = {}
    for label in FLOATS:
        if label in outcome.results:
            (other,) = outcome.results[label].values()
            shares[label] = round(float((other != own).sum() / own.sum()), 4)
            assert int(other.sum()) == pytest.approx(int(own.sum()), rel=0.05), label
    assert max(shares.values(), default=0) < AGREEMENT[name], shares
    return shares


@pytest.mark.benchmark(group="engine")
@pytest.mark.parametrize("rate", [0.02, 0.10])
@pytest.mark.parametrize("samples", [1, 8])
@pytest.mark.parametrize("name", ["paper", "deep"])
def test_engine_beside_libraries(benchmark, book, name, samples, rate):
    outcome = contest("engine", name, rate, samples=samples).run(benchmark)
    shares = check(outcome, name)
    best = outcome.best_peer(list(FLOATS))
    book.add(outcome, differing=shares)
    if samples == 1 and name == "paper":
        assert outcome.ratio("snnTorch") >= {0.02: 10, 0.10: 4}[rate]
    if samples == 8:
        assert outcome.ratio(best) >= {0.02: 3, 0.10: 2}[rate], best
    assert outcome.ratio("dense") >= 1, "slower than the dense path"


@pytest.mark.benchmark(group="engine, by spike rate")
@pytest.mark.parametrize("rate", [0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5])
@pytest.mark.parametrize("name", ["paper", "deep"])
def test_never_slower_than_dense(benchmark, book, name, rate):
    outcome = contest("rates", name, rate, floats=False).run(benchmark)
    check(outcome, name)
    net = network(name, rate, thresholds=thresholds_at(name, rate))
    record = run_network(net, spikes_at(rate, steps=STEPS), layers=())
    synops = sum(int(layer.synops.sum()) for layer in record.activity) / STEPS
    book.add(outcome, synops_a_step=round(synops))
    assert outcome.ratio("dense") >= 1


@pytest.mark.benchmark(group="engine, by synaptic operations")
def test_time_is_linear_in_synaptic_operations(benchmark, book):
    """One thread, steps alone; the floor is the update of the neurons in the first cache."""
    tools, synops = [], []
    for rate in LINEAR:
        tools.append(
            tool(
                f"{100 * rate:g} %", "engine_tools:ours_stepping", "paper", rate, cores=1, calls=15
            )
        )
        net = network("paper", rate, thresholds=thresholds_at("paper", rate))
        record = run_network(net, spikes_at(rate, steps=STEPS), layers=())
        synops.append(sum(int(layer.synops.sum()) for layer in record.activity) / STEPS)
    neurons = {"neurons": sum(layer.neurons for layer in net.layers), "steps": STEPS}
    tools.append(Tool("neurons alone", "engine_tools:neurons_alone", neurons, calls=15))
    outcome = Race(
        "linear", {}, tools, "ms a step", 1e3 / STEPS, 9, {"OMP_NUM_THREADS": "1", **ALLOCATOR},
        results=False,
    ).run(benchmark)  # fmt: skip
    times = np.array([median(outcome.rounds[tool.name]) for tool in tools[:-1]])
    floor = median(outcome.rounds["neurons alone"])
    busy = np.array(LINEAR) >= 0.01  # below, neurons at rest are skipped: faster than the line
    slope, silent = np.polyfit(np.array(synops)[busy], times[busy], 1)
    line = slope * np.array(synops) + silent
    book.note("linear", [
        {
            "spikes": label.name, "synaptic operations a step": round(operations),
            "ms a step": round(float(time), 4), "on the line": round(float(fitted), 4),
            "times of the floor": round(float(time / floor), 2),
        }
        for label, operations, time, fitted in zip(tools, synops, times, line, strict=False)
    ])  # fmt: skip
    book.note("constants", [{
        "ns a synaptic operation": round(1e6 * slope, 4), "ms a step at none": round(silent, 4),
        "floor, ms a step": round(floor, 4), "none, times of the floor": round(silent / floor, 2),
    }])  # fmt: skip
    assert np.abs(times / line - 1)[busy].max() < 0.25, (times, line)
    assert (times < 1.25 * line).all(), (times, line)


def scaling(key, value, **more):
    size = more.get("size", (128, 64))
    case = {"what": key, "value": value}
    per = 1e3 / more.get("steps", STEPS) / more.get("samples", 1)
    tools = [tool("sdcl_neuro", "engine_tools:ours", "paper", 0.02, **more)]
    tools.append(tool("dense", "engine_peers:dense", "paper", 0.02, **more))
    tools = [Tool(t.name, t.setup, {**t.arguments, "size": list(size)}) for t in tools]
    return Race("scaling", case, tools, "ms a step and sample", per, 5, {**THREADS, **ALLOCATOR})


@pytest.mark.benchmark(group="engine, scaling")
@pytest.mark.parametrize(
    ("key", "value", "more"),
    [
        *(("size", f"{h}x{w}", {"size": (h, w)}) for h, w in ((64, 32), (256, 128), (480, 640))),
        *(("steps", n, {"steps": n}) for n in (4, 64, 256)),
        *(("samples", n, {"samples": n}) for n in (2, 16)),
        *(("cores", n, {"cores": n}) for n in range(1, CORES + 1)),
    ],
)
def test_scaling(benchmark, book, key, value, more):
    outcome = scaling(key, value, **more).run(benchmark)
    outcome.assert_equal()
    book.add(outcome)


@pytest.mark.lava
@pytest.mark.benchmark(group="engine beside Lava")
@pytest.mark.parametrize("rate", [0.02, 0.10])
def test_engine_beside_lava(benchmark, book, rate):
    from sdcl_neuro.conversion.backends.lava import backend

    net, steps = network("paper", rate, thresholds=thresholds_at("paper", rate)), 8
    try:
        peer = backend.run(net, spikes_at(rate, steps=steps))
    except EnvironmentFault as fault:
        pytest.skip(str(fault))
    tools = [
        tool("sdcl_neuro", "engine_tools:ours_stepping", "paper", rate, calls=21),
        tool("Lava netx", "engine_peers:lava_stepping", "paper", rate, calls=1),
    ]
    cold = Tool(**{**tools[1].__dict__, "cold": True})
    race = Race(
        "lava", {"spikes": f"{100 * rate:g} %"}, [tools[0], cold], "ms a step", 1e3 / STEPS, 3,
        THREADS, results=False,
    )  # fmt: skip
    outcome = race.run(benchmark)
    record = run_network(net, spikes_at(rate, steps=steps))
    for index, spikes in record.spikes.items():
        np.testing.assert_array_equal(spikes, peer.spikes[index])
        assert spikes.any()
    book.add(outcome)
    assert outcome.ratio("Lava netx") >= {0.02: 200, 0.10: 100}[rate]


@pytest.mark.benchmark(group="engine, memory")
def test_memory_of_a_file_depends_on_neither_steps_nor_samples(benchmark, book, tmp_path):
    peaks = {}
    for steps, samples in ((500, 1), (10_000, 1), (16, 50), (16, 1000)):
        write_recording(steps, samples, str(tmp_path))
        arguments = {"steps": steps, "samples": samples, "folder": str(tmp_path)}
        peaks[steps, samples] = round(peak_of("engine_tools:file_to_file", arguments, THREADS))
    benchmark.pedantic(lambda: None, rounds=1)
    book.note("memory", [
        {"steps": steps, "samples": samples, "peak MiB": peak}
        for (steps, samples), peak in peaks.items()
    ])  # fmt: skip
    assert peaks[10_000, 1] <= 1.1 * peaks[500, 1]
    assert peaks[16, 1000] <= 1.1 * peaks[16, 50]
