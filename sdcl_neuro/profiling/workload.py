"""The work of one sample, layer by layer: what the cost models multiply with constants."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.network.activity import fan_out
from sdcl_neuro.network.backend_names import label
from sdcl_neuro.network.record import LayerActivity, Record
from sdcl_neuro.network.spec import IntLayer, IntNetwork, Kind


@dataclass(frozen=True)
class LayerWork:
    """One layer's counts, means over the samples of a record.

    Attributes:
        widest_fan_out: the most synapses that one input spike reaches in this layer.
        recurrent: whether its own spikes come back to it.
        parameters: stored weights and biases, a kernel counted once.
        synops_nonzero: of `synops`, those at weights that are not zero; None takes all.
        delayed: whether its synapses have axonal delays.
    """

    name: str
    kind: Kind
    neurons: int
    synapses: int
    parameters: int
    widest_fan_out: int
    recurrent: bool
    spikes_in: float
    spikes_out: float
    synops: float
    updates: float
    synops_nonzero: float | None = None
    delayed: bool = False

    @property
    def chip_synops(self) -> float:
        """Synaptic operations as a chip counts them: at weights that are not zero."""
        return self.synops if self.synops_nonzero is None else self.synops_nonzero

    def cores(self, hw: HardwareProfile) -> int | None:
        """Return cores by neurons alone; None if the profile does not say how many a core holds."""
        limit = hw.limits.get("neurons_per_core")
        if limit is None or limit.high is None:
            return None
        return math.ceil(self.neurons / limit.high)


@dataclass(frozen=True)
class Workload:
    """All layers of a network over `steps` steps of one sample; `inputs` is the size of a step."""

    layers: tuple[LayerWork, ...]
    steps: int
    inputs: int
    lasting: int = 0

    def over(self, steps: int) -> Workload:
        """Return the same spikes over so many steps of the chip, in each of which all neurons are
        updated.

        `lasting` says how many, 0 as long as it is open.
        """
        layers = tuple(
            replace(layer, updates=layer.updates * steps / self.steps) for layer in self.layers
        )
        return replace(self, layers=layers, lasting=steps)

    @property
    def run_steps(self) -> int:
        """Steps until the last output: every synapse delays its spikes by one step."""
        return self.steps + len(self.layers)

    @property
    def stream_steps(self) -> int:
        """Steps that a sample costs in a stream, once the pipeline is full.

        Recurrent and delayed spikes in flight outlive a reset (docs/lava.md): such a network has
        to drain before the next sample.
        """
        drains = any(layer.recurrent or layer.delayed for layer in self.layers)
        return self.run_steps if drains else self.steps

    @property
    def synapses(self) -> int:
        """Synapses of the network, which are the multiply-accumulates of one dense pass."""
        return sum(layer.synapses for layer in self.layers)

    @property
    def density(self) -> float:
        """Part of all synapses that receives a spike in a step, mean over the run."""
        return sum(layer.synops for layer in self.layers) / (self.synapses * self.steps)

    def chips_needed(self, hw: HardwareProfile) -> int | None:
        """Return chips that the neurons need; None if the profile does not say what a chip
        holds.
        """
        cores = [layer.cores(hw) for layer in self.layers]
        per_chip = hw.chip.get("usable_cores", hw.chip.get("cores"))
        if None in cores or per_chip is None or per_chip.low is None:
            return None
        return math.ceil(sum(core for core in cores if core is not None) / per_chip.low)

    def chips_powered(self, hw: HardwareProfile, *, placed: int | None = None) -> int | None:
        """Return chips that draw static power: those needed, and never fewer than the system has.

        Args:
            hw: the target's profile.
            placed: chips that a placement takes; None counts neurons.
        """
        needed, system = placed or self.chips_needed(hw), hw.chip.get("chips")
        if needed is None:
            return None
        return max(needed, int(system.low) if system is not None and system.low else 1)


def workload(net: IntNetwork, record: Record) -> Workload:
    """Return per-sample means of a record's activity, with what follows from the network.

    Raises:
        InputError: the record has no counts, no samples, or belongs to another network.
    """
    if not record.activity or not record.samples or not record.steps:
        raise InputError(
            f"a record of {label(record.backend)} without counts, samples or steps",
            hint="run the network with the loihi backend on at least one sample",
        )
    seen = [(entry.name, entry.neurons) for entry in record.activity]
    own = [(layer.name, layer.neurons) for layer in net.layers]
    if seen != own:
        raise InputError(
            f"the record's layers {seen} are not the network's {own}",
            hint="profile the network that was run",
        )
    pairs = zip(net.layers, record.activity, strict=True)
    return Workload(
        layers=tuple(_layer_work(layer, entry, record.samples) for layer, entry in pairs),
        steps=record.steps,
        inputs=math.prod(net.input_shape),
    )


def _layer_work(layer: IntLayer, entry: LayerActivity, samples: int) -> LayerWork:
    recurrent = layer.recurrent_weight
    return LayerWork(
        name=layer.name,
        kind=layer.kind,
        neurons=entry.neurons,
        synapses=entry.synapses,
        parameters=layer.weight.size
        + (0 if layer.bias is None else layer.bias.size)
        + (0 if recurrent is None else recurrent.size),
        widest_fan_out=int(fan_out(layer).max()),
        recurrent=recurrent is not None,
        spikes_in=int(entry.spikes_in.sum()) / samples,
        spikes_out=int(entry.spikes_out.sum()) / samples,
        synops=int(entry.synops.sum()) / samples,
        updates=int(entry.updates.sum()) / samples,
        synops_nonzero=nonzero_synops(layer, entry) / samples,
        delayed=layer.delay is not None and bool(layer.delay.any()),
    )


def nonzero_synops(layer: IntLayer, entry: LayerActivity) -> float:
    """Return synaptic operations at weights that are not zero, over all samples.

    A record that did not count them is taken at the share of such weights (`estimated` says so).
    """
    if entry.synops_nonzero is not None:
        return int(entry.synops_nonzero.sum())
    arrays = [layer.weight]
    if layer.recurrent_weight is not None:
        arrays.append(layer.recurrent_weight)
    used = sum(int(np.count_nonzero(array)) for array in arrays)
    return int(entry.synops.sum()) * used / max(1, sum(array.size for array in arrays))


def estimated(net: IntNetwork, record: Record) -> tuple[str, ...]:
    """Return layers whose operations at weights that are not zero had to be estimated."""
    return tuple(
        layer.name
        for layer, entry in zip(net.layers, record.activity, strict=True)
        if entry.synops_nonzero is None and nonzero_synops(layer, entry) != entry.synops.sum()
    )
