"""What a tile takes from its core: neurons, synapse memory, axons in and out, counted exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf, prod

import numpy as np
from numpy.typing import NDArray

from .geometry import LayerGeometry, Touch
from .packing import DELAY_BITS, DenseFormat, SynapseFormat, population_slots
from .tiles import Cut, Range, seen_columns, seen_rows, targets

RESOURCES: dict[str, str] = {
    "neurons": "neurons",
    "synapses": "synapses",
    "synapse_bits": "bits",
    "axons_in": "axons",
    "axons_out": "axons",
}
"""What is counted per core, with its unit."""


@dataclass(frozen=True)
class Core:
    """What one core of a chip holds, and how it stores synapses.

    Attributes:
        limits: resource to what a core has of it; what is missing is unknown.
        synapse_format: Loihi 1's packing, where the chip has it; else weights side by side.
        shared: whether a convolution's kernel is stored once in a core.
        weight_bits: of a stored weight.
        dense_format: Loihi 2's packing of dense layers, where the chip has it.
    """

    limits: Mapping[str, float] = field(default_factory=dict)
    synapse_format: SynapseFormat | None = None
    shared: bool = False
    weight_bits: int = 8
    dense_format: DenseFormat | None = None

    def with_dense_bits(self, bits: float) -> Core:
        """Return the same with another width of a dense layer's synapses."""
        return replace(self, dense_format=DenseFormat(bits))

    def without(self, names: set[str]) -> Core:
        """Return the same without some limits."""
        return replace(self, limits={k: v for k, v in self.limits.items() if k not in names})


@dataclass(frozen=True)
class ReceivingLayer:
    """The next layer, as far as it is cut: the neurons that each neuron sends to.

    Attributes:
        targets: parts that each channel, row and column reaches (`tiles.targets`).
        slots: output axon slots of one message.
    """

    targets: tuple[NDArray[np.int64], ...]
    slots: int = 1


Use = dict[str, float]


def use(
    population: LayerGeometry,
    core: Core,
    channels: Range,
    rows: Range,
    columns: Range,
    *,
    reader: ReceivingLayer | None,
    own_tiles: int = 1,
) -> Use:
    """Return what one tile of a layer takes.

    Args:
        population: the layer.
        core: how its chip stores synapses.
        channels, rows, columns: the tile.
        reader: the layer behind; None behind the last, whose spikes leave for the host.
        own_tiles: tiles of the layer itself, to which a recurrent one sends.
    """
    seen = seen_rows(population, rows), seen_columns(population, columns)
    box = channels[1] - channels[0], rows[1] - rows[0], columns[1] - columns[0]
    neurons = prod(box)
    own = population.neurons if population.recurrent else 0
    first, last = population.input_channels(*channels)
    pixels = len(seen[0].inputs) * len(seen[1].inputs)
    pooled = core.shared and core.synapse_format is not None and population.kind == "conv"
    synapses = seen[0].pairs * seen[1].pairs * population.inputs_per_group * box[0]
    sent = own_tiles * neurons if population.recurrent else 0
    if reader is not None:
        parts = zip(reader.targets, (channels, rows, columns), strict=True)
        sent += reader.slots * prod(int(counts[slice(*part)].sum()) for counts, part in parts)
    return {
        "neurons": neurons,
        "synapses": synapses + own * neurons,
        "synapse_bits": _synapse_bits(population, core, box, seen, last - first, own=own),
        "axons_in": pixels * (1 if pooled else last - first) + own,
        "axons_out": sent,
    }


def slots(population: LayerGeometry, core: Core, cut: Cut) -> int:
    """Return output slots that a message to this layer takes."""
    if not (core.shared and core.synapse_format is not None and population.kind == "conv"):
        return 1
    pixels = max(len(seen_rows(population, part).inputs) for part in cut.rows)
    pixels *= max(len(seen_columns(population, part).inputs) for part in cut.columns)
    bounds = [population.input_channels(*part) for part in cut.channels]
    return population_slots(pixels, max(stop - start for start, stop in bounds))


def reader_of(population: LayerGeometry, core: Core, cut: Cut) -> ReceivingLayer:
    """Return how the layer before sees this one once it is cut."""
    return ReceivingLayer(targets(population, cut), slots(population, core, cut))


def _synapse_bits(
    population: LayerGeometry,
    core: Core,
    box: tuple[int, int, int],
    seen: tuple[Touch, Touch],
    channels_in: int,
    *,
    own: int,
) -> float:
    """Return memory of a tile's synapses; without Loihi's packing the weights alone, a lower
    bound.
    """
    packing = core.synapse_format
    each = min(box[0], population.outputs_per_group)
    if core.dense_format is not None and population.kind != "conv":
        axons = channels_in * len(seen[0].inputs) * len(seen[1].inputs) + own
        return axons * core.dense_format.axon_bits(box[0], delayed=population.delay > 0)
    if packing is None:
        return core.weight_bits * _weights(population, core, box, seen, own=own)
    if packing.delay_bits != (delayed := _delay_bits(population)):
        packing = replace(packing, delay_bits=delayed)
    if population.kind != "conv":
        return (channels_in * len(seen[0].inputs) * len(seen[1].inputs) + own) * packing.axon_bits(
            box[0]
        )
    if core.shared:
        return _shared_bits(packing, box, seen, channels_in * each)
    # One axon an input neuron; its synapses say which neuron of the tile they reach.
    index = packing.index_bits(prod(box) - 1)
    counts = [Counter(map(len, axis.taps)) for axis in seen]
    return channels_in * sum(
        a * b * packing.axon_bits(rows * columns * each, index)
        for rows, a in counts[0].items()
        for columns, b in counts[1].items()
    )


def _shared_bits(
    packing: SynapseFormat,
    box: tuple[int, int, int],
    seen: tuple[Touch, Touch],
    per_tap: int,
) -> float:
    """Count weights once for pixels that go through the same taps; the axon adds the place.

    A neuron's index is (row * columns + column) * channels + channel within the tile, counted
    from the first neuron that the pixel reaches.
    """
    patterns = [dict(zip(axis.taps, axis.span, strict=True)) for axis in seen]
    reach = [max(found.values(), default=0) for found in patterns]
    index = packing.index_bits((reach[0] * box[2] + reach[1]) * box[0] + box[0] - 1)
    if index == inf:
        return inf
    counts = [Counter(map(len, found)) for found in patterns]
    return sum(
        a * b * packing.axon_bits(rows * columns * per_tap, index)
        for rows, a in counts[0].items()
        for columns, b in counts[1].items()
    )


def _weights(
    population: LayerGeometry,
    core: Core,
    box: tuple[int, int, int],
    seen: tuple[Touch, Touch],
    *,
    own: int,
) -> int:
    """Return weights that a tile stores."""
    if population.kind == "conv" and core.shared:
        taps = [len({tap for found in axis.taps for tap in found}) for axis in seen]
        return taps[0] * taps[1] * population.inputs_per_group * box[0]
    pairs = seen[0].pairs * seen[1].pairs * population.inputs_per_group * box[0]
    return pairs + own * prod(box)


def _delay_bits(population: LayerGeometry) -> int:
    return DELAY_BITS if population.delay else 0
