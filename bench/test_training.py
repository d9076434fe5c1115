"""A training step beside snnTorch, SpikingJelly, Norse and Sinabs, each at its best.

What the allocator does with large tensors matters as much here as arithmetic, so every tool first
runs a few rounds with each of its settings, and races with the one that suited it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from columns import TRAINING
from harness import HUGE_PAGES, KEPT_PAGES, Race, Tool, Worker
from results import Book

SETTINGS: tuple[Mapping[str, str], ...] = ({}, HUGE_PAGES, KEPT_PAGES)
THREADS = min(2, len(os.sched_getaffinity(0)))
ENV = {"OMP_NUM_THREADS": str(THREADS)}
AT_LEAST = {"paper": 1.4, "deep": 1.5}


def tools_for(network: str, rate: float) -> list[Tool]:
    """Ours first."""
    task = {"network": network, "rate": rate, "threads": THREADS}
    return [
        Tool("sdcl_neuro", "training_tools:ours", task),
        Tool("in integers", "training_tools:ours", {**task, "mode": "int"}),
        Tool("recomputing", "training_tools:ours", {**task, "recompute": 4}),
        Tool(TRAINING[0], "training_tools:snntorch", task),
        Tool(TRAINING[1], "training_tools:spikingjelly", task),
        Tool(TRAINING[2], "training_tools:spikingjelly", {**task, "multi_step": False}),
        Tool(TRAINING[3], "training_tools:norse", task),
        Tool(TRAINING[4], "training_tools:sinabs", task),
    ]


def at_its_best(tool: Tool) -> Tool:
    """The tool with the settings that it is fastest with, in processes that take turns."""
    candidates = [replace(tool, env={**ENV, **setting}, calls=2) for setting in SETTINGS]
    workers = []
    try:
        for candidate in candidates:
            workers.append(Worker(candidate))
        times = [[worker.round() for worker in workers] for _ in range(2)]
    finally:
        for worker in workers:
            worker.close()
    best = int(np.argmin(np.median(times, axis=0)))
    return replace(candidates[best], calls=tool.calls)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("network", "rate"), [("paper", 0.1), ("deep", 0.1)])
def test_training_step(benchmark, book: Book, network: str, rate: float) -> None:
    first, integers, recomputing, *peers = tools_for(network, rate)
    first, *peers = (at_its_best(tool) for tool in (first, *peers))
    ours = (replace(tool, env=first.env) for tool in (integers, recomputing))
    tools = [first, *ours, *peers]
    case = {"network": network, "input": f"{rate:.0%}", "batch": 8, "threads": THREADS}
    outcome = Race("training", case, tools, rounds=7, env=ENV).run(benchmark)
    # Sums of a million terms up to 1 in float32; the gradients reach thousands.
    outcome.assert_equal(["snnTorch loop", "recomputing"], rtol=1e-5, atol=1e-2)
    fired = {name: float(found["fired"]) for name, found in outcome.results.items()}
    assert min(fired.values()) > 0.8 * max(fired.values()), fired
    best = outcome.best_peer(TRAINING)
    outcome.notes.update(
        {
            "fastest peer": best,
            "times faster": round(outcome.ratio(best), 2),
            "times faster in integers": round(outcome.ratio(best, of="in integers"), 2),
        }
    )
    book.add(outcome)
    print({name: round(median(values), 1) for name, values in outcome.rounds.items()})
    assert outcome.ratio(best) >= AT_LEAST[network]
