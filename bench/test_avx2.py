"""The engine and the dense path with AVX2 alone: both are told that the processor has no more."""

from __future__ import annotations

from typing import Any

import pytest
from engine_case import AVX2
from harness import Race
from results import Book
from test_engine import ALLOCATOR, STEPS, THREADS, check, tool


@pytest.mark.parametrize("rate", [0.001, 0.005, 0.02, 0.1])
@pytest.mark.parametrize("name", ["paper", "deep"])
def test_not_slower_than_dense(benchmark: Any, book: Book, name: str, rate: float) -> None:
    outcome = Race(
        "avx2",
        {"network": name, "spikes": f"{100 * rate:g} %"},
        [
            tool("sdcl_neuro", "engine_tools:ours", name, rate),
            tool("dense", "engine_peers:dense", name, rate),
        ],
        "ms a step",
        1e3 / STEPS,
        7,
        {**THREADS, **ALLOCATOR, **AVX2},
    ).run(benchmark)
    check(outcome, name)
    book.add(outcome)
    assert outcome.ratio("dense") >= 1, "slower than the dense path"
