"""What every core does in every step of the chip, counted from the spikes of a run.

Layers are a pipeline: the input of step t reaches layer k in chip step t + k, whose spikes leave
one step later. So a sample of T steps keeps L layers busy for T + L chip steps; in a stream of
samples the next one follows after T.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.hardware.placement import Placement
from sdcl_neuro.hardware.placement.tiles import Tile
from sdcl_neuro.network.activity import reach
from sdcl_neuro.network.spec import IntLayer, IntNetwork

from .turns import TURNS, Turns, input_turns, neuron_turns

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Counts = NDArray[np.floating[Any]]
Spikes = NDArray[np.uint8]


@dataclass(frozen=True)
class LayerLoads:
    """What the cores of one layer do, each ``[T, B, cores]``, by the layer's own step.

    Attributes:
        neurons: of each core, ``[cores]``: its updates in every chip step.
        synops: at weights that are not zero, from the layer before.
        heard: spikes from there that reach a weight which is not zero.
        arriving: spikes from there that reach the core at all.
        own_synops, own_heard: the same of the layer's own spikes, one step later.
        fired: spikes of the core's neurons.
        sent_least, sent: messages to cores that read them; the same where they are known.
        turn_synops, turn_arriving: `synops` and `arriving` by the sender's turn,
            ``[T, B, cores * TURNS]`` (`turns`); None where only means are known.
    """

    neurons: Counts
    synops: Counts
    heard: Counts
    arriving: Counts
    own_synops: Counts
    own_heard: Counts
    fired: Counts
    sent_least: Counts
    sent: Counts
    turn_synops: Counts | None = None
    turn_arriving: Counts | None = None


def layer_loads(
    net: IntNetwork,
    inputs: Spikes,
    spikes: Mapping[int, Spikes],
    placement: Placement,
) -> list[LayerLoads]:
    """Return loads of every layer's cores.

    Args:
        net: the network.
        inputs: uint8 ``[T, B, *input_shape]``.
        spikes: of every layer, aligned in time with the input.
        placement: of the same network.
    """
    found = []
    tiles = _tiles_by_layer(placement, len(net.layers))
    received = _Spikes.of(inputs)
    turns = input_turns(received.fired)
    for index, layer in enumerate(net.layers):
        own, targets = _Spikes.of(spikes[index]), _targets(net, tiles, index)
        sent = _in_tiles(tiles[index], layer, own, targets)
        readers = [_TileReader(layer, tile) for tile in tiles[index]]
        synops, heard, arriving = _arrivals(readers, received)
        turn_synops, turn_arriving = _arrivals_in_turn(readers, received, turns)
        found.append(
            LayerLoads(
                neurons=np.array([tile.neurons for tile in tiles[index]], dtype=np.float64),
                synops=synops,
                heard=heard,
                arriving=arriving,
                fired=_in_tiles(tiles[index], layer, own, np.ones(layer.neurons)),
                sent_least=sent,
                sent=sent,
                own_synops=_recurrent(layer, tiles[index], own, weights=True),
                own_heard=_recurrent(layer, tiles[index], own, weights=False),
                turn_synops=turn_synops,
                turn_arriving=turn_arriving,
            )
        )
        received, turns = own, neuron_turns(_box(layer), tiles[index])
    return found


def in_chip_steps(loads: Sequence[LayerLoads], *, stream: bool) -> Iterator[LayerLoads]:
    """Yield the same loads by chip step: ``T + L`` of one sample, or the ``T`` of a stream of its
    like.

    Each array becomes ``[steps, B, cores]``; in a stream the layers work on different samples at
    once, taken to be alike.
    """
    steps = len(loads[0].synops)
    for index, load in enumerate(loads):

        def moved(counts: Counts, by: int) -> Counts:
            if stream:
                return np.roll(counts, by, axis=0)
            room = np.zeros((steps + len(loads), *counts.shape[1:]), dtype=np.float64)
            room[by : by + steps] = counts
            return room

        yield LayerLoads(
            neurons=load.neurons,
            synops=moved(load.synops, index),
            heard=moved(load.heard, index),
            arriving=moved(load.arriving, index),
            own_synops=moved(load.own_synops, index + 1),
            own_heard=moved(load.own_heard, index + 1),
            fired=moved(load.fired, index + 1),
            sent_least=moved(load.sent_least, index + 1),
            sent=moved(load.sent, index + 1),
            turn_synops=None if load.turn_synops is None else moved(load.turn_synops, index),
            turn_arriving=None if load.turn_arriving is None else moved(load.turn_arriving, index),
        )


class _TileReader:
    """One tile's share of its layer's synapses, as tables over the inputs that it sees.

    Attributes:
        seen: index of a box around those inputs in one step of the layer's input.
        shape: of that step.
        reaches: of the box's shape, whether an input has a synapse here at all.
        fan: of the same shape, synapses at weights that are not zero which each drives here.
    """

    def __init__(self, layer: IntLayer, tile: Tile) -> None:
        self.shape = layer.in_shape
        if layer.convolution is None:
            self.seen: tuple[slice, ...] = (slice(None),)
            self.shape = (prod(layer.in_shape),)
            self.fan = np.count_nonzero(layer.weight[slice(*tile.channels)], axis=0)
            self.reaches = np.ones(self.shape, dtype=bool)
            return
        geometry = layer.convolution
        each_in = layer.weight.shape[1]
        each_out = layer.out_shape[0] // geometry.groups
        first, last = tile.channels[0] // each_out, (tile.channels[1] - 1) // each_out
        taps = np.zeros(((last - first + 1) * each_in, *layer.kernel), dtype=np.int64)
        for group in range(first, last + 1):
            low = max(tile.channels[0], group * each_out)
            high = min(tile.channels[1], (group + 1) * each_out)
            used = np.count_nonzero(layer.weight[low:high], axis=0)
            taps[(group - first) * each_in : (group - first + 1) * each_in] = used
        axes = [_taps_of(layer, axis, part) for axis, part in enumerate((tile.rows, tile.columns))]
        self.seen = (
            slice(first * each_in, (last + 1) * each_in), *(where for where, _ in axes),
        )  # fmt: skip
        self.fan = np.einsum("cab,ya,xb->cyx", taps, axes[0][1], axes[1][1], optimize=True)
        rows, columns = ((table > 0).max(axis=1) for _, table in axes)
        self.reaches = np.broadcast_to(rows[:, None] & columns, self.fan.shape)

    def entries(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return flat inputs that have a synapse here, and how many of theirs are not zero."""
        every = np.arange(prod(self.shape)).reshape(self.shape)[self.seen]
        return every[self.reaches], self.fan[self.reaches]


def _taps_of(layer: IntLayer, axis: int, part: tuple[int, int]) -> tuple[slice, NDArray[np.int64]]:
    """Return inputs along an axis that reach outputs in a range, and through which taps how
    often.
    """
    geometry = layer.convolution
    assert geometry is not None, "only convolutions have taps"
    pairs = reach(layer.in_shape[1 + axis], layer.kernel[axis], axis=axis, convolution=geometry)
    pairs = pairs[(pairs[:, 1] >= part[0]) & (pairs[:, 1] < part[1])]
    if not len(pairs):
        return slice(0, 0), np.zeros((0, layer.kernel[axis]), dtype=np.int64)
    start, stop = int(pairs[:, 0].min()), int(pairs[:, 0].max()) + 1
    table = np.zeros((stop - start, layer.kernel[axis]), dtype=np.int64)
    np.add.at(table, (pairs[:, 0] - start, pairs[:, 2]), 1)
    return slice(start, stop), table


@dataclass(frozen=True)
class _Spikes:
    """Who spikes in which step, as a sparse matrix ``[T B, neurons]`` of ones."""

    steps: int
    samples: int
    matrix: csr_array

    @classmethod
    def of(cls, spikes: Spikes) -> _Spikes:
        steps, samples = spikes.shape[:2]
        flat = spikes.reshape(steps * samples, -1)
        rows, columns = np.nonzero(flat)
        ones = np.ones(len(rows))
        return cls(steps, samples, _sparse(ones, (rows, columns), flat.shape))

    @property
    def fired(self) -> NDArray[np.bool_]:
        """Return which neurons spike in any step, ``[neurons]``."""
        found = np.zeros(self.matrix.shape[1], dtype=bool)
        found[self.matrix.indices] = True
        return found

    def summed(self, tables: csr_array | NDArray[np.float64]) -> Counts:
        """Return what the spikes of each step add up to in ``[neurons, columns]``: ``[T, B,
        columns]``.
        """
        found = self.matrix @ tables
        dense = found.toarray() if hasattr(found, "toarray") else found
        counts: Counts = np.asarray(dense).reshape(self.steps, self.samples, -1)
        return counts


def _sparse(
    values: NDArray[np.float64], where: tuple[NDArray[Any], ...], shape: tuple[int, ...]
) -> csr_array:
    """Return a sparse matrix of values and their rows and columns; SciPy is loaded on first use."""
    from scipy.sparse import csr_array

    return csr_array((values, where), shape=shape)


def _arrivals(readers: Sequence[_TileReader], received: _Spikes) -> tuple[Counts, Counts, Counts]:
    """Return synops, spikes heard and spikes arriving, each ``[T, B, tiles]``."""
    tiles = len(readers)
    entries = [reader.entries() for reader in readers]
    rows = np.concatenate([inputs for inputs, _ in entries])
    fans = np.concatenate([fan for _, fan in entries])
    columns = np.repeat(np.arange(tiles), [len(inputs) for inputs, _ in entries])
    values = np.concatenate([fans, fans != 0, np.ones(len(fans))]).astype(np.float64)
    where = np.tile(rows, 3), np.concatenate([columns, columns + tiles, columns + 2 * tiles])
    table = _sparse(values, where, (prod(readers[0].shape), 3 * tiles))
    found = received.summed(table)
    return found[..., :tiles], found[..., tiles : 2 * tiles], found[..., 2 * tiles :]


def _arrivals_in_turn(
    readers: Sequence[_TileReader], received: _Spikes, turns: Turns
) -> tuple[Counts, Counts]:
    """Return synops and spikes arriving by the sender's turn, each ``[T, B, tiles * TURNS]``."""
    entries = [reader.entries() for reader in readers]
    rows = np.concatenate([inputs for inputs, _ in entries])
    fans = np.concatenate([fan for _, fan in entries]).astype(np.float64)
    columns = np.repeat(np.arange(len(readers)), [len(inputs) for inputs, _ in entries])
    where = rows, columns * TURNS + turns[rows]
    shape = prod(readers[0].shape), len(readers) * TURNS
    synops, arriving = (_sparse(values, where, shape) for values in (fans, fans * 0 + 1))
    return received.summed(synops), received.summed(arriving)


def _recurrent(layer: IntLayer, tiles: Sequence[Tile], own: _Spikes, *, weights: bool) -> Counts:
    """Return what a layer's own spikes do to its tiles, ``[T, B, tiles]``."""
    if layer.recurrent_weight is None:
        return np.zeros((own.steps, own.samples, len(tiles)))
    if not weights:
        return own.summed(np.ones((layer.neurons, len(tiles))))
    used = layer.recurrent_weight != 0
    fans = [np.count_nonzero(used[slice(*tile.channels)], axis=0) for tile in tiles]
    return own.summed(np.stack(fans, axis=1).astype(np.float64))


def _in_tiles(
    tiles: Sequence[Tile], layer: IntLayer, own: _Spikes, each: NDArray[np.float64]
) -> Counts:
    """Return spikes of each tile's neurons, each counted as often as `each` says, ``[T, B,
    tiles]``.
    """
    owner = np.zeros(_box(layer), dtype=np.int64)
    for index, tile in enumerate(tiles):
        owner[tile.slices] = index
    where = np.arange(layer.neurons), owner.reshape(-1)
    table = _sparse(each.reshape(-1), where, (layer.neurons, len(tiles)))
    return own.summed(table)


def _targets(net: IntNetwork, tiles: Sequence[Sequence[Tile]], index: int) -> NDArray[np.float64]:
    """Return cores that read each neuron of a layer, over its ``(C, H, W)``; the host is none."""
    layer = net.layers[index]
    count = np.zeros(_box(layer))
    if layer.recurrent_weight is not None:
        count += len(tiles[index])
    if index + 1 < len(net.layers):
        reader = net.layers[index + 1]
        for tile in tiles[index + 1]:
            found = _TileReader(reader, tile)
            if reader.convolution is None:
                count += 1
            else:
                count[found.seen] += found.reaches
    return count


def _tiles_by_layer(placement: Placement, layers: int) -> list[list[Tile]]:
    found: list[list[Tile]] = [[] for _ in range(layers)]
    for tile in placement.tiles:
        found[tile.layer].append(tile)
    return found


def _box(layer: IntLayer) -> tuple[int, int, int]:
    if len(layer.out_shape) == 3:
        return layer.out_shape[0], layer.out_shape[1], layer.out_shape[2]
    return layer.neurons, 1, 1
