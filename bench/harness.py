"""Races: several tools on one task in one run, each in its own process, their rounds interleaved.

A tool is named by a function ``module:function`` of a plain module in this folder. It is called
once with keyword arguments, sets everything up, and returns another function without arguments:
that one is timed. A tool has a process of its own, so that

- each can have the allocator settings and thread counts that suit it best (``env``);
- one library's waiting threads do not take the next one's time;
- its peak memory can be read (``VmHWM``; `resource` would show the parent's after a fork).

In each round every tool runs in turn, in an order that rotates. After timing the results are
fetched and must be equal. A bench is a test:

    def test_engine(benchmark, book):
        race = Race(
            "engine", {"batch": 1, "spikes": "2 %"}, unit="ms a step", per=1e3 / 16,
            tools=[Tool("sdcl_neuro", "engine_tools:ours", {"rate": 0.02}),
                   Tool("snnTorch", "engine_peers:snntorch_loop", {"rate": 0.02}, env=HUGE_PAGES)],
        )
        outcome = race.run(benchmark)         # pytest-benchmark drives the rounds
        outcome.assert_equal()                # dictionaries of arrays, compared with the first tool
        book.add(outcome)                     # into bench/results/latest.json
        assert outcome.ratio("snnTorch") >= 10

The timed function may return ``Timed(seconds, result)`` where a call has its own clock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from tools import HUGE_PAGES, KEPT_PAGES, Timed, Tool, Worker, peak_of

__all__ = ["HUGE_PAGES", "KEPT_PAGES", "Outcome", "Race", "Timed", "Tool", "Worker", "peak_of"]

SETTLE_S = 0.02


@dataclass(frozen=True)
class Outcome:
    """A finished race; `rounds` are seconds times `per`, by tool, one value a round."""

    table: str
    case: Mapping[str, Any]
    unit: str
    tools: tuple[Tool, ...]
    rounds: Mapping[str, Sequence[float]]
    peak_mib: Mapping[str, float]
    results: Mapping[str, Mapping[str, np.ndarray]]
    notes: dict[str, Any]

    def assert_equal(self, names: Sequence[str] | None = None, **tolerance: float) -> None:
        """Every tool's result (of those in `names`) equals the first tool's, array by array.

        `tolerance` is ``rtol`` and ``atol``; without it, equality is exact.
        """
        first = self.results[self.tools[0].name]
        assert first, "the first tool gave no result"
        for name in names or [tool.name for tool in self.tools[1:]]:
            other = self.results[name]
            assert set(other) == set(first), (name, sorted(other), sorted(first))
            for key, values in first.items():
                np.testing.assert_allclose(
                    other[key], values, **{"rtol": 0, "atol": 0, **tolerance}, err_msg=name
                )

    def ratio(self, peer: str, *, of: str | None = None) -> float:
        """How many times faster the first tool (or `of`) is: the median of the rounds' ratios."""
        own = self.rounds[of or self.tools[0].name]
        pairs = zip(self.rounds[peer], own, strict=True)
        return float(median(theirs / ours for theirs, ours in pairs))

    def best_peer(self, names: Sequence[str] | None = None) -> str:
        """The fastest of the others, by its median."""
        peers = names or [tool.name for tool in self.tools[1:]]
        return min(peers, key=lambda name: median(self.rounds[name]))

    def row(self) -> dict[str, Any]:
        """As it stands in the results."""
        return {
            "table": self.table,
            "case": dict(self.case),
            "unit": self.unit,
            "rounds": {
                name: [float(f"{value:.5g}") for value in values]
                for name, values in self.rounds.items()
            },
            "peak_mib": {name: round(value) for name, value in self.peak_mib.items()},
            "settings": {tool.name: dict(tool.env) for tool in self.tools if tool.env},
            "notes": self.notes,
        }


@dataclass(frozen=True)
class Race:
    """What is raced.

    Attributes:
        table: the table of docs/bench.md that shows it.
        case: the row's key and its first columns.
        tools: ours first.
        unit: of the reported values.
        per: seconds of a call times this are the reported values.
        rounds: how many.
        env: settings for all processes, under each tool's own.
        results: whether to fetch the results for comparison.
    """

    table: str
    case: Mapping[str, Any]
    tools: Sequence[Tool]
    unit: str = "ms"
    per: float = 1e3
    rounds: int = 9
    env: Mapping[str, str] = field(default_factory=dict)
    results: bool = True

    def run(self, benchmark: Any = None) -> Outcome:
        """Race; pytest-benchmark's fixture, where given, drives the first tool's rounds."""
        workers: list[Worker] = []
        seconds: dict[str, list[float]] = {tool.name: [] for tool in self.tools}
        assert len(seconds) == len(self.tools), "two tools of one name"
        try:
            for tool in self.tools:
                own = Tool(**{**tool.__dict__, "env": {**self.env, **tool.env}})
                workers.append(Worker(own))
            self._drive(workers, seconds, benchmark)
            results = {w.tool.name: w.result() for w in workers} if self.results else {}
            peaks = {w.tool.name: w.peak_mib() for w in workers}
        finally:
            for worker in workers:
                worker.close()
        values = {name: [self.per * s for s in found] for name, found in seconds.items()}
        if benchmark is not None:
            benchmark.extra_info.update(
                {name: f"{median(found):.4g} {self.unit}" for name, found in values.items()}
            )
        return Outcome(
            self.table,
            self.case,
            self.unit,
            tuple(worker.tool for worker in workers),
            values,
            peaks,
            results,
            {},
        )

    def _drive(
        self, workers: list[Worker], seconds: dict[str, list[float]], benchmark: Any
    ) -> None:
        """Interleave: the peers, in an order that rotates, then the first tool."""
        first, *peers = workers

        def one(worker: Worker) -> None:
            time.sleep(SETTLE_S)
            seconds[worker.tool.name].append(worker.round())

        def others() -> None:
            done = len(seconds[first.tool.name])
            for place in range(len(peers)):
                one(peers[(place + done) % len(peers)])

        if benchmark is not None:
            benchmark.pedantic(one, (first,), setup=others, rounds=self.rounds, iterations=1)
            return
        for _ in range(self.rounds):
            others()
            one(first)
