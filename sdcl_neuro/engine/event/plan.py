"""One layer laid out for the event path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.activity import fan_out, nonzero_fan_out, nonzero_recurrent_fan_out, reach
from sdcl_neuro.network.fixed_point import CONVOLUTION_BITS, DECAY_UNITY, STATE_LIMIT, STATE_SHIFT
from sdcl_neuro.network.spec import IntLayer, IntNeuron

from ..check import largest_sum
from .kernels import CLIPPED, FULL, PLAIN
from .neuron_step import CELL
from .population import RowLayout
from .synapses import Synapses, as_convolution, echo_of, feed_of, lane_type
from .windows import Windows, windows_of

Int32 = NDArray[np.int32]
Arguments = tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]

FIRED = np.iinfo(np.int32).max
"""A membrane above every threshold starts from zero and counts as moved: as a first step does."""
RATE_LEVELS = 1 << 10
"""Rates of spikes that are told apart."""
TILE_LANES = 1 << 17
"""Neurons of a tile: states of 512 KB and sums of 256 KB lie in the second cache (measured: tiles
for the first cache lose more at their edges than they gain)."""


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """One layer for `kernels.advance`.

    Attributes:
        source, target: the populations.
        feed, echo: the synapses from the layer before, and the recurrent ones.
        windows: those of `feed` by target, for high rates.
        bias: int32 ``[lanes]``, already shifted into the state; the same for every row.
        neuron: int32 ``[5]``: share kept of the current and of the membrane (of 4096), threshold
            in the state, bits of a sum above those a convolution keeps, and the kind of step.
        only_decays: whether a neuron that receives nothing can only decay, and not fire: it need
            not be visited until it receives something.
        rest: int32 ``[lanes]``, a row of membranes before the first step.
        held: uint32 ``[cells]``, neurons of each cell of a row.
        classes, order: uint64 ``[H_in]``, which row of `fans` an input row has; and the rows in
            the order of their classes.
        fans: int32 ``[classes, 2, lanes]``, synapses of each input, and those of non-zero weight.
        echo_fans: the same for the recurrent synapses, ``[1, 2, lanes]``.
    """

    source: RowLayout
    target: RowLayout
    feed: Synapses
    echo: Synapses | None
    windows: Windows
    bias: Int32
    neuron: Int32
    only_decays: bool
    rest: Int32
    held: NDArray[np.uint32]
    classes: NDArray[np.uint64]
    order: NDArray[np.uint64]
    fans: Int32
    echo_fans: Int32
    _chosen: dict[int, Arguments] = field(default_factory=dict)

    @property
    def tile_rows(self) -> int:
        """Rows of a tile."""
        return max(1, min(self.target.height, TILE_LANES // self.target.lanes))

    @property
    def marks(self) -> int:
        """Words of a row that have a bit for each cell."""
        return -(-self.target.lanes // (64 * CELL))

    @property
    def has_current(self) -> bool:
        """Return whether its neurons have a current of their own."""
        return bool(self.neuron[4] == FULL)

    def synapses(self, rate: float) -> Arguments:
        """Return the synapses as `kernels.advance` takes them, as suits a rate of spikes at the
        input.

        Delivering spikes and looking windows up give the same sums; the faster is chosen.
        """
        level = round(rate * RATE_LEVELS)
        if level not in self._chosen:
            rate = level / RATE_LEVELS
            if self.windows.chunk and self.windows.nanoseconds < self.feed.nanoseconds(rate):
                feed, windows = self.feed.arguments(0.0), self.windows.arguments()
            else:
                feed, windows = self.feed.arguments(rate), self.windows.none()
            echo = (*feed[:4], feed[4][:0], feed[5])
            if self.echo is not None:
                echo = self.echo.arguments(0.0)
            self._chosen[level] = (feed, echo, windows)
        return self._chosen[level]


def plan_layer(layer: IntLayer, source: tuple[int, ...], largest: int) -> LayerPlan:
    """Lay out a layer whose input population has shape `source` and counts up to `largest`."""
    before, after = RowLayout.of(source), RowLayout.of(layer.out_shape)
    dtype = lane_type(layer)
    row = np.ones((after.channels, 1, after.width), np.int32)
    bias = 0 if layer.bias is None else (layer.bias.astype(np.int32) << STATE_SHIFT)[:, None, None]
    classes, first = _row_classes(layer, before)
    fans = np.stack([
        before.spread(_wide(fan, before)[:, first])
        for fan in (fan_out(layer), nonzero_fan_out(layer))
    ])  # fmt: skip
    echo_fans = np.zeros((1, 2, after.lanes), np.int32)
    if layer.recurrent_weight is not None:
        echo_fans[0, 0, : layer.neurons] = layer.neurons
        echo_fans[0, 1, : layer.neurons] = nonzero_recurrent_fan_out(layer)
    return LayerPlan(
        before,
        after,
        feed=feed_of(layer, source, dtype),
        echo=echo_of(layer, dtype),
        windows=windows_of(before, after, *as_convolution(layer, before), dtype),
        bias=after.spread((row * bias).astype(np.int32)).reshape(-1).astype(np.int32),
        neuron=(neuron := _neuron(layer, largest)),
        only_decays=not np.any(bias) and int(neuron[4]) != FULL and int(neuron[2]) >= 0,
        rest=(rest := after.spread(row * FIRED).reshape(-1).astype(np.int32)),
        held=np.count_nonzero(rest.reshape(-1, CELL), axis=1).astype(np.uint32),
        classes=classes,
        order=np.argsort(classes, kind="stable").astype(np.uint64),
        fans=np.ascontiguousarray(fans.transpose(1, 0, 2), dtype=np.int32),
        echo_fans=echo_fans,
    )


def _wide(fan: NDArray[np.int64], population: RowLayout) -> NDArray[np.int64]:
    return fan.reshape(population.channels, population.height, population.width)


def _row_classes(
    layer: IntLayer, source: RowLayout
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the class of each input row, by the kernel rows that serve it, and a row of each."""
    if layer.convolution is None:
        rows = np.arange(source.height)
        return rows.astype(np.uint64), rows
    pairs = reach(source.height, layer.kernel[0], axis=0, convolution=layer.convolution)
    served: list[list[int]] = [[] for _ in range(source.height)]
    for row, _, tap in pairs.tolist():
        served[row].append(tap)
    kinds: dict[tuple[int, ...], int] = {}
    classes = [kinds.setdefault(tuple(taps), len(kinds)) for taps in served]
    first = [classes.index(kind) for kind in range(len(kinds))]
    return np.array(classes, np.uint64), np.array(first)


def _neuron(layer: IntLayer, largest: int) -> Int32:
    neuron = layer.neuron
    arriving = largest_sum(layer, largest) << STATE_SHIFT
    bias = 0 if layer.bias is None else int(np.abs(layer.bias.astype(np.int64)).max(initial=0))
    kind = PLAIN
    # Below the limit, because Lava wraps a current of exactly -2^23 and not one of 2^23.
    if neuron.current_decay != DECAY_UNITY or arriving >= STATE_LIMIT:
        kind = FULL
    elif not _stays_below_limit(neuron, arriving + (bias << STATE_SHIFT)):
        kind = CLIPPED
    return np.array(
        [
            DECAY_UNITY - neuron.current_decay,
            DECAY_UNITY - neuron.voltage_decay,
            neuron.threshold << STATE_SHIFT,
            32 - CONVOLUTION_BITS if layer.kind == "conv" else 0,
            kind,
        ],
        dtype=np.int32,
    )


def _stays_below_limit(neuron: IntNeuron, arriving: int) -> bool:
    """Return whether no membrane can be clipped: it never exceeds arriving / (1 - kept share)."""
    return arriving * DECAY_UNITY < (STATE_LIMIT - 1) * neuron.voltage_decay
