"""The engine with its window look-up beside the same engine delivering every spike.

The look-up is kept if it pays at rates that a deployed network reaches: 0.5 to 20 % of spikes,
layer by layer (docs/bench.md); the rates above show what it would be for.
"""

from __future__ import annotations

import pytest
from harness import Race
from test_engine import ALLOCATOR, STEPS, THREADS, tool


@pytest.mark.benchmark(group="windows")
@pytest.mark.parametrize("rate", [0.005, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5])
@pytest.mark.parametrize("name", ["paper", "deep"])
def test_window_look_up(benchmark, book, name, rate):
    tools = [
        tool("sdcl_neuro", "engine_tools:ours", name, rate),
        tool("delivering only", "engine_tools:delivering", name, rate),
    ]
    outcome = Race(
        "windows", {"network": name, "spikes": f"{100 * rate:g} %"}, tools, "ms a step",
        1e3 / STEPS, 15, {**THREADS, **ALLOCATOR},
    ).run(benchmark)  # fmt: skip
    outcome.assert_equal()
    book.add(outcome)
