"""The engine's time against the part of the picture in which anything moves.

A square of 1/64 of the picture to all of it moves over a picture that is quiet elsewhere; within it
the same share of inputs spikes. One sample, one core, whole calls.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import pytest
from engine_networks import moving_square, network, thresholds_at
from harness import HUGE_PAGES, KEPT_PAGES, Outcome, Race, Tool
from results import Book

from sdcl_neuro.engine import run_network

RATE = 0.02
"""Share of the square's inputs that spike, and about that of the neurons that see it."""
AREAS = {"1/64": 1 / 64, "1/16": 1 / 16, "1/4": 1 / 4, "all": 1.0}
PICTURES = {(480, 640): (8, 5), (720, 1280): (4, 3)}
"""Height and width; steps and rounds."""
TILE = 16
"""Pixels of the side of the tiles in which the active area is given."""
REFERENCE_STEPS = 2
"""Steps compared with the reference, which takes seconds for each; all are compared with the dense
path."""
OFF_THE_LINE = 0.35
"""By how much a time may differ from floor + slope x active tiles: one in many tiles finds its
states in memory, one in few in a cache."""
FLOOR = 0.35
"""Most that a quiet picture may cost, as a share of one that is active everywhere."""


def race(size: tuple[int, int], steps: int, rounds: int) -> Race:
    """All areas beside the dense path, interleaved."""
    arguments = {
        "name": "paper", "rate": RATE, "size": list(size), "steps": steps, "cores": 1,
        "thresholds": list(thresholds_at("paper", RATE)),
    }  # fmt: skip
    tools = [
        Tool(f"{label}, {area}", setup, {**arguments, "active": share}, calls=1)
        for label, setup in (("sdcl_neuro", "engine_tools:ours"), ("dense", "engine_peers:dense"))
        for area, share in AREAS.items()
    ]
    return Race(
        "active_area", {}, tools, "ms a step", 1e3 / steps, rounds,
        {"OMP_NUM_THREADS": "1", **KEPT_PAGES, **HUGE_PAGES},
    )  # fmt: skip


def of_area(outcome: Outcome, area: str, case: dict[str, Any]) -> Outcome:
    """One area's part of the race, as a race of its own."""
    tools = {
        tool.name.split(",")[0]: tool for tool in outcome.tools if tool.name.endswith(f", {area}")
    }

    def part(values: Any) -> dict[str, Any]:
        return {label: values[tool.name] for label, tool in tools.items()}

    return replace(
        outcome,
        case={**case, "active": area},
        tools=tuple(replace(tool, name=label) for label, tool in tools.items()),
        rounds=part(outcome.rounds),
        peak_mib=part(outcome.peak_mib),
        results=part(outcome.results),
        notes={},
    )


def measured(
    outcome: Outcome, book: Book, size: tuple[int, int], steps: int
) -> list[dict[str, Any]]:
    """Check and enter each area's part; return time, active tiles and the line through them."""
    picture = f"{size[1]}x{size[0]}"
    net = network("paper", RATE, size=size, thresholds=thresholds_at("paper", RATE))
    times = []
    for area, share in AREAS.items():
        own = of_area(outcome, area, {"picture": picture})
        own.assert_equal()
        spikes = moving_square(RATE, share, size=size, steps=steps)
        (sent,) = own.results["sdcl_neuro"].values()
        assert sent.any()
        reference = run_network(net, spikes[:REFERENCE_STEPS], path="reference", layers=[1])
        np.testing.assert_array_equal(sent[:REFERENCE_STEPS], reference.spikes[1])
        times.append(median(own.rounds["sdcl_neuro"]))
        book.add(own)
    tiles = np.array(list(AREAS.values())) * (size[0] * size[1] / TILE**2)
    # Relative distances: else the largest area alone would place the line.
    slope, floor = np.polyfit(tiles, times, 1, w=1 / np.array(times))
    return [
        {
            "picture": picture, "active": area, "active tiles": round(float(number), 1),
            "ms a step": round(time, 4), "us an active tile": round(1e3 * time / float(number), 3),
            "on the line": round(float(floor + slope * number), 4),
            "floor, ms": round(float(floor), 4), "slope, us a tile": round(1e3 * float(slope), 4),
        }
        for area, number, time in zip(AREAS, tiles, times, strict=True)
    ]  # fmt: skip


@pytest.mark.benchmark(group="active area")
def test_time_is_linear_in_the_active_area(benchmark: Any, book: Book) -> None:
    lines = []
    for size, (steps, rounds) in PICTURES.items():
        outcome = race(size, steps, rounds).run(None if lines else benchmark)
        lines += measured(outcome, book, size, steps)
    book.note("active_tiles", lines)
    for line in lines:
        assert abs(line["ms a step"] / line["on the line"] - 1) < OFF_THE_LINE, line
        if line["active"] == "all":
            assert 0 <= line["floor, ms"] <= FLOOR * line["ms a step"], line
