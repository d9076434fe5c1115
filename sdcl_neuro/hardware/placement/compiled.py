"""Cuts layers as Loihi 2's compiler does, as far as its published logs show.

A convolution keeps its full height and all its channels in a core and takes the greatest power of
two of columns that holds fewer than `conv_neurons` neurons. This reproduces all six convolutions in
the log of lava-dl's PilotNet notebook (13, 25, 13, 3, 3 and 2 cores). A dense layer starts whole;
where its synapses exceed a core's memory it is divided by the whole-number ratio of the excess, and
again until it fits (the log: 61,440 of 12,000 words, then 12,800, ends in 12 cores).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, prod

from .geometry import LayerGeometry
from .split import LayerSplit, most_of
from .tiles import Cut, ranges, whole
from .usage import Core, ReceivingLayer, reader_of


@dataclass(frozen=True)
class CompilerRule:
    """The figures of the rule.

    Attributes:
        conv_neurons: a core of a convolution holds at most so many neurons.
        dense_bits: least and most bits that a synapse of a dense layer takes.
        note: where the rule comes from, and how old it is.
    """

    conv_neurons: int
    dense_bits: tuple[float, float]
    note: str


def compile_layers(
    populations: Sequence[LayerGeometry], core: Core, rule: CompilerRule
) -> tuple[LayerSplit, ...]:
    """Cut every layer by the rule; what no cut keeps is named in `LayerSplit.broken`."""
    found: list[LayerSplit] = []
    reader: ReceivingLayer | None = None
    for population in reversed(populations):
        cut = (
            _conv_cut(population, core, rule)
            if population.kind == "conv"
            else (_dense_cut(population, core))
        )
        most = most_of(population, core, cut, reader)
        broken = {
            name: most[name] for name, limit in core.limits.items() if most.get(name, 0) > limit
        }
        found.append(LayerSplit(cut, most, broken))
        reader = reader_of(population, core, cut)
    return tuple(reversed(found))


def dense_cores(
    population: LayerGeometry, core: Core, bits: tuple[float, float]
) -> tuple[int, int]:
    """Return fewest and most cores of a dense layer, by the least and the most bits of a synapse.

    The fewest fill every core to the last word; the most are the rule's own division.
    """
    memory = core.limits.get("synapse_bits")
    if memory is None or core.dense_format is None:
        return 1, 1
    axons = prod(population.in_box) + (population.neurons if population.recurrent else 0)
    least = max(
        ceil(axons * population.neurons * bits[0] / memory),
        ceil(population.neurons / core.limits.get("neurons", population.neurons)),
    )
    wide = core.with_dense_bits(bits[1])
    return max(1, least), _dense_cut(population, wide).count


def _dense_cut(population: LayerGeometry, core: Core) -> Cut:
    """Divide by the ratio of the excess until a part keeps the memory and the neurons of a core."""
    most = core.limits.get("neurons", population.neurons)
    parts = max(1, ceil(population.neurons / most))
    memory = core.limits.get("synapse_bits")
    axons = prod(population.in_box) + (population.neurons if population.recurrent else 0)
    while memory is not None and core.dense_format is not None:
        size = ceil(population.neurons / parts)
        taken = axons * core.dense_format.axon_bits(size, delayed=population.delay > 0)
        if taken <= memory or size == 1:
            break
        parts = min(population.neurons, parts * (int(taken // memory) + 1))
    size = ceil(population.neurons / parts)
    return Cut(ranges(population.neurons, size), ((0, 1),), ((0, 1),))


def _conv_cut(population: LayerGeometry, core: Core, rule: CompilerRule) -> Cut:
    """Return the first block of the rule that keeps a core's neurons and memory, else the
    narrowest.

    The block counts whole: 20 columns of 128 neurons are cut in two, since the next power of two
    would be 32 columns and 4096 neurons.
    """
    memory = core.limits.get("synapse_bits", float("inf"))
    most = min(rule.conv_neurons, core.limits.get("neurons", rule.conv_neurons))
    cut = whole(population)
    for block in _blocks(population):
        cut = Cut(*(ranges(n, size) for n, size in zip(population.out_box, block, strict=True)))
        if prod(block) <= most and (most_of(population, core, cut, None)["synapse_bits"] <= memory):
            return cut
    return cut


def _blocks(population: LayerGeometry) -> Iterator[tuple[int, int, int]]:
    """Yield all channels and rows over ever fewer columns; below one column fewer rows, then
    channels.

    No log shows a convolution whose single column is too large: what follows then continues the
    rule, and `narrow` says that it was needed.
    """
    channels, rows, columns = population.out_box
    yield from ((channels, rows, width) for width in _powers(columns))
    yield from ((channels, height, 1) for height in _powers(rows) if height < rows)
    yield from ((depth, 1, 1) for depth in _powers(channels) if depth < channels)


def narrow(population: LayerGeometry, cut: Cut) -> bool:
    """Return whether a convolution was cut further than the published logs show."""
    return population.kind == "conv" and (len(cut.rows) > 1 or len(cut.channels) > 1)


def _powers(extent: int) -> Iterator[int]:
    """Yield powers of two from the first that is not below `extent` down to one."""
    power = 1 << (extent - 1).bit_length()
    while power:
        yield power
        power //= 2
