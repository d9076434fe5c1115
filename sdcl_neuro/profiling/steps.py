"""What every core does in every step of the chip, counted from the spikes of a run.

Layers are a pipeline: the input of step t reaches layer k in chip step t + k, whose spikes leave
one step later. So a sample of T steps keeps L layers busy for T + L chip steps; in a stream of
samples the next one follows after T.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.hardware.placement import Placement
from sdcl_neuro.hardware.placement.tiles import Tile
from sdcl_neuro.network.activity import reach
from sdcl_neuro.network.spec import IntLayer, IntNetwork

Counts = NDArray[np.floating[Any]]
Spikes = NDArray[np.uint8]

ELEMENTS = 1 << 23
"""Spikes that are turned into floats at a time."""


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


def layer_loads(
    net: IntNetwork,
    inputs: Spikes,
    spikes: Mapping[int, Spikes],
    placement: Placement,
) -> list[LayerLoads]:
    """Loads of every layer's cores.

    Args:
        net: the network.
        inputs: uint8 ``[T, B, *input_shape]``.
        spikes: of every layer, aligned in time with the input.
        placement: of the same network.
    """
    found = []
    tiles = _tiles_by_layer(placement, len(net.layers))
    received = inputs
    for index, layer in enumerate(net.layers):
        own, targets = spikes[index], _targets(net, tiles, index)
        sent = _in_tiles(tiles[index], layer, own, targets)
        readers = [_Reader(layer, tile) for tile in tiles[index]]
        synops, heard, arriving = _arrivals(readers, received)
        found.append(
            LayerLoads(
                neurons=np.array([tile.neurons for tile in tiles[index]], dtype=np.float32),
                synops=synops,
                heard=heard,
                arriving=arriving,
                fired=_in_tiles(tiles[index], layer, own, None),
                sent_least=sent,
                sent=sent,
                own_synops=_recurrent(layer, tiles[index], own, weights=True),
                own_heard=_recurrent(layer, tiles[index], own, weights=False),
            )
        )
        received = own
    return found


def in_chip_steps(loads: Sequence[LayerLoads], *, stream: bool) -> Iterator[LayerLoads]:
    """The same loads by chip step: ``T + L`` of one sample, or the ``T`` of a stream of its like.

    Each array becomes ``[steps, B, cores]``; in a stream the layers work on different samples at
    once, taken to be alike.
    """
    steps = len(loads[0].synops)
    for index, load in enumerate(loads):

        def moved(counts: Counts, by: int) -> Counts:
            if stream:
                return np.roll(counts, by, axis=0)
            room = np.zeros((steps + len(loads), *counts.shape[1:]), dtype=np.float32)
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
        )


class _Reader:
    """One tile's share of its layer's synapses, as a table over the inputs that it sees.

    Attributes:
        seen: index of a box around those inputs in one step of the layer's input.
        reaches: float32 of the box's shape, 1 where an input has a synapse here at all.
        fan: synapses at weights that are not zero which each drives here, flat.
    """

    def __init__(self, layer: IntLayer, tile: Tile) -> None:
        self.shape = layer.in_shape
        if layer.convolution is None:
            own = slice(*tile.channels)
            self.seen: tuple[slice, ...] = (slice(None),)
            self.shape = (prod(layer.in_shape),)
            self.fan = np.count_nonzero(layer.weight[own], axis=0).astype(np.float32)
            self.reaches = np.ones_like(self.fan)
            return
        geometry = layer.convolution
        each_in = layer.weight.shape[1]
        each_out = layer.out_shape[0] // geometry.groups
        first, last = tile.channels[0] // each_out, (tile.channels[1] - 1) // each_out
        taps = np.zeros(((last - first + 1) * each_in, *layer.kernel), dtype=np.float32)
        for group in range(first, last + 1):
            low = max(tile.channels[0], group * each_out)
            high = min(tile.channels[1], (group + 1) * each_out)
            used = np.count_nonzero(layer.weight[low:high], axis=0)
            taps[(group - first) * each_in : (group - first + 1) * each_in] = used
        axes = [_taps_of(layer, axis, part) for axis, part in enumerate((tile.rows, tile.columns))]
        self.seen = (
            slice(first * each_in, (last + 1) * each_in), *(where for where, _ in axes),
        )  # fmt: skip
        self.fan = np.einsum("cab,ya,xb->cyx", taps, axes[0][1], axes[1][1]).reshape(-1)
        rows, columns = ((table > 0).max(axis=1) for _, table in axes)
        touched = np.outer(rows, columns).astype(np.float32)
        self.reaches = np.broadcast_to(touched, (len(taps), *touched.shape))

    def inputs(self, spikes: Spikes) -> Counts:
        """float32 ``[steps, inputs]``: which of them spiked; `spikes` is ``[steps, *shape]``."""
        part = spikes.reshape(len(spikes), *self.shape)[(slice(None), *self.seen)]
        found: Counts = (part != 0).reshape(len(spikes), -1).astype(np.float32)
        return found


def _taps_of(
    layer: IntLayer, axis: int, part: tuple[int, int]
) -> tuple[slice, NDArray[np.float32]]:
    """Inputs along an axis that reach outputs in a range, and through which taps how often."""
    geometry = layer.convolution
    assert geometry is not None, "only convolutions have taps"
    pairs = reach(layer.in_shape[1 + axis], layer.kernel[axis], axis=axis, convolution=geometry)
    pairs = pairs[(pairs[:, 1] >= part[0]) & (pairs[:, 1] < part[1])]
    if not len(pairs):
        return slice(0, 0), np.zeros((0, layer.kernel[axis]), dtype=np.float32)
    start, stop = int(pairs[:, 0].min()), int(pairs[:, 0].max()) + 1
    table = np.zeros((stop - start, layer.kernel[axis]), dtype=np.float32)
    np.add.at(table, (pairs[:, 0] - start, pairs[:, 2]), 1)
    return slice(start, stop), table


def _arrivals(readers: Sequence[_Reader], received: Spikes) -> tuple[Counts, Counts, Counts]:
    """Synops, spikes heard and spikes arriving, each ``[T, B, tiles]``."""
    steps, samples = received.shape[:2]
    flat = received.reshape(steps * samples, *received.shape[2:])
    found = np.zeros((3, len(flat), len(readers)), dtype=np.float32)
    for tile, reader in enumerate(readers):
        table = np.stack([reader.fan, reader.fan != 0, reader.reaches.reshape(-1)], axis=1)
        block = max(1, ELEMENTS // max(1, len(reader.fan)))
        for start in range(0, len(flat), block):
            part = reader.inputs(flat[start : start + block])
            found[:, start : start + block, tile] = (part @ table).T
    shaped = found.reshape(3, steps, samples, len(readers))
    return shaped[0], shaped[1], shaped[2]


def _recurrent(layer: IntLayer, tiles: Sequence[Tile], own: Spikes, *, weights: bool) -> Counts:
    """What a layer's own spikes do to its tiles, ``[T, B, tiles]``."""
    steps, samples = own.shape[:2]
    if layer.recurrent_weight is None:
        return np.zeros((steps, samples, len(tiles)), dtype=np.float32)
    used = layer.recurrent_weight != 0
    fans = np.stack(
        [
            np.count_nonzero(used[slice(*tile.channels)], axis=0) if weights
            else np.ones(layer.neurons)
            for tile in tiles
        ],
        axis=1,
    )  # fmt: skip
    fired = (own.reshape(steps * samples, -1) != 0).astype(np.float32)
    counted: Counts = (fired @ fans.astype(np.float32)).reshape(steps, samples, len(tiles))
    return counted


def _in_tiles(
    tiles: Sequence[Tile], layer: IntLayer, own: Spikes, each: NDArray[np.float32] | None
) -> Counts:
    """Spikes of each tile's neurons, each counted as often as `each` says, ``[T, B, tiles]``."""
    steps, samples = own.shape[:2]
    box = _box(layer)
    flat = own.reshape(steps * samples, *box)
    found = np.zeros((len(flat), len(tiles)), dtype=np.float32)
    for index, tile in enumerate(tiles):
        part = (flat[(slice(None), *tile.slices)] != 0).reshape(len(flat), -1)
        if each is None:
            found[:, index] = part.sum(axis=1)
        else:
            found[:, index] = part.astype(np.float32) @ each[tile.slices].reshape(-1)
    return found.reshape(steps, samples, len(tiles))


def _targets(net: IntNetwork, tiles: Sequence[Sequence[Tile]], index: int) -> NDArray[np.float32]:
    """Cores that read each neuron of a layer, over its ``(C, H, W)``; the host is none."""
    layer = net.layers[index]
    box = _box(layer)
    count = np.zeros(box, dtype=np.float32)
    if layer.recurrent_weight is not None:
        count += len(tiles[index])
    if index + 1 < len(net.layers):
        reader = net.layers[index + 1]
        for tile in tiles[index + 1]:
            found = _Reader(reader, tile)
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
