"""Another simulator's times, energies and messages of the same run, next to the model's.

A simulator mapped the same placement neuron by neuron. Its figures are a second opinion on the
model: each step of each sample is compared with the model's interval of that step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .interval import Interval, finite

PARTS_NOTE = "energies without static power and barriers, on both sides"


@dataclass(frozen=True)
class SimulatedSample:
    """A simulator's figures for one sample, with one entry per chip step.

    Attributes:
        time_us: of the step, its barrier included.
        energy_uj: by part, in the simulator's words.
        messages: sent.
        hops: of all messages.
        synops: spikes delivered to synapses.
    """

    time_us: tuple[float, ...]
    energy_uj: Mapping[str, tuple[float, ...]]
    messages: tuple[int, ...]
    hops: tuple[int, ...]
    synops: tuple[int, ...]

    @property
    def step_energy_uj(self) -> tuple[float, ...]:
        """Energy of each step, all parts together."""
        return tuple(map(sum, zip(*self.energy_uj.values(), strict=True)))


@dataclass(frozen=True)
class SimulatedRun:
    """A run in a simulator.

    Attributes:
        simulator, version: its name and version.
        target: the profile whose chip it simulates.
        cores: that hold neurons or inputs there.
        samples: one entry a sample.
    """

    simulator: str
    version: str
    target: str
    cores: int
    samples: tuple[SimulatedSample, ...]


@dataclass(frozen=True)
class ModelledSample:
    """The model's figures for the same sample, with one entry per chip step."""

    time_us: tuple[Interval, ...]
    energy_uj: tuple[Interval, ...]
    messages: tuple[Interval, ...]


@dataclass(frozen=True)
class SimulatedFigure:
    """A figure on both sides: a step of the mean sample, or the whole of it."""

    name: str
    time_us: float
    modelled_us: Interval
    energy_uj: float
    modelled_uj: Interval
    messages: float
    modelled_messages: Interval
    hops: float


@dataclass(frozen=True)
class SideBySide:
    """A simulator's figures and the model's, of the same samples."""

    simulated: SimulatedRun
    modelled: tuple[ModelledSample, ...]

    def rows(self) -> Iterator[SimulatedFigure]:
        """Yield every chip step, mean over the samples."""
        for step in range(len(self.modelled[0].time_us)):
            yield self._row(f"{step}", slice(step, step + 1))

    def whole(self) -> SimulatedFigure:
        """Return a whole sample, mean over the samples."""
        return self._row("sample", slice(None))

    def contained(self, figure: str) -> tuple[int, int]:
        """Return samples whose `figure` (``time``, ``energy``, ``messages``) lies in the model's
        interval.

        Returns:
            How many, and of how many.
        """
        held = [
            _within(self._whole(number, figure), self._modelled(number, figure))
            for number in range(len(self.modelled))
        ]
        return sum(held), len(held)

    def steps_contained(self, figure: str) -> tuple[int, int]:
        """Return the same of all steps of all samples."""
        held = [
            _within(value, interval)
            for one, model in zip(self.simulated.samples, self.modelled, strict=True)
            for value, interval in zip(_values(one, figure), _intervals(model, figure), strict=True)
        ]
        return sum(held), len(held)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "simulator": self.simulated.simulator,
            "version": self.simulated.version,
            "target": self.simulated.target,
            "cores": self.simulated.cores,
            "tag": "modelled",
            "note": PARTS_NOTE,
            "contained": {
                name: {
                    "samples": list(self.contained(name)),
                    "steps": list(self.steps_contained(name)),
                }
                for name in FIGURES
            },
            "mean_sample": _row_dict(self.whole()),
            "samples": [
                _sample_dict(one, model)
                for one, model in zip(self.simulated.samples, self.modelled, strict=True)
            ],
        }

    def _whole(self, number: int, figure: str) -> float:
        return float(sum(_values(self.simulated.samples[number], figure)))

    def _modelled(self, number: int, figure: str) -> Interval:
        intervals = _intervals(self.modelled[number], figure)
        return Interval(sum(i.low for i in intervals), sum(i.high for i in intervals))

    def _row(self, name: str, steps: slice) -> SimulatedFigure:
        samples, models = self.simulated.samples, self.modelled
        values = {f: _mean([sum(_values(one, f)[steps]) for one in samples]) for f in FIGURES}
        ends = {
            f: Interval(
                _mean([sum(i.low for i in _intervals(one, f)[steps]) for one in models]),
                _mean([sum(i.high for i in _intervals(one, f)[steps]) for one in models]),
            )
            for f in FIGURES
        }
        return SimulatedFigure(
            name=name,
            time_us=values["time"], modelled_us=ends["time"],
            energy_uj=values["energy"], modelled_uj=ends["energy"],
            messages=values["messages"], modelled_messages=ends["messages"],
            hops=_mean([sum(one.hops[steps]) for one in samples]),
        )  # fmt: skip


FIGURES = {
    "time": ("time_us", "time_us"),
    "energy": ("step_energy_uj", "energy_uj"),
    "messages": ("messages", "messages"),
}
"""Figure to the attribute of the simulator's sample and of the model's."""


def _values(one: SimulatedSample, figure: str) -> tuple[float, ...]:
    found: tuple[float, ...] = getattr(one, FIGURES[figure][0])
    return found


def _intervals(one: ModelledSample, figure: str) -> tuple[Interval, ...]:
    found: tuple[Interval, ...] = getattr(one, FIGURES[figure][1])
    return found


def _within(value: float, interval: Interval) -> bool:
    slack = 1e-9 * abs(value)
    return bool(interval.low - slack <= value <= interval.high + slack)


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def _ends(interval: Interval) -> dict[str, float | None]:
    return {"low": interval.low, "high": finite(interval.high)}


def _row_dict(row: SimulatedFigure) -> dict[str, Any]:
    return {
        "time_us": {"simulated": row.time_us, **_ends(row.modelled_us)},
        "energy_uj": {"simulated": row.energy_uj, **_ends(row.modelled_uj)},
        "messages": {"simulated": row.messages, **_ends(row.modelled_messages)},
        "hops": row.hops,
    }


def _sample_dict(one: SimulatedSample, model: ModelledSample) -> dict[str, Any]:
    return {
        "time_us": list(one.time_us),
        "energy_uj": {name: list(values) for name, values in one.energy_uj.items()},
        "messages": list(one.messages),
        "hops": list(one.hops),
        "synops": list(one.synops),
        "modelled": {
            "time_us": [_ends(i) for i in model.time_us],
            "energy_uj": [_ends(i) for i in model.energy_uj],
            "messages": [_ends(i) for i in model.messages],
        },
    }
