"""A layer's synapses laid out for `kernels.deliver`: by source, in runs, summed by pattern.

A dense layer is a convolution whose kernel covers its whole input. For each column of the input,
the outputs it reaches along a row lie side by side (gaps of a dilation are filled with zeros), and
so do its weights: which taps they are depends only on the column's phase, its position modulo the
stride. Grouped convolutions are filled up with zeros, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.activity import reach
from sdcl_neuro.network.spec import Convolution, IntLayer, Shape

from .neuron_step import CELL
from .population import TABLE_BYTES, RowLayout, Weights, pattern_sums
from .vectors import run_lanes

Index = NDArray[np.uint64]

WORTH = 0.9
"""A larger group of channels is taken if it leaves less than this share of the look-ups."""
NARROW_MAX = (1 << 15) - 1
WORD_NS, GROUP_NS, RUN_NS = 2.5, 5.1, 1.3
"""Time to take a word apart, to turn to a group that spikes, and to add one run of weights. Fitted,
as `windows`' numbers are, to 184 layers and rates on a 2-core Xeon of 2023; only their ratios
choose a way, and the choice costs 0.3 % of the time on average, 18 % at worst, beside always
knowing the faster."""


@dataclass(frozen=True, eq=False)
class Synapses:
    """Synapses between two populations.

    Attributes:
        source, target: the populations.
        weight: of `dtype`, ``[C_in, kH, row]``, the rows of taps as `_taps` lays them out.
        columns: uint64 ``[6, octets of a row]`` without the octets' own offset; see `arguments`.
        octet: int64, which octet of its pixel each is.
        rows: uint64 ``[2, n]``, output row and tap, by input row.
        starts: uint64 ``[H_in + 1]``, where an input row's entries of `rows` begin.
        reach: uint64 ``[2, H]``: the first input row that reaches an output row, and the one after
            the last.
        dtype: int16 where no sum can leave it.
        far: whether an octet reaches cells in more than two words of a row's marks.
    """

    source: RowLayout
    target: RowLayout
    weight: Weights
    columns: Index
    octet: NDArray[np.int64]
    rows: Index
    starts: Index
    reach: Index
    dtype: type[np.int16] | type[np.int32]
    far: bool
    _tables: dict[int, tuple[Any, ...]] = field(default_factory=dict)

    def arguments(self, rate: float) -> tuple[Any, ...]:
        """Return what `kernels.advance` takes, with the groups of channels that suit a spike
        rate.
        """
        log = self.group(rate)
        if log not in self._tables:
            table, (row, pattern) = self._table(log)
            columns = self.columns.copy()
            per_octet = self._groups(log) * 2 ** (2**log) * pattern
            columns[1] += (self.octet * per_octet).astype(np.uint64)
            shape = np.array([log, row, pattern, self.far], np.uint64)
            self._tables[log] = (columns, self.rows, self.starts, self.reach, table, shape)
        return self._tables[log]

    def group(self, rate: float) -> int:
        """Return log2 of the channels that are looked up together when `rate` of the inputs
        spike.
        """
        best, looked_up = 0, self.source.channels * rate
        for log in (1, 2, 3):
            size = 2**log
            if size >= 2 * self.source.channels or self._bytes(log) > TABLE_BYTES:
                break
            expected = self.source.channels / size * _any_of(size, rate)
            if expected < WORTH * looked_up:
                best, looked_up = log, expected
        return best

    def nanoseconds(self, rate: float) -> float:
        """Return what delivering a step's spikes costs when `rate` of the inputs spike, by
        measurement.
        """
        log = self.group(rate)
        source, size = self.source, 1 << log
        pixels, groups = source.height * source.width, source.channels / size
        each = GROUP_NS * pixels * groups + RUN_NS * groups / source.octets * self._runs
        return WORD_NS * source.height * source.words + each * _any_of(size, rate)

    @cached_property
    def _runs(self) -> int:
        """Runs of weights that are added if in every octet one pattern is looked up."""
        return int(self.rows.shape[1]) * int(self.columns[2].sum())

    def _groups(self, log: int) -> int:
        """Return groups of an octet."""
        return -(-min(8, self.source.channels) >> log)

    def _bytes(self, log: int) -> int:
        elements = self.weight[0].size * self.source.octets * self._groups(log) * 2 ** (2**log)
        return int(elements) * np.dtype(self.dtype).itemsize

    def _table(self, log: int) -> tuple[Weights, tuple[int, int]]:
        """Return sums for every pattern, flat ``[octets, groups, patterns, kH, row]``, and elements
        of a tap's row and of a pattern.
        """
        size, groups = 2**log, self._groups(log)
        _, taps, row = self.weight.shape
        padded = np.zeros((self.source.octets, 8, taps, row), self.dtype)
        padded.reshape(-1, taps, row)[: self.source.channels] = self.weight
        members = padded[:, : groups * size].reshape(-1, groups, size, taps, row)
        return pattern_sums(members).reshape(-1), (row, taps * row)


def _any_of(size: int, rate: float) -> float:
    """Return the chance that one of so many inputs spikes."""
    silent: float = (1 - rate) ** size
    return 1 - silent


def feed_of(layer: IntLayer, source: Shape, dtype: type[np.int16] | type[np.int32]) -> Synapses:
    """Return the synapses by which a layer receives its input, a population of shape `source`."""
    before, after = RowLayout.of(source), RowLayout.of(layer.out_shape)
    return _lay_out(before, after, *as_convolution(layer, before), dtype)


def as_convolution(layer: IntLayer, source: RowLayout) -> tuple[NDArray[np.int64], Convolution]:
    """Return a layer's weights ``[C_out, C_in, kH, kW]`` and geometry, as of one group."""
    weight = layer.weight.astype(np.int64)
    if layer.convolution is None:
        shape = (layer.neurons, source.channels, source.height, source.width)
        return weight.reshape(shape), Convolution()
    return _filled_up(weight, layer.convolution.groups), layer.convolution


def echo_of(layer: IntLayer, dtype: type[np.int16] | type[np.int32]) -> Synapses | None:
    """Return a layer's recurrent synapses, if it has any."""
    if layer.recurrent_weight is None:
        return None
    own = RowLayout.of(layer.out_shape)
    weight = layer.recurrent_weight.astype(np.int64).reshape(*layer.recurrent_weight.shape, 1, 1)
    return _lay_out(own, own, weight, Convolution(), dtype)


def lane_type(layer: IntLayer) -> type[np.int16] | type[np.int32]:
    """Return int16 if no sum of a layer's weights, recurrent ones included, can leave it."""
    parts = [layer.weight, layer.recurrent_weight]
    flat = [w.astype(np.int64).reshape(len(w), -1) for w in parts if w is not None]
    joined = np.concatenate(flat, axis=1)
    above = np.where(joined > 0, joined, 0).sum(axis=1).max(initial=0)
    below = -np.where(joined < 0, joined, 0).sum(axis=1).min(initial=0)
    return np.int16 if max(above, below) <= NARROW_MAX else np.int32


def _filled_up(weight: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """Return a grouped convolution's weights with the zeros of an ungrouped one."""
    outputs, inputs, *kernel = weight.shape
    filled = np.zeros((outputs, inputs * groups, *kernel), np.int64)
    each = outputs // groups
    for group in range(groups):
        own = slice(group * each, (group + 1) * each)
        filled[own, group * inputs : (group + 1) * inputs] = weight[own]
    return filled


def _lay_out(
    source: RowLayout,
    target: RowLayout,
    weight: NDArray[np.int64],
    geometry: Convolution,
    dtype: type[np.int16] | type[np.int32],
) -> Synapses:
    """Lay out weights ``[C_out, C_in, kH, kW]``."""
    lanes = run_lanes(8 * np.dtype(dtype).itemsize)
    phases, row = _taps(geometry, weight.shape[3], target.octets * 8, lanes)
    taps = np.zeros((weight.shape[1], weight.shape[2], row), dtype)
    for phase in phases:
        for tap, slot in phase.slots:
            first = phase.start + slot * target.octets * 8
            taps[..., first : first + len(weight)] = weight[..., tap].transpose(1, 2, 0)
    columns, far = np.zeros((6, source.words * 8), np.uint64), False
    for x in range(source.width):
        octets = slice(x * source.octets, (x + 1) * source.octets)
        found, cells = _column(x, phases, geometry, target, lanes)
        marks = _marks(cells)
        far |= marks is None
        columns[:, octets] = np.array([*found, *(marks or (0, 0, 0))], np.uint64)[:, None]
    pairs = reach(source.height, weight.shape[2], axis=0, convolution=geometry)
    reached = np.zeros((2, target.height), np.uint64)
    reached[0] = source.height
    np.minimum.at(reached[0], pairs[:, 1], pairs[:, 0].astype(np.uint64))
    np.maximum.at(reached[1], pairs[:, 1], pairs[:, 0].astype(np.uint64) + np.uint64(1))
    return Synapses(
        source,
        target,
        weight=taps,
        columns=columns,
        octet=np.arange(columns.shape[1]) % source.octets,
        rows=pairs[:, 1:].T.astype(np.uint64, order="C"),
        starts=np.searchsorted(pairs[:, 0], np.arange(source.height + 1)).astype(np.uint64),
        reach=reached,
        dtype=dtype,
        far=far,
    )


@dataclass(frozen=True)
class _Phase:
    """Taps that serve the input columns of one position modulo the stride.

    Attributes:
        shift: output column of slot 0, less that of the input column's own phase.
        slots: (tap, slot) pairs; slots without a tap hold zeros.
        width: number of slots.
        start: where they begin in a row of taps.
    """

    shift: int
    slots: tuple[tuple[int, int], ...]
    width: int
    start: int


def _taps(geometry: Convolution, kernel: int, pixel: int, lanes: int) -> tuple[list[_Phase], int]:
    """Return the phases of a row of taps, and its length; a run may read a run's length beyond its
    end.
    """
    stride, dilation = geometry.stride[1], geometry.dilation[1]
    phases, start = [], 0
    for phase in range(stride):
        offsets = {
            (phase - tap * dilation) // stride: tap
            for tap in range(kernel)
            if (phase - tap * dilation) % stride == 0
        }
        low, high = min(offsets, default=0), max(offsets, default=-1)
        slots = tuple((tap, offset - low) for offset, tap in offsets.items())
        phases.append(_Phase(low, slots, high - low + 1, start))
        start += -(-(high - low + 1) * pixel // lanes) * lanes + lanes
    return phases, start


def _column(
    x: int, phases: list[_Phase], geometry: Convolution, target: RowLayout, lanes: int
) -> tuple[tuple[int, int, int], range]:
    """Return an input column's first lane, start in the row of taps and number of runs; and the
    cells that it reaches.
    """
    pixel, position = target.octets * 8, x + geometry.padding[1]
    phase = phases[position % geometry.stride[1]]
    first = position // geometry.stride[1] + phase.shift
    low, high = max(0, -first), min(phase.width, target.width - first)
    if low >= high:
        return (0, 0, 0), range(0)
    place, length = (first + low) * pixel, (high - low) * pixel
    cells = range(place // CELL, (place + length - 1) // CELL + 1)
    return (place, phase.start + low * pixel, -(-length // lanes)), cells


def _marks(cells: range) -> tuple[int, int, int] | None:
    """Return in which word the marks of cells begin, those in it and in the next; None if there are
    more.
    """
    word = cells.start // 64
    marks = (1 << cells.stop - 64 * word) - (1 << cells.start - 64 * word)
    return (word, marks % (1 << 64), marks >> 64) if marks < 1 << 128 else None
