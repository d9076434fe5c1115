"""MARS's size, evaluated and re-ranked, each in a process of its own: seconds and peak memory.

1,980 queries against 12,180 tracklets, 2,048 numbers each, random but for 625 persons' centres. The
peer of ranking in blocks is `evaluate_ranking` on the whole matrix. Re-ranking has none: the
published code's matrices of all against all would take some ten GiB here.
"""

from __future__ import annotations

from statistics import median

import pytest
from harness import Race, Tool

SIZE = {"queries": 1980, "gallery": 12180, "size": 2048}
CASE = {"queries": "1,980", "gallery": "12,180", "numbers": "2,048"}
THREADS = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
LIMIT_S, LIMIT_MIB = 60, 2048
"""The promise this bench holds."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("tools", [("blocks", "whole"), ("rerank",)], ids=["rank", "rerank"])
def test_mars_size(benchmark, book, tools):
    race = Race(
        "evaluation",
        {"": "re-ranking" if tools == ("rerank",) else "ranking", **CASE},
        unit="s",
        per=1.0,
        rounds=1,
        env=THREADS,
        tools=[Tool(name, f"evaluation_tools:{name}", SIZE, cold=True) for name in tools],
    )
    outcome = race.run(benchmark)
    outcome.assert_equal(atol=1e-9)
    book.add(outcome)
    assert outcome.peak_mib[tools[0]] < LIMIT_MIB
    if tools[0] == "blocks":
        assert median(outcome.rounds["blocks"]) < LIMIT_S
