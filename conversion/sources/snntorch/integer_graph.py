"""A graph that trains in the chip's integers: what each of its populations receives, exactly.

The module's own forward goes on as it is, in float. In ``int`` mode each neuron takes, in place of
the value that arrives, the integers that the chip's synapses deliver for the very spikes of this
step: weights with batch norm and pooling folded in, taps on one synapse added up, rounded once, as
`conversion.quantize` rounds them. Gradients are those of the module's own operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.fixed_point import current_decay, quantize_threshold, voltage_decay
from sdcl_neuro.snn.chip_neuron import ChipNeuron, Spread

from ...lowering.graph.nodes import FloatGraph, Input, PopulationNode, ReadoutNode
from ...lowering.graph.reduce import reduce_graph
from ...lowering.graph.rounding import round_unit
from ...lowering.graph.units import Unit, Units
from .graph_refresh import Origins, refresh
from .several_inputs import inputs_given
from .unit_sums import UnitSums

SCALE = "chip_scale"
"""Buffer of a synapse at the end of a network, which is a read-out without a neuron."""


@dataclass
class IntegerGraph:
    """The rounded graph of a module, while it trains.

    Attributes:
        graph: the description, as it was traced.
        origins: where the numbers of its nodes come from.
        neurons: node to the module that it is: a chip-exact neuron, or the synapse of a bare
            read-out.
        batch_first, whole: how the module's forward takes its input.
    """

    graph: FloatGraph
    origins: Origins
    neurons: Mapping[str, nn.Module]
    batch_first: bool
    whole: bool
    _seen: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    _units: Units | None = None
    _sums: dict[str, list[UnitSums]] = field(default_factory=dict)
    _spreads: dict[str, Spread] = field(default_factory=dict)
    _given: dict[str, Tensor] = field(default_factory=dict)
    _sent: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    _calls: dict[str, int] = field(default_factory=dict)

    def begin(self, module: nn.Module, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """Begin, as a hook before the module's forward: new inputs, and the weights as they are
        now.
        """
        if not self.computes():
            return
        given = inputs_given(module, [node.name for node in self.graph.inputs], args, named)
        self._given = {
            name: each.detach().transpose(0, 1) if self.batch_first else each.detach()
            for name, each in given.items()
        }
        self._sent, self._calls = {}, {}
        self._round()

    def computes(self) -> bool:
        """Return whether some part of it computes in integers."""
        return any(getattr(m, "mode", "") == "int" for m in self.neurons.values())

    def _round(self) -> None:
        """Round the weights again, where one has changed."""
        tensors = self.origins.tensors()
        scales = [scale_of(module) for module in self.neurons.values()]
        now = [*tensors, *(s for s in scales if s is not None)]
        if self._units is not None and self._unchanged(now):
            return
        graph = with_scales(refresh(self.graph, self.origins), self.neurons)
        units = reduce_graph(graph)
        self._units = units
        self._seen = [(each, each.detach().clone()) for each in now]
        self._sums, self._spreads = {}, {}
        sizes = {name: sender.size for name, sender in units.senders.items()}
        for unit in units.units:
            integer = round_unit(unit, unit.scale or 1.0)
            self._sums.setdefault(unit.node, []).append(UnitSums(integer, sizes))
        for node in (*graph.populations, *graph.readouts):
            self._spreads[node.name] = _spread([u for u in units.units if u.node == node.name])

    def _unchanged(self, now: Sequence[Tensor]) -> bool:
        return len(now) == len(self._seen) and all(
            one is other and torch.equal(one.detach(), copy)
            for one, (other, copy) in zip(now, self._seen, strict=True)
        )

    def spread(self, name: str) -> Spread:
        """Return the integers of a population."""
        self._expect_begun(name)
        return self._spreads[name]

    def deliver(self, name: str) -> Tensor:
        """Return what the synapses of a population deliver in its next step, ``[B, *size]``."""
        self._expect_begun(name)
        step = self._calls.get(name, 0)
        self._calls[name] = step + 1
        return self._delivered(name, step)

    def note(self, name: str, spikes: Tensor) -> None:
        """Keep what a population sends in its latest step."""
        self._sent[name, self._calls[name] - 1] = spikes

    def _expect_begun(self, name: str) -> None:
        if not self._given:
            raise InputError(
                "a part of the graph was called outside of the module that was prepared",
                where=name,
                hint="call the module given to prepare_quantization, or set_mode(module, 'float')",
            )

    def _delivered(self, name: str, step: int) -> Tensor:
        parts = self._sums[name]
        with torch.no_grad():
            sums = [
                part({source: self._spikes(source, step) for source in part.sources})
                for part in parts
            ]
            if len(parts) == 1:
                return sums[0]
            assert self._units is not None
            whole = sums[0].new_empty((len(sums[0]), *self._units.senders[name].size))
            for part, values in zip(parts, sums, strict=True):
                whole[:, part.channels] = values
            return whole

    def _spikes(self, source: str, step: int) -> Tensor:
        """Return spikes of a node in a step, ``[B, C, H, W]``."""
        assert self._units is not None
        if (source, step) not in self._sent:
            self._sent[source, step] = self._made(source, step)
        spikes = self._sent[source, step]
        return spikes.reshape(len(spikes), *self._units.senders[source].size)

    def _made(self, source: str, step: int) -> Tensor:
        """Return the input, or what a max pooling of spikes gives."""
        if isinstance(self.graph[source], Input):
            given = self._given[source]
            return given[step] if self.whole else given
        if source not in self._sums or source in self.neurons:
            raise InputError(
                f"reads {source!r} before that has sent",
                where=f"step {step}",
                hint="let each step's layers run in the order of the first forward",
            )
        pooled = self._delivered(source, step)
        return (pooled > 0).to(pooled)


def scale_of(module: nn.Module) -> Tensor | None:
    """Return the buffer with the scale of a population or of a bare read-out; None without."""
    found = getattr(module, "scale" if isinstance(module, ChipNeuron) else SCALE, None)
    return found if isinstance(found, Tensor) else None


def with_scales(graph: FloatGraph, neurons: Mapping[str, nn.Module]) -> FloatGraph:
    """Return the graph, its populations and read-outs with the scales that training fixed."""
    nodes = []
    for node in graph.nodes:
        module = neurons.get(node.name)
        if module is not None and isinstance(node, PopulationNode | ReadoutNode):
            stored = scale_of(module)
            scale = 0.0 if stored is None else float(stored)
            node = replace(node, scale=scale if scale > 0 else None, clips=scale > 0)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _spread(units: Sequence[Unit]) -> Spread:
    """Return the numbers of a population that became these units."""
    first = units[0]
    threshold = quantize_threshold(first.neuron.threshold, first.scale or 1.0)
    leaks = [voltage_decay(unit.neuron.beta) for unit in units]
    currents = [current_decay(unit.neuron.alpha) for unit in units]
    if len(units) == 1:
        return Spread(currents[0], leaks[0], threshold, first.neuron.threshold)
    count = sum(len(unit.channels) for unit in units)
    ones = () if first.size == (1, 1) else (1, 1)
    voltage, current = (np.empty(count, np.int64) for _ in range(2))
    for unit, leak, faster in zip(units, leaks, currents, strict=True):
        voltage[unit.channels], current[unit.channels] = leak, faster
    return Spread(
        currents[0] if len(set(currents)) == 1 else torch.from_numpy(current).reshape(-1, *ones),
        torch.from_numpy(voltage).reshape(-1, *ones),
        threshold,
        first.neuron.threshold,
    )
