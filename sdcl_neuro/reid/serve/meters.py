"""Counts and curves: spikes, synaptic operations, modelled energy, latency, drops, each second."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sdcl_neuro.hybrid.live.embedder import Embedded
from sdcl_neuro.hybrid.runtime import merge_records
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.profiling import profile

POINTS_KEPT = 300
"""Seconds of each curve."""
_RECORDS = 256
_LATENCIES = 4096


class Meters:
    """Sums of the second under way, and the last seconds.

    Args:
        network: the event branch, for its modelled energy.
        hardware: chips to price it on.
        dropped: returns the tracklets dropped so far.

    Attributes:
        totals: counts since the start.
    """

    def __init__(
        self, network: IntNetwork, hardware: Sequence[str], dropped: Callable[[], int]
    ) -> None:
        self._network, self._hardware, self._dropped = network, tuple(hardware), dropped
        self._lock = threading.Lock()
        self._records: deque[Record] = deque(maxlen=_RECORDS)
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._points: deque[dict[str, Any]] = deque(maxlen=POINTS_KEPT)
        self._embedded = self._frames = self._before = 0
        self._since = time.perf_counter()
        self.totals: Counter[str] = Counter()

    def frame(self) -> None:
        """Count one frame."""
        with self._lock:
            self._frames += 1
            self.totals["frames"] += 1

    def embedded(self, done: Embedded) -> None:
        """Take one batch into account."""
        spikes = sum(int(layer.spikes_out.sum()) for layer in done.record.activity)
        synops = sum(int(layer.synops.sum()) for layer in done.record.activity)
        with self._lock:
            self._records.append(replace(done.record, spikes={}, readouts={}))
            self._latencies.extend(done.done - one.arrived for one in done.batch)
            self._embedded += len(done.batch)
            self.totals["embedded"] += len(done.batch)
            self.totals["spikes"] += spikes
            self.totals["synops"] += synops

    def history(self) -> list[dict[str, Any]]:
        """Return the last seconds, oldest first."""
        with self._lock:
            return list(self._points)

    def tick(self) -> dict[str, Any]:
        """Close the second under way and return it; called by one thread only."""
        with self._lock:
            records, latencies = list(self._records), list(self._latencies)
            embedded, frames = self._embedded, self._frames
            self._records.clear()
            self._latencies.clear()
            self._embedded = self._frames = 0
        now, dropped = time.perf_counter(), self._dropped()
        span = max(1e-3, now - self._since)
        layers = [layer for record in records for layer in record.activity]
        point = {
            "time_ms": time.time_ns() // 1_000_000,
            "frames_per_s": frames / span,
            "tracklets_per_s": embedded / span,
            "spikes_per_s": sum(int(layer.spikes_out.sum()) for layer in layers) / span,
            "synops_per_s": sum(int(layer.synops.sum()) for layer in layers) / span,
            "latency_ms": _percentiles(latencies),
            "dropped": dropped - self._before,
            "energy_uj": self._energy(records),
        }
        self._since, self._before = now, dropped
        with self._lock:
            self._points.append(point)
        return point

    def _energy(self, records: list[Record]) -> dict[str, Any]:
        """Return modelled energy of one tracklet on each chip; empty where nothing was embedded."""
        if not records:
            return {}
        priced = profile(
            self._network, record=merge_records(records), hw=list(self._hardware)
        ).to_dict()["energy"]
        return {name: _interval(one) for name, one in priced.items()}


def _interval(energy: dict[str, Any]) -> dict[str, Any]:
    """Return bounds of an energy in microjoules; what has no published bound is left out and
    named.
    """
    if energy.get("high_uj") is None and "bounded" in energy:
        inner = energy["bounded"]
        return {
            "low": inner["low_uj"],
            "high": inner["high_uj"],
            "without": list(inner.get("without", ())),
        }
    return {"low": energy.get("low_uj"), "high": energy.get("high_uj"), "without": []}


def _percentiles(latencies_s: Sequence[float]) -> dict[str, float] | None:
    if not latencies_s:
        return None
    p50, p99 = np.percentile(np.asarray(latencies_s) * 1e3, (50, 99))
    return {"p50": float(p50), "p99": float(p99)}
