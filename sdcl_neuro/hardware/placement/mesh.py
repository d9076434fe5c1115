"""Where cores sit on the mesh, how far their messages go, and what each layer sends.

Routers are visited in a snake over the mesh, so that cores in order are near. Two orders are
tried, layer after layer and all layers interleaved by where in the picture their tiles are; the
one with fewer hops, every neuron firing alike, is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .chip import Chip, Mesh
from .geometry import LayerGeometry, touch
from .links import CoreLink
from .tiles import Cut, Tile

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Seat:
    """Where a core is: chip, number on the chip, and its router's column and row, if known."""

    chip: int
    core: int
    column: int | None = None
    row: int | None = None


@dataclass(frozen=True)
class Ends:
    """Least, mean and most over the neurons that send, for one spike."""

    least: float
    mean: float
    most: float


@dataclass(frozen=True)
class Flow:
    """What one spike of a population costs in messages and hops.

    Attributes:
        layer: index of the sending layer; -1 is the network's input.
        messages: cores that one spike goes to.
        east_west, north_south: hops of all its messages together; None where no mesh is known,
            and for the input, which enters at an unknown place. The mean leaves out messages
            that leave the chip; the most counts two whole meshes for each of them.
        between_chips: messages of a mean spike that leave the chip.
    """

    layer: int
    messages: Ends
    east_west: Ends | None = None
    north_south: Ends | None = None
    between_chips: float = 0.0


def seats(
    chip: Chip, tiles: Sequence[Tile], cuts: Sequence[Cut], joined: Sequence[CoreLink]
) -> list[Seat]:
    """Return a seat for every tile."""
    per_chip = chip.cores or len(tiles)
    places = [_place(number, per_chip, chip.mesh) for number in range(len(tiles))]
    middle = [
        (
            sum(tile.rows) / cuts[tile.layer].rows[-1][1],
            sum(tile.columns) / cuts[tile.layer].columns[-1][1],
        )
        for tile in tiles
    ]
    by_picture = sorted(range(len(tiles)), key=lambda index: (*middle[index], index))
    best: tuple[float, list[Seat]] | None = None
    for order in (range(len(tiles)), by_picture):
        found = [places[0]] * len(tiles)
        for number, index in enumerate(order):
            found[index] = places[number]
        cost = _cost(found, joined, chip.mesh)
        if best is None or cost < best[0]:
            best = cost, found
    return [] if best is None else best[1]


def hops(source: Seat, target: Seat) -> tuple[int, int] | None:
    """Return hops east-west and north-south; None between chips or without a mesh."""
    if source.chip != target.chip or source.column is None or target.column is None:
        return None
    return abs(source.column - target.column), abs((source.row or 0) - (target.row or 0))


def _place(number: int, per_chip: int, mesh: Mesh | None) -> Seat:
    chip, core = divmod(number, per_chip)
    if mesh is None:
        return Seat(chip, core)
    row, column = divmod(core // mesh.cores_per_tile, mesh.columns)
    return Seat(chip, core, column if row % 2 == 0 else mesh.columns - 1 - column, row)


def _cost(found: Sequence[Seat], joined: Sequence[CoreLink], mesh: Mesh | None) -> float:
    """Return hops of all neurons' messages; leaving the chip counts as two whole meshes."""
    away = 2 * (mesh.columns + mesh.rows) if mesh is not None else 1
    total = 0
    for link in joined:
        source, target = found[link.source], found[link.target]
        if source.chip != target.chip:
            total += away * link.neurons
        elif mesh is not None:
            total += link.neurons * sum(hops(source, target) or (0, 0))
    return total


def flows(
    chip: Chip,
    populations: Sequence[LayerGeometry],
    tiles: Sequence[Tile],
    seated: Sequence[Seat],
    joined: Sequence[CoreLink],
) -> tuple[Flow, ...]:
    """Return what a spike of the input and of every layer sends, the last layer's to the host left
    out.
    """
    found = [_input_flow(populations[0], [tile for tile in tiles if tile.layer == 0])]
    outgoing: dict[int, list[CoreLink]] = {}
    for link in joined:
        outgoing.setdefault(tiles[link.source].layer, []).append(link)
    for layer, population in enumerate(populations):
        found.append(
            _flow(chip, layer, populations, tiles, seated, outgoing.get(layer, []))
            if layer in outgoing
            else Flow(layer, Ends(0, 0, 0))
        )
        del population
    return tuple(found)


def _input_flow(population: LayerGeometry, tiles: Sequence[Tile]) -> Flow:
    sent = np.zeros(population.in_box, dtype=np.int64)
    for tile in tiles:
        sent[_seen(population, tile)] += 1
    return Flow(-1, _ends(sent, sent))


def _flow(
    chip: Chip,
    layer: int,
    populations: Sequence[LayerGeometry],
    tiles: Sequence[Tile],
    seated: Sequence[Seat],
    outgoing: Sequence[CoreLink],
) -> Flow:
    """Add up, neuron by neuron, the messages and the hops to every core that reads it."""
    shape = populations[layer].out_box
    sent, away = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    ways = np.zeros((2, *shape), dtype=np.int64)
    for link in outgoing:
        source, target = tiles[link.source], tiles[link.target]
        where = _sending(populations[target.layer], source, target)
        sent[where] += 1
        way = hops(seated[link.source], seated[link.target])
        if way is not None:
            ways[0][where] += way[0]
            ways[1][where] += way[1]
        elif seated[link.source].chip != seated[link.target].chip:
            away[where] += 1
    if chip.mesh is None:
        return Flow(layer, _ends(sent, sent), between_chips=float(away.mean()))
    extents = chip.mesh.columns - 1, chip.mesh.rows - 1
    east_west, north_south = (
        _ends(way, way + 2 * extent * away) for way, extent in zip(ways, extents, strict=True)
    )
    return Flow(layer, _ends(sent, sent), east_west, north_south, float(away.mean()))


def _ends(low: Ints, high: Ints) -> Ends:
    return Ends(int(low.min()), float(low.mean()), int(high.max()))


def _seen(population: LayerGeometry, tile: Tile) -> tuple[Ints, ...]:
    """Return inputs of a layer that reach a tile, as an index."""
    channels = np.arange(*population.input_channels(*tile.channels))
    rows = touch(population.rows, *tile.rows).inputs
    return np.ix_(channels, rows, touch(population.columns, *tile.columns).inputs)


def _sending(reader: LayerGeometry, source: Tile, target: Tile) -> tuple[Ints, ...]:
    """Return neurons of `source` that reach `target`, as an index into the sending layer."""
    if source.layer == target.layer:  # recurrent: all to all
        return np.ix_(
            *(np.arange(*part) for part in (source.channels, source.rows, source.columns))
        )
    seen = (
        np.arange(*reader.input_channels(*target.channels)),
        touch(reader.rows, *target.rows).inputs,
        touch(reader.columns, *target.columns).inputs,
    )
    parts = (source.channels, source.rows, source.columns)
    return np.ix_(*(s[(s >= part[0]) & (s < part[1])] for s, part in zip(seen, parts, strict=True)))
