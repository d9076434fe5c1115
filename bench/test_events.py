"""Encoding beside tonic's ToFrame, simulation beside a plain compiled loop; results are equal."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest
from event_tools import EVENTS, FRAMES
from harness import KEPT_PAGES, Race, Tool
from results import Book

from sdcl_neuro.events import EVENT_DTYPE

ENCODING_AT_LEAST = 20.0
SIMULATION_AT_LEAST = 0.65


@pytest.mark.parametrize(("width", "height"), [(64, 128), (640, 480)])
def test_encoding(benchmark: Any, book: Book, width: int, height: int) -> None:
    """Ten million events into sixteen steps, counted."""
    size = {"width": width, "height": height}
    race = Race(
        "encoding",
        {"pixels": f"{height} x {width}"},
        tools=[
            Tool("sdcl_neuro", "event_tools:ours", {**size, "binary": False}),
            Tool("tonic ToFrame", "event_tools:tonic", size, env=KEPT_PAGES, calls=1),
            Tool("numpy bincount", "event_tools:bincount", size, env=KEPT_PAGES),
        ],
        unit="ns an event",
        per=1e9 / EVENTS,
        rounds=5,
    )
    outcome = race.run(benchmark)
    outcome.assert_equal()
    book.add(outcome)
    assert outcome.ratio("tonic ToFrame") >= ENCODING_AT_LEAST


@pytest.mark.parametrize(("width", "height"), [(64, 128), (640, 480)])
def test_share_of_bandwidth(benchmark: Any, book: Book, width: int, height: int) -> None:
    """The same, spikes and not counts, beside two threads that only read the events."""
    size = {"width": width, "height": height}
    binary = {**size, "binary": True}
    race = Race(
        "bandwidth",
        {"pixels": f"{height} x {width}"},
        tools=[
            Tool("sdcl_neuro", "event_tools:ours", binary),
            Tool("into fresh memory", "event_tools:ours", {**binary, "reuse": False}),
            Tool("reading the events", "event_tools:memory", size),
        ],
        unit="ns an event",
        per=1e9 / EVENTS,
    )
    outcome = race.run(benchmark)
    outcome.assert_equal(["into fresh memory"])
    reading = median(outcome.rounds["reading the events"])
    book.add(
        outcome,
        read_gb_per_s=round(EVENT_DTYPE.itemsize / reading, 2),
        share=round(outcome.ratio("reading the events"), 3),
    )


@pytest.mark.parametrize(
    ("how", "setup"), [("frame by frame", "simulator"), ("at once", "whole_film")]
)
def test_simulation(benchmark: Any, book: Book, how: str, setup: str) -> None:
    """The same frames; the plain loop leaves its events in raster order, ours come by time."""
    race = Race(
        "simulation",
        {"frames": f"{FRAMES} of 260 x 346, {how}"},
        tools=[
            Tool("sdcl_neuro, ordered", f"event_tools:{setup}", env=KEPT_PAGES),
            Tool("plain numba loop, unordered", "event_tools:plain_loop", env=KEPT_PAGES),
        ],
        unit="us a frame",
        per=1e6 / FRAMES,
    )
    outcome = race.run(benchmark)
    outcome.assert_equal()
    events = len(outcome.results["sdcl_neuro, ordered"]["t"]) / FRAMES
    book.add(outcome, events_a_frame=round(events))
    assert outcome.ratio("plain numba loop, unordered") >= SIMULATION_AT_LEAST
