"""The ledger of a run: every figure with its tag, measured, emulated or modelled.

Stages are timed by a clock, nested or on several threads at once; counts and modelled costs are
entered beside them. What could not be had is entered too, with its reason.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdcl_neuro.files import write_json
from sdcl_neuro.network.record import LayerActivity

from .counters import Reading
from .interval import figure, finite
from .ledger_rows import LedgerFigure, LedgerStage, Passage, Tag
from .profile_text import columns
from .result import Profile
from .stage_clock import StageClock

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .device_clock import DeviceClock

SCHEMA = {"name": "sdcl_neuro.ledger", "version": 1}


class Ledger:
    """Collects stages and figures; safe to use from several threads.

    Args:
        clock: seconds, monotonic.
        synchronise: called before every reading of the clock, so that work queued on a GPU is
            counted where it belongs; ``torch.cuda.synchronize``, for example.
        device_clock: a GPU's clock, made just now, in place of `synchronise`: work is counted
            where it belongs and no one waits; see `device_clock.DeviceClock`.
        keep: at most so many of the last spans are kept, for a session without an end; the stages
            sum up all of them. None keeps all.

    Attributes:
        threads: of the branches, and why so many; None where no one entered them.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.perf_counter,
        synchronise: Callable[[], object] | None = None,
        device_clock: DeviceClock | None = None,
        keep: int | None = None,
    ) -> None:
        self._stage_clock = StageClock(
            clock, synchronise=synchronise, device_clock=device_clock, keep=keep
        )
        self._lock = threading.Lock()
        self._entries: list[LedgerFigure] = []
        self.threads: dict[str, Any] | None = None

    def stage(self, name: str, *, synchronise: bool = True) -> AbstractContextManager[None]:
        """Time the block; a stage inside another is its child. Failed blocks are entered too."""
        return self._stage_clock.stage(name, synchronise=synchronise)

    def enter(
        self,
        name: str,
        low: float | None,
        high: float | None = None,
        *,
        tag: Tag,
        unit: str,
        group: str = "",
        source: str = "",
        reason: str = "",
    ) -> None:
        """Enter one figure; without `high` it is a single value, without `low` unknown."""
        if low is None and not reason:
            raise ValueError(f"{name}: an unknown figure needs a reason")
        top = low if high is None else finite(high)
        entry = LedgerFigure(group, name, tag, low, top, unit, source, reason)
        with self._lock:
            self._entries.append(entry)

    def activity(self, layers: Iterable[LayerActivity], *, backend: str) -> None:
        """Enter the emulated counts of layers: spikes, synaptic operations, sparsity."""
        for layer in layers:
            group = f"activity of {layer.name}"
            sent, updates = int(layer.spikes_out.sum()), int(layer.updates.sum())
            counts = {
                "spikes in": (int(layer.spikes_in.sum()), "spikes"),
                "spikes out": (sent, "spikes"),
                "synaptic operations": (int(layer.synops.sum()), "synops"),
                **_nonzero(layer),
                "activation sparsity": (100 * (1 - sent / updates if updates else 1.0), "%"),
            }
            for name, (value, unit) in counts.items():
                self.enter(name, value, tag="emulated", unit=unit, group=group, source=backend)

    def costs(self, profile: Profile) -> None:
        """Enter a profile's modelled energy and latency per sample, target by target."""
        for name, target in profile.targets.items():
            uj, us = target.energy.bounded_uj, target.latency.us
            energy = f"energy per sample{target.energy.left_out}"
            for what, interval, unit, reason, used in (
                (energy, uj, "uJ", target.energy.reason, target.energy.constants),
                ("latency per sample", us, "us", target.latency.reason, target.latency.constants),
            ):
                low = None if interval is None else interval.low
                high = None if interval is None else interval.high
                source = "; ".join(dict.fromkeys(c.quantity.source for c in used))
                self.enter(
                    what, low, high,
                    tag="modelled", unit=unit, group=name, source=source, reason=reason,
                )  # fmt: skip

    def readings(
        self, readings: Iterable[Reading], *, group: str = "energy of this machine"
    ) -> None:
        """Enter what energy counters saw, or why they saw nothing."""
        for reading in readings:
            self.enter(
                reading.name, reading.joules,
                tag="measured", unit="J", group=group, source=reading.source, reason=reading.reason,
            )  # fmt: skip

    def plot_timeline(self, ax: Axes | None = None) -> Axes:
        """Draw the stages of the run as bars over time, in ms (extra ``plot``).

        Args:
            ax: matplotlib axes to draw on; None makes a figure.

        Returns:
            The axes.

        Raises:
            EnvironmentFault: matplotlib is not installed.
        """
        from . import plots

        return plots.timeline(self, ax)

    @property
    def spans(self) -> tuple[Passage, ...]:
        """Every passage through a stage that is kept, by start."""
        return self._stage_clock.spans

    @property
    def stages(self) -> tuple[LedgerStage, ...]:
        """Stages in order of first appearance, passages summed."""
        return self._stage_clock.stages

    @property
    def entries(self) -> tuple[LedgerFigure, ...]:
        """Every figure, in the order entered."""
        with self._lock:
            return tuple(self._entries)

    def __str__(self) -> str:
        lines: list[str] = []
        if self.stages:
            rows = [("stage", "calls", "total ms", "mean ms", "tag")]
            rows += [
                (
                    f"  {stage.name}" if stage.parent else stage.name,
                    str(stage.calls),
                    figure(1e3 * stage.total_s),
                    figure(1e3 * stage.mean_s),
                    "measured",
                )
                for stage in self.stages
            ]
            lines += ["Latency by stage", *columns(rows, right=[False, True, True, True, False])]
        if self.threads is not None:
            lines.append(f"threads: {self.threads_text()}")
        entries = self.entries
        for group in dict.fromkeys(entry.group for entry in entries):
            picked = [entry for entry in entries if entry.group == group]
            table = [(entry.name, str(entry), entry.tag) for entry in picked]
            lines += [group or "Figures", *columns(table, right=[False, False, False])]
        return "\n".join(lines)

    def threads_text(self) -> str:
        """Return who had how many threads, in one line; empty where no one entered them."""
        if self.threads is None:
            return ""
        dense, events = self.threads["dense_side"], self.threads["event_branch"]
        return (
            f"{dense['count']} of the dense side ({dense['reason']}), {events} of the event branch"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON: stages, spans and figures."""
        return {
            "schema": SCHEMA,
            "stages": [
                {
                    "name": stage.name, "parent": stage.parent, "calls": stage.calls,
                    "total_s": stage.total_s, "mean_s": stage.mean_s,
                    "least_s": stage.least_s, "most_s": stage.most_s, "tag": "measured",
                }
                for stage in self.stages
            ],
            "spans": [dict(vars(span)) for span in self.spans],
            "figures": [dict(vars(entry)) for entry in self.entries],
            "threads": self.threads,
        }  # fmt: skip

    def to_json(self, path: str | Path) -> None:
        """Write the ledger as JSON."""
        write_json(path, self.to_dict())


def _nonzero(layer: LayerActivity) -> dict[str, tuple[int, str]]:
    """Return the chip's count of synaptic operations, where it is known."""
    counted = layer.synops_nonzero
    if counted is None:
        return {}
    return {"synaptic operations at weights that are not zero": (int(counted.sum()), "synops")}
