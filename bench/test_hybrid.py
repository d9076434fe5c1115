"""Hybrid inference beside its own parts: what overlap gives or costs where they share cores."""

from __future__ import annotations

import pytest
from harness import HUGE_PAGES, KEPT_PAGES, Race, Tool
from results import Book

ALONE = ("frame branch alone", "event branch alone")
# On cores that both branches share, overlap can gain little; it must not cost more than this.
LIMIT = 1.1
# Of the whole, with the compact event branch.
EVENT_SHARE = 0.05


@pytest.mark.parametrize(("backbone", "batch"), [("osnet_x0_25", 1), ("osnet_x0_25", 8)])
def test_hybrid(benchmark, book: Book, backbone: str, batch: int) -> None:
    arguments = {"backbone": backbone, "count": 8, "batch": batch}
    race = Race(
        "hybrid",
        {"frame branch": backbone, "batch": batch},
        [
            Tool("hybrid", "hybrid_tools:hybrid", arguments),
            Tool("in turn", "hybrid_tools:in_turn", arguments),
            Tool(ALONE[0], "hybrid_tools:frames_alone", arguments),
            Tool(ALONE[1], "hybrid_tools:events_alone", arguments),
        ],
        unit="ms a tracklet",
        per=1e3 / 8,
        rounds=7,
        env={**HUGE_PAGES, **KEPT_PAGES},
    )
    outcome = race.run(benchmark)
    outcome.assert_equal(["in turn"], rtol=1e-4, atol=1e-5)
    of_sum = 1 / outcome.ratio("in turn")
    share = 1 / outcome.ratio("hybrid", of=ALONE[1])
    outcome.notes.update({"times the sum": round(of_sum, 3), "event share": round(share, 4)})
    book.add(outcome)
    assert of_sum <= LIMIT
    assert share <= EVENT_SHARE
