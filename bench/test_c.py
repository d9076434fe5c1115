"""The C files beside the engine on one core, and what they take in memory."""

from __future__ import annotations

import shutil

import pytest
from engine_networks import network, thresholds_at
from harness import Race, Tool

from sdcl_neuro.conversion import to_c

STEPS = 16
COMPILERS = tuple(name for name in ("gcc", "clang") if shutil.which(name))
NETWORKS = (("paper", (64, 32)), ("paper", (128, 64)), ("deep", (128, 64)))

pytestmark = pytest.mark.skipif(not COMPILERS, reason="neither gcc nor clang is installed")


@pytest.mark.benchmark(group="C beside the engine")
@pytest.mark.parametrize("rate", [0.02, 0.10])
@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_c_beside_the_engine(benchmark, book, name, size, rate):
    given = {
        "name": name, "rate": rate, "size": list(size), "cores": 1,
        "thresholds": list(thresholds_at(name, rate, size)),
    }  # fmt: skip
    tools = [Tool("sdcl_neuro", "c_tools:engine", given, calls=5)]
    tools += [
        Tool(f"{compiler} -O2", "c_tools:compiled", {**given, "compiler": compiler}, calls=5)
        for compiler in COMPILERS
    ]
    case = {"network": name, "input": f"{size[0]}x{size[1]}", "spikes": f"{100 * rate:g} %"}
    race = Race("c", case, tools, "ms a step", 1e3 / STEPS, 5, {"OMP_NUM_THREADS": "1"})
    outcome = race.run(benchmark)
    outcome.assert_equal()  # every spike of every layer
    assert all(layer.any() for layer in outcome.results["sdcl_neuro"].values())
    book.add(outcome)


@pytest.mark.benchmark(group="C, bytes")
def test_what_it_takes_in_memory(benchmark, book, tmp_path):
    benchmark.pedantic(lambda: None, rounds=1)
    lines = []
    for name, size in NETWORKS:
        facts = to_c(network(name, 0.1, size=size), tmp_path / "event.c").facts
        lines.append(
            {
                "network": name,
                "input": f"{size[0]}x{size[1]}",
                "weights, bytes": facts["weights_bytes"],
                "state, bytes": facts["state_bytes"],
                "code, bytes": facts["code_bytes"],
                "code from": facts["code_from"],
            }
        )
        assert facts["code_bytes"]
    book.note("c_bytes", lines)
