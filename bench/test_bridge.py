"""The deformable mapping beside its published form and beside a plain convolution.

Three layers on eight maps of eight channels at 128 x 64; of the cells, 2, 10 or 30 % hold events.
Then the alignment's sampling beside torch's ``grid_sample``.
"""

from __future__ import annotations

from typing import Any

import pytest
from harness import KEPT_PAGES, Outcome, Race, Tool
from results import Book

PUBLISHED_AT_LEAST = 30.0
PLAIN_AT_MOST, COMPUTED_AT_MOST = 4.0, 5.0
LAYERS = 3


def race(table: str, case: dict[str, Any], tools: list[tuple[str, str, dict[str, Any]]]) -> Outcome:
    found = [
        Tool(name, f"bridge_tools:{setup}", arguments, env=KEPT_PAGES, calls=3 if i < 2 else 1)
        for i, (name, setup, arguments) in enumerate(tools)
    ]
    return Race(table, case, found, unit="ms a layer", per=1e3 / LAYERS, rounds=7).run()


@pytest.mark.parametrize("percent", [2, 10, 30])
def test_reused_offsets(benchmark: Any, book: Book, percent: int) -> None:
    """Offsets known before: what the second and every further layer costs."""
    how = {"density": percent / 100}
    outcome = race(
        "mapping",
        {"cells with events": f"{percent} %", "offsets": "reused"},
        [
            ("sdcl_neuro", "ours", how),
            ("plain 3x3 convolution", "plain", how),
            ("as published", "published", how),
            ("grid_sample", "grid_sampled", how),
        ],
    )
    benchmark.pedantic(lambda: None, rounds=1)
    outcome.assert_equal(["as published", "grid_sample"], rtol=1e-3, atol=1e-3)
    book.add(outcome)
    assert outcome.ratio("as published") >= PUBLISHED_AT_LEAST
    assert 1 / outcome.ratio("plain 3x3 convolution") <= PLAIN_AT_MOST


@pytest.mark.parametrize("percent", [2, 10])
def test_computed_offsets(benchmark: Any, book: Book, percent: int) -> None:
    """Offsets found within the time, once for the three layers."""
    how = {"density": percent / 100}
    outcome = race(
        "mapping",
        {"cells with events": f"{percent} %", "offsets": "computed"},
        [
            ("sdcl_neuro", "ours", {**how, "computed": True}),
            ("plain 3x3 convolution", "plain", how),
            ("as published", "published", {**how, "computed": True}),
        ],
    )
    benchmark.pedantic(lambda: None, rounds=1)
    outcome.assert_equal(["as published"], rtol=1e-3, atol=1e-3)
    book.add(outcome)
    assert outcome.ratio("as published") >= PUBLISHED_AT_LEAST
    assert 1 / outcome.ratio("plain 3x3 convolution") <= COMPUTED_AT_MOST


def test_gradients(benchmark: Any, book: Book) -> None:
    """Forward and backward."""
    how = {"density": 0.1, "train": True}
    outcome = race(
        "mapping",
        {"cells with events": "10 %", "offsets": "reused, with gradients"},
        [
            ("sdcl_neuro", "ours", how),
            ("plain 3x3 convolution", "plain", how),
            ("as published", "published", how),
            ("grid_sample", "grid_sampled", how),
        ],
    )
    benchmark.pedantic(lambda: None, rounds=1)
    outcome.assert_equal(["as published", "grid_sample"], rtol=1e-3, atol=1e-2)
    book.add(outcome)


@pytest.mark.parametrize("train", [False, True], ids=["forward", "gradients"])
@pytest.mark.parametrize(("channels", "heads"), [(128, 4), (1024, 8)], ids=["small", "paper"])
def test_alignment(benchmark: Any, book: Book, channels: int, heads: int, train: bool) -> None:
    """Four points a head, sampled, weighted and summed, on eight maps."""
    how = {"channels": channels, "heads": heads, "maps": 8, "train": train}
    outcome = Race(
        "alignment",
        {"channels": channels, "heads": heads, "pass": "with gradients" if train else "forward"},
        [
            Tool("sdcl_neuro", "bridge_tools:aligned", {**how, "fused": True}, env=KEPT_PAGES),
            Tool("grid_sample", "bridge_tools:aligned", {**how, "fused": False}, env=KEPT_PAGES),
        ],
        rounds=7,
    ).run()
    benchmark.pedantic(lambda: None, rounds=1)
    outcome.assert_equal(rtol=1e-3, atol=1e-3)
    book.add(outcome)
    assert outcome.ratio("grid_sample") > 1
