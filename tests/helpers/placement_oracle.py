"""Placement counted synapse by synapse, without any of the product's shortcuts."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from math import ceil

import numpy as np

from sdcl_neuro.hardware.placement.geometry import LayerGeometry
from sdcl_neuro.hardware.placement.tiles import Tile

Neuron = tuple[int, int, int]
Synapse = tuple[Neuron, Neuron, tuple[int, int]]


def synapses(population: LayerGeometry) -> list[Synapse]:
    """(input, output, tap) of every synapse that is not recurrent."""
    found = []
    (channels_in, height, width), outside = population.in_box, population.out_box
    per_in, per_out = channels_in // population.groups, outside[0] // population.groups
    for c, r, w in product(*map(range, outside)):
        for i, a, b in product(
            range(per_in), range(population.rows.kernel), range(population.columns.kernel)
        ):
            y = r * population.rows.stride + a * population.rows.dilation - population.rows.padding
            x = w * population.columns.stride + b * population.columns.dilation
            x -= population.columns.padding
            if 0 <= y < height and 0 <= x < width:
                found.append((((c // per_out) * per_in + i, y, x), (c, r, w), (a, b)))
    return found


def owner(tiles: list[Tile]) -> dict[tuple[int, Neuron], int]:
    """Tile of every neuron; a neuron placed twice is a failure."""
    found: dict[tuple[int, Neuron], int] = {}
    for index, tile in enumerate(tiles):
        for neuron in product(*(range(*part) for part in (tile.channels, tile.rows, tile.columns))):
            assert (tile.layer, neuron) not in found, "placed twice"
            found[tile.layer, neuron] = index
    return found


def axon_bits(count: int, weight_bits: int, index_bits: int, delay_bits: int) -> int:
    """nengo-loihi's formula, group by group."""
    bits = 0
    for start in range(0, count, 64):
        group = min(64, count - start)
        bits += 64 * ceil((group * (weight_bits + delay_bits + index_bits) + 10) / 64)
    return bits


def count(
    populations: list[LayerGeometry], tiles: list[Tile], *, pooled: bool
) -> tuple[list[dict[str, int]], dict[tuple[int, int], int], np.ndarray]:
    """What each tile takes, who sends to whom, inputs that reach each tile.

    Args:
        pooled: whether convolutions use population axons and share their weights.
    """
    where = owner(tiles)
    sends: dict[tuple[int, int], set[Neuron]] = defaultdict(set)
    into: list[dict[Neuron, list[Synapse]]] = [defaultdict(list) for _ in tiles]
    arriving: list[set[Neuron]] = [set() for _ in tiles]
    recurrent = [0] * len(tiles)
    for layer, population in enumerate(populations):
        for synapse in synapses(population):
            target = where[layer, synapse[1]]
            into[target][synapse[0]].append(synapse)
            if layer:
                sends[where[layer - 1, synapse[0]], target].add(synapse[0])
            else:
                arriving[target].add(synapse[0])
        if population.kind == "dense_rec":
            own = [index for index, tile in enumerate(tiles) if tile.layer == layer]
            for target, neuron in product(own, product(*map(range, population.out_box))):
                sends[where[layer, neuron], target].add(neuron)
                recurrent[target] += 1
    uses = []
    for index, tile in enumerate(tiles):
        population = populations[tile.layer]
        shared = pooled and population.kind == "conv"
        axons = {source[1:] if shared else source for source in into[index]}
        stored = sum(map(len, into[index].values())) + recurrent[index] * tile.neurons
        uses.append(
            {
                "neurons": tile.neurons,
                "synapses": stored,
                "axons_in": len(axons) + recurrent[index],
                "synapse_bits": _bits(population, tile, into[index], recurrent[index], shared),
            }
        )
    return (
        uses,
        {pair: len(found) for pair, found in sends.items()},
        np.array([len(found) for found in arriving]),
    )


def _bits(
    population: LayerGeometry,
    tile: Tile,
    into: dict[Neuron, list[Synapse]],
    recurrent: int,
    shared: bool,
) -> int:
    delay = 6 if population.delay else 0
    widths = (0, 6, 7, 8, 9, 10, 11, 12)
    if population.kind != "conv":
        own = recurrent * axon_bits(tile.neurons, 8, 0, delay)
        return own + sum(axon_bits(len(found), 8, 0, delay) for found in into.values())
    channels, _, columns = tile.box
    if not shared:
        index = next(width for width in widths if 2**width >= tile.neurons)
        return sum(axon_bits(len(found), 8, index, delay) for found in into.values())

    def place(neuron: Neuron) -> int:
        row, column = neuron[1] - tile.rows[0], neuron[2] - tile.columns[0]
        return (row * columns + column) * channels + neuron[0] - tile.channels[0]

    pixels: dict[tuple[int, int], list[Synapse]] = defaultdict(list)
    for source, found in into.items():
        pixels[source[1:]] += found
    kinds, largest = {}, 0
    for found in pixels.values():
        kinds[tuple(sorted({tap for _, _, tap in found}))] = len(found)
        # Counted from the first pixel of the tile that this one reaches, all channels there.
        first = min(neuron[1:] for _, neuron, _ in found)
        last = max(neuron[1:] for _, neuron, _ in found)
        base = place((tile.channels[0], *first))
        largest = max(largest, place((tile.channels[1] - 1, *last)) - base)
    index = next(width for width in widths if 2**width > largest)
    return sum(axon_bits(size, 8, index, delay) for size in kinds.values())
