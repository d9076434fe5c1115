"""The engine, training and the hybrid on a GPU, beside their peers there.

Never run on a GPU so far (docs/gpu.md): `make gpu` runs these where there is one.
"""

from __future__ import annotations

from importlib.util import find_spec
from statistics import median

import pytest
import torch
from gpu_tools import spikingjelly_backends
from harness import Race, Tool
from results import Book

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]
NETWORKS = ("paper", "deep")
ROUNDS = 5
RATE = 0.1


def peers(task: dict[str, object], module: str) -> list[Tool]:
    """snnTorch's loop and SpikingJelly with every backend that is installed."""
    found = []
    if find_spec("snntorch") is not None:
        found.append(Tool("snnTorch loop", f"{module}:snntorch", task))
    for backend in spikingjelly_backends():
        arguments = {**task, **backend.arguments}
        name = f"SpikingJelly {backend.name}"
        found.append(Tool(name, f"{module}:spikingjelly", arguments, env=backend.env))
    return found


@pytest.mark.parametrize("network", NETWORKS)
def test_engine_on_a_gpu(benchmark, book: Book, network: str) -> None:
    task = {"network": network, "rate": RATE}
    tools = [Tool("sdcl_neuro", "gpu_tools:engine", task), *peers(task, "gpu_tools")]
    outcome = Race("engine_gpu", {"network": network, "input": "10 %"}, tools, rounds=ROUNDS).run(
        benchmark
    )
    fired = {name: float(found["fired"]) for name, found in outcome.results.items()}
    assert min(fired.values()) > 0.8 * max(fired.values()), fired
    book.add(outcome)


@pytest.mark.parametrize("network", NETWORKS)
def test_training_step_on_a_gpu(benchmark, book: Book, network: str) -> None:
    task = {"network": network, "rate": RATE, "device": "cuda"}
    tools = [
        Tool("sdcl_neuro", "training_tools:ours", task),
        Tool("in integers", "training_tools:ours", {**task, "mode": "int"}),
        *peers(task, "training_tools"),
    ]
    case = {"network": network, "input": "10 %"}
    outcome = Race("training_gpu", case, tools, rounds=ROUNDS).run(benchmark)
    if "snnTorch loop" in outcome.rounds:
        outcome.assert_equal(["snnTorch loop"], rtol=1e-3, atol=1e-1)
    book.add(outcome)
    print({name: round(median(values), 2) for name, values in outcome.rounds.items()})


@pytest.mark.parametrize("batch", [1, 8])
def test_hybrid_on_a_gpu(benchmark, book: Book, batch: int) -> None:
    task = {"backbone": "osnet_x0_25", "count": 32, "batch": batch}
    tools = [
        Tool("sdcl_neuro", "gpu_tools:hybrid", task),
        Tool("without CUDA graphs", "gpu_tools:hybrid", {**task, "graphs": False}),
        Tool("on the CPU", "gpu_tools:hybrid", {**task, "device": "cpu"}),
    ]
    outcome = Race(
        "hybrid_gpu", {"frame branch": "osnet_x0_25", "batch": batch}, tools,
        unit="ms a tracklet", per=1e3 / 32, rounds=ROUNDS,
    ).run(benchmark)  # fmt: skip
    outcome.assert_equal(["without CUDA graphs"], rtol=1e-2, atol=1e-3)
    book.add(outcome)
