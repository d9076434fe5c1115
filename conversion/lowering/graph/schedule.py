"""Which layer of the chain holds which unit, so that few spikes have to be relayed.

A layer has one pair of decays and one threshold, and reads the layer before it only. So units
with other decays get layers of their own, and whatever a unit reads from further back is relayed
through the layers between, channel by channel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.fixed_point import (
    DECAY_UNITY,
    current_decay,
    quantize_threshold,
    voltage_decay,
)

from .units import Unit, Units

Key = tuple[str, int, int, int]
"""Kind, vDecay, iDecay, and the integer threshold if it is fixed, else -1."""
Levels = tuple[int, ...]

_CROSSING = 1 << 40
"""Cost of a relay through a layer with a slower current: only where nothing else is left."""


@dataclass(frozen=True)
class Schedule:
    """A place for every unit.

    Attributes:
        levels: per unit, its layer, counted from 1; 0 is the input.
        depth: number of layers.
        relays: per layer 1 to depth, node to the channels that it relays, in order.
    """

    levels: Levels
    depth: int
    relays: tuple[dict[str, tuple[int, ...]], ...]


def key_of(unit: Unit) -> Key:
    """Return what the units of one layer have to share."""
    neuron = unit.neuron
    fixed = -1 if unit.scale is None else quantize_threshold(neuron.threshold, unit.scale)
    if neuron.threshold == 0:
        fixed = 0  # at any scale
    return unit.kind, voltage_decay(neuron.beta), current_decay(neuron.alpha), fixed


def schedule(units: Units, *, keep_outputs: bool = True) -> Schedule:
    """Place every unit.

    Args:
        units: the reduced graph.
        keep_outputs: relay the spikes of all outputs to the last layer, where there are several
            and no read-out, so that a board gives them together.

    Raises:
        NetworkRefused: read-outs whose decays differ.
    """
    readouts = {key_of(unit)[1:3] for unit in units.units if unit.kind == "readout"}
    if len(readouts) > 1:
        what = f"read-outs with {len(readouts)} pairs of decays, which the last layer has to hold"
        raise NetworkRefused([Refusal("graph", what, "give all read-outs one beta and alpha")])
    keep = keep_outputs and len(units.outputs) > 1 and not readouts
    problem = _Problem(units, units.outputs if keep else ())
    best: Levels | None = None
    for priority in (problem.by_height, problem.fast_first, problem.slow_first):
        levels = problem.improve(problem.place(priority))
        if best is None or problem.cost(levels) < problem.cost(best):
            best = levels
    assert best is not None
    return problem.finish(best)


class _Problem:
    """Units, what they read and who reads them."""

    def __init__(self, units: Units, kept: Sequence[str]) -> None:
        self.units = units.units
        self.keys = [key_of(unit) for unit in self.units]
        self.kept = set(kept)
        self.owner = {
            (unit.node, int(channel)): index
            for index, unit in enumerate(self.units)
            for channel in unit.channels
        }
        self.reads = [
            sorted({(a.source, int(c)) for a in unit.afferents for c in a.of})
            for unit in self.units
        ]
        self.sizes = {
            name: sender.size[1] * sender.size[2] for name, sender in units.senders.items()
        }
        self.before = [
            sorted({self.owner[line] for line in lines if line in self.owner})
            for lines in self.reads
        ]
        self.behind: list[list[int]] = [[] for _ in self.units]
        for index, sources in enumerate(self.before):
            for source in sources:
                self.behind[source].append(index)
        self.height = [0] * len(self.units)
        for index in reversed(range(len(self.units))):
            above = [self.height[other] for other in self.behind[index]]
            self.height[index] = 1 + max(above, default=0)

    def by_height(self, index: int) -> tuple[int, ...]:
        """Return what most layers wait for comes first."""
        return (self.height[index],)

    def fast_first(self, index: int) -> tuple[int, ...]:
        """Let slower currents wait, so that less has to pass them."""
        return (self.keys[index][2], self.height[index])

    def slow_first(self, index: int) -> tuple[int, ...]:
        """Let slower currents come early."""
        return (-self.keys[index][2], self.height[index])

    def place(self, priority: Callable[[int], tuple[int, ...]]) -> Levels:
        """Return one layer after another, each with the decays of its most urgent unit."""
        levels: dict[int, int] = {}
        level = 0
        while len(levels) < len(self.units):
            level += 1
            ready = [
                index
                for index in range(len(self.units))
                if index not in levels
                and all(levels.get(other, level) < level for other in self.before[index])
            ]
            spiking = [index for index in ready if self.keys[index][0] == "spiking"]
            if spiking:
                urgent = max(spiking, key=lambda index: (*priority(index), -index))
                key = self.keys[urgent]
                chosen = [index for index in spiking if self.keys[index] == key]
                if key[2] == DECAY_UNITY:
                    chosen += [index for index in ready if self.keys[index][0] == "or"]
            else:
                chosen = [index for index in ready if self.keys[index][0] == "or"] or ready
            levels |= dict.fromkeys(chosen, level)
        return self._compact([levels[index] for index in range(len(self.units))])

    def improve(self, levels: Levels) -> Levels:
        """Move single units as long as that saves relays."""
        improved = True
        while improved:
            improved = False
            for index in range(len(self.units)):
                first = 1 + max((levels[other] for other in self.before[index]), default=0)
                last = min((levels[other] for other in self.behind[index]), default=max(levels) + 1)
                for level in range(first, last):
                    moved = self._compact([*levels[:index], level, *levels[index + 1 :]])
                    if self._sound(moved) and self.cost(moved) < self.cost(levels):
                        levels, improved = moved, True
                        break
        return levels

    def cost(self, levels: Levels) -> int:
        """Return neurons that relay, with a penalty behind slower currents, and the depth."""
        slow = {
            level for level, key in zip(levels, self.keys, strict=True) if key[2] != DECAY_UNITY
        }
        total = max(levels)
        for (name, _), (first, last) in self._spans(levels).items():
            crossed = range(first + 1, last)
            total += 4 * len(crossed) * self.sizes[name]
            total += _CROSSING * sum(level in slow for level in crossed)
        return total

    def finish(self, levels: Levels) -> Schedule:
        """Return the schedule, with its relays."""
        depth = max(levels)
        relays: list[dict[str, list[int]]] = [{} for _ in range(depth)]
        for (name, channel), (first, last) in sorted(self._spans(levels).items()):
            for level in range(first + 1, last):
                relays[level - 1].setdefault(name, []).append(channel)
        fixed = tuple(
            {name: tuple(channels) for name, channels in relayed.items()} for relayed in relays
        )
        return Schedule(levels, depth, fixed)

    def _spans(self, levels: Levels) -> dict[tuple[str, int], tuple[int, int]]:
        """Return each channel's layer and the last that reads it."""
        spans: dict[tuple[str, int], tuple[int, int]] = {}
        for index, lines in enumerate(self.reads):
            for line in lines:
                first = levels[self.owner[line]] if line in self.owner else 0
                spans[line] = first, max(levels[index], spans.get(line, (0, 0))[1])
        if self.kept:
            end = max(levels) + 1
            for line, index in self.owner.items():
                if line[0] in self.kept:
                    spans[line] = levels[index], end
        return spans

    def _sound(self, levels: Levels) -> bool:
        """Return whether each layer's units can share it."""
        held: dict[int, Key] = {}
        alone = {level for level, key in zip(levels, self.keys, strict=True) if key[0] == "or"}
        for level, key in zip(levels, self.keys, strict=True):
            if key[0] == "or":
                continue
            if held.setdefault(level, key) != key:
                return False
            if level in alone and (key[2] != DECAY_UNITY or key[0] == "readout"):
                return False
        return all(
            level == max(levels)
            for level, key in zip(levels, self.keys, strict=True)
            if key[0] == "readout"
        )

    @staticmethod
    def _compact(levels: Sequence[int]) -> Levels:
        """Return the same without layers that hold nothing."""
        rank = {level: k + 1 for k, level in enumerate(sorted(set(levels)))}
        return tuple(rank[level] for level in levels)
