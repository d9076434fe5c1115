"""The chain of a residual network beside the same network computed as a graph."""

from __future__ import annotations

import os

import pytest
from graph_tools import thresholds_at
from harness import HUGE_PAGES, KEPT_PAGES, Race, Tool

STEPS = 16
CORES = min(2, len(os.sched_getaffinity(0)))
ENV = {"OMP_NUM_THREADS": str(CORES), **KEPT_PAGES, **HUGE_PAGES}
ROUNDS = {1: 9, 8: 5}
"""By the number of samples: snnTorch's loop takes most of a bench of about two minutes."""
TOOLS = {"sdcl_neuro": "ours", "dense": "dense", "snnTorch": "snntorch_loop"}


def contest(rate, samples):
    case = {"network": "residual", "samples": samples, "spikes": f"{100 * rate:g} %"}
    given = {"rate": rate, "thresholds": list(thresholds_at(rate)), "samples": samples}
    tools = [
        Tool(label, f"graph_tools:{function}", {**given, "cores": CORES}, calls=3)
        for label, function in TOOLS.items()
    ]
    per = 1e3 / STEPS / samples
    return Race("graphs", case, tools, "ms a step and sample", per, ROUNDS[samples], ENV)


@pytest.mark.benchmark(group="graphs")
@pytest.mark.parametrize("rate", [0.005, 0.02, 0.05])
@pytest.mark.parametrize("samples", list(ROUNDS))
def test_a_residual_chain_beside_its_graph(benchmark, book, samples, rate):
    outcome = contest(rate, samples).run(benchmark)
    outcome.assert_equal(["dense"])
    own, other = (outcome.results[name]["lif5"] for name in ("sdcl_neuro", "snnTorch"))
    assert own.any()
    # snnTorch rounds where the chip truncates.
    book.add(outcome, differing=round(float((own != other).sum() / own.sum()), 4))
    assert abs(int(own.sum()) - int(other.sum())) < 0.05 * own.sum()
    assert outcome.ratio("snnTorch") >= 1, "slower than snnTorch's loop"
    if rate <= 0.02:
        assert outcome.ratio("dense") >= 1 / 0.6, "more than 0.6 times the dense path's time"
