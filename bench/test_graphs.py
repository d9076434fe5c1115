"""The chain of a residual network beside the same network computed as a graph."""

from __future__ import annotations

import os

import pytest
from graph_tools import relayed_share, thresholds_at
from harness import HUGE_PAGES, KEPT_PAGES, Race, Tool

STEPS = 16
CORES = min(2, len(os.sched_getaffinity(0)))
ENV = {"OMP_NUM_THREADS": str(CORES), **KEPT_PAGES, **HUGE_PAGES}
ROUNDS = {1: 9, 8: 5}
"""By the number of samples: snnTorch's loop takes most of a bench of about two minutes."""
TOOLS = {"sdcl_neuro": "ours", "dense": "dense", "snnTorch": "snntorch_loop"}
RELAYS = {"sdcl_neuro": "ours", "without relays": "unrelayed"}


def contest(rate, samples, name="graphs", tools=TOOLS):
    case = {"network": "residual", "samples": samples, "spikes": f"{100 * rate:g} %"}
    given = {"rate": rate, "thresholds": list(thresholds_at(rate)), "samples": samples}
    made = [
        Tool(label, f"graph_tools:{function}", {**given, "cores": CORES}, calls=3)
        for label, function in tools.items()
    ]
    per = 1e3 / STEPS / samples
    return Race(name, case, made, "ms a step and sample", per, ROUNDS[samples], ENV)


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


@pytest.mark.benchmark(group="relays")
@pytest.mark.parametrize("rate", [0.005, 0.02, 0.05])
def test_relays_cost_what_their_spikes_cost(benchmark, book, rate):
    """The chain beside its populations one by one, which take the same spikes and relay none.

    A relayed spike is one operation and one spike, where a spike of the network's own is 72 and
    more: counted, relays are a few hundredths of the whole (asserted for every graph, spike by
    spike, in tests/conversion/graph/test_relay_costs.py). How that shows in time is the figure.
    """
    outcome = contest(rate, 1, "relays", RELAYS).run(benchmark)
    outcome.assert_equal(["without relays"])
    share = relayed_share(rate, thresholds_at(rate), 1)
    book.add(outcome, relayed=round(share, 4))
    assert 0 < share < 0.05
