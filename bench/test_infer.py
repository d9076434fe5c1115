"""`infer` from file to report: how long it takes to start, where the time goes, frames a second."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest
from harness import Race, Tool
from infer_tools import FRAMES, tiny_run, to_first_sign, to_first_tracklet, whole
from results import Book

FIRST_SIGN_S, START_S = 1.0, 2.5
"""To the first line, and to the first tracklet; importing torch takes about 1."""
TRACKLETS_A_SECOND = 16.0
"""Three times the 57 tracklets in 10.7 s of the release before, on a quiet machine."""


def test_start(benchmark: Any, book: Book) -> None:
    """Warm: after one call that may compile."""
    benchmark.pedantic(lambda: None, rounds=1)
    lines = []
    for what, setup in (
        ("infer, to the first line", to_first_sign),
        ("infer, to the first tracklet", to_first_tracklet),
        ("run of a tiny network, whole", tiny_run),
    ):
        call = setup()
        call()
        lines.append({"what": what, "s": round(median(call().seconds for _ in range(5)), 2)})
    book.note("start", lines)
    seconds = [line["s"] for line in lines]
    print(lines)
    assert seconds[0] <= FIRST_SIGN_S
    assert max(seconds[1:]) <= START_S


def test_whole(benchmark: Any, book: Book) -> None:
    """The packaged clip and model, a new process each time."""
    benchmark.pedantic(lambda: None, rounds=1)
    lines = []
    for kind in ("folded", "eager"):
        call = whole(kind)
        call()
        found = sorted((call() for _ in range(3)), key=lambda timed: timed.seconds)[1]
        parts = {k: v for k, v in found.result.items() if k != "tracklets"}
        lines.append({
            "dense backend": kind, "tracklets": found.result["tracklets"],
            "whole, s": round(found.seconds, 2),
            "tracklets a second": round(found.result["tracklets"] / found.seconds, 1),
            **{f"{name}, s": round(seconds, 2) for name, seconds in parts.items()},
        })  # fmt: skip
    book.note("infer", lines)
    print(lines)
    assert lines[0]["tracklets a second"] >= TRACKLETS_A_SECOND


@pytest.mark.parametrize("persons", [1, 5, 20])
def test_persons_in_view(benchmark: Any, book: Book, persons: int) -> None:
    outcome = Race(
        "persons",
        {"persons": persons},
        [
            Tool(kind, "infer_tools:followed", {"persons": persons, "kind": kind}, calls=1)
            for kind in ("folded", "eager")
        ],
        unit="ms a frame",
        per=1e3 / FRAMES,
        rounds=3,
        results=False,
    ).run(benchmark)
    own = median(outcome.rounds["folded"])
    book.add(outcome, **{"frames a second": round(1e3 / own, 1)})
    print(f"{persons} persons: {1e3 / own:.1f} frames a second")
