"""Counts of the server as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sdcl_neuro.extras import need

from .service import Service

_TOTALS = {
    "frames": "Frames taken in",
    "embedded": "Tracklets embedded",
    "spikes": "Spikes of the event branch (emulated)",
    "synops": "Synaptic operations of the event branch (emulated)",
    "searched": "Tracklets looked up in the gallery",
    "enrolled": "Tracklets stored in the gallery",
    "recognised": "Tracklets recognised",
    "unknown": "Tracklets of unknown persons",
    "unstored": "Tracklets that the gallery could not take",
}
_STATES = ("opening", "live", "lost", "ended", "failed")


def exposition(service: Service) -> bytes:
    """Return all metrics in Prometheus' text format."""
    client = need("prometheus_client", "metrics")
    registry = client.CollectorRegistry()
    registry.register(_Collector(service))
    return bytes(client.generate_latest(registry))


class _Collector:
    """Makes the metrics at each request, from the service's own counts."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._core = need("prometheus_client.core", "metrics")

    def collect(self) -> Iterator[Any]:
        """Yield the families."""
        state = self._service.state()
        for name, text in _TOTALS.items():
            yield self._counter(name, text, state["totals"].get(name, 0))
        yield self._counter("viewer_drops", "Messages that pages were too slow for",
                            state["viewer_drops"])  # fmt: skip
        yield self._gauge("waiting", "Tracklets that wait", state["waiting"])
        yield self._gauge("gallery_entries", "Entries in the gallery", state["entries"])
        yield self._gauge("viewers", "Open pages", state["viewers"])
        yield from self._cameras(state["cameras"])
        points = self._service.meters.history()
        if points:
            yield from self._last_second(points[-1])

    def _cameras(self, cameras: list[dict[str, Any]]) -> Iterator[Any]:
        for name, text in {
            "frames": "Frames of a camera",
            "tracklets": "Tracklets cut from a camera",
            "dropped": "Tracklets of a camera that were dropped",
            "late_events": "Events of a camera that came too late",
        }.items():
            family = self._core.CounterMetricFamily(
                f"sdcl_neuro_camera_{name}", text, labels=["camera"]
            )
            for camera in cameras:
                family.add_metric([camera["name"]], camera[name])
            yield family
        states = self._core.GaugeMetricFamily(
            "sdcl_neuro_camera_state", "1 for the state a camera is in", labels=["camera", "state"]
        )
        for camera in cameras:
            for state in _STATES:
                states.add_metric([camera["name"], state], float(camera["state"] == state))
        yield states

    def _last_second(self, point: dict[str, Any]) -> Iterator[Any]:
        if point["latency_ms"] is not None:
            family = self._core.GaugeMetricFamily(
                "sdcl_neuro_latency_ms",
                "From a tracklet's last frame to its embedding, of the last second (measured)",
                labels=["percentile"],
            )
            for name, value in point["latency_ms"].items():
                family.add_metric([name], value)
            yield family
        family = self._core.GaugeMetricFamily(
            "sdcl_neuro_energy_uj",
            "Energy of the event branch for a tracklet (modelled)",
            labels=["chip", "bound"],
        )
        for chip, interval in point["energy_uj"].items():
            for bound in ("low", "high"):
                if interval[bound] is not None:
                    family.add_metric([chip, bound], interval[bound])
        yield family

    def _counter(self, name: str, text: str, value: float) -> Any:
        return self._core.CounterMetricFamily(f"sdcl_neuro_{name}", text, value=value)

    def _gauge(self, name: str, text: str, value: float) -> Any:
        return self._core.GaugeMetricFamily(f"sdcl_neuro_{name}", text, value=value)
