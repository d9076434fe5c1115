"""Synapses between two layouts as one convolution, or as one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import Convolution

from ..folding import EXPANSION_MAX
from .layout import Layout, Place
from .shapes import Misfit

Integers = NDArray[np.int32]
Indices = NDArray[np.int64]

GEOMETRY_MAX = 127
"""Lava holds kernel, stride and padding in int8 (`netx.constraints`)."""
_LARGE = "use sizes that strides and pooling divide, fewer skips past it, or smaller layers"


@dataclass(frozen=True)
class Link:
    """Synapses from places of the layer before into one place of a layer.

    Attributes:
        target: where they lead.
        source: the node they come from.
        copies: from how many copies of it.
        of: the node's channels that are read, ``[C_in]``.
        weight: int ``[C_out, C_in, J, L]``; ``[C_out]`` from channel to channel, with one tap.
        rows, columns: ``[H_out, J]``, ``[W_out, L]``, the input that each tap reads.
    """

    target: Place
    source: str
    copies: int
    of: Indices
    weight: NDArray[np.int64]
    rows: Indices
    columns: Indices


@dataclass(frozen=True)
class Tap:
    """One tap of an axis in a convolution's terms.

    Attributes:
        out_phase, tap, in_phase: phases in the layouts, and the link's own tap.
        offset: input row ``stride y + offset`` of the layer before.
    """

    out_phase: int
    tap: int
    in_phase: int
    offset: int


def axis_taps(
    hits: Indices, *, phases: int, before: int, stride: int, size: int
) -> list[Tap] | None:
    """Return taps of an axis, or None where they do not repeat along it.

    Args:
        hits: ``[outputs, J]``.
        phases: the output's rows in one of the layer's.
        before: the input's rows in one of the layer before.
        stride: of the convolution between the layers.
        size: the input's rows.
    """
    found = []
    step = stride * before
    for phase in range(phases):
        each = hits[phase::phases]
        start = step * np.arange(len(each))
        for tap in range(hits.shape[1]):
            reads = each[:, tap] >= 0
            if not reads.any():
                continue
            offset = int(each[reads, tap][0] - start[reads][0])
            where = start + offset
            inside = (where >= 0) & (where < size)
            if (np.where(inside, where, -1) != each[:, tap]).any():
                return None
            found.append(Tap(phase, tap, offset % before, offset // before))
    return found


def as_convolution(
    links: Sequence[Link], before: Layout, layer: Layout
) -> tuple[Integers, Convolution] | None:
    """Return the kernel ``[C, C_before, kH, kW]`` and geometry of all links; None where there is
    none.
    """
    axes = []
    for axis in range(2):
        found = _axis(links, before, layer, axis)
        if found is None:
            return None
        axes.append(found)
    (row_taps, (stride_y, pad_y, kernel_y)), (column_taps, (stride_x, pad_x, kernel_x)) = axes
    shape = (layer.shape[0], before.shape[0], kernel_y, kernel_x)
    _expect_small(prod(shape))
    weight = np.zeros(shape, np.int32)
    for link, rows, columns in zip(links, row_taps, column_taps, strict=True):
        out = layer.channels(link.target)
        for copy in range(link.copies):
            for place in before.find(link.source, copy=copy):
                pick, into = _shared(link, place)
                into = before.channels(place)[into]
                for row in rows:
                    for column in columns:
                        y, x = row.offset + pad_y, column.offset + pad_x
                        targets = out[:, row.out_phase, column.out_phase]
                        sources = into[:, row.in_phase, column.in_phase]
                        _put(weight, (y, x), targets, sources, link, pick, (row.tap, column.tap))
    geometry = Convolution(stride=(stride_y, stride_x), padding=(pad_y, pad_x))
    return weight, geometry


def _put(
    weight: Integers,
    at: tuple[int, int],
    targets: Indices,
    sources: Indices,
    link: Link,
    pick: Indices,
    tap: tuple[int, int],
) -> None:
    if link.weight.ndim == 1:
        weight[targets[pick], sources, at[0], at[1]] += link.weight[pick]
    else:
        values = link.weight[:, pick, tap[0], tap[1]]
        weight[targets[:, None], sources, at[0], at[1]] += values


def _shared(link: Link, place: Place) -> tuple[Indices, Indices]:
    """Return which of the link's channels a place has, and where in the place."""
    where = {int(channel): k for k, channel in enumerate(place.channels)}
    pairs = [(k, where[int(c)]) for k, c in enumerate(link.of) if int(c) in where]
    picked = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    return picked[:, 0], picked[:, 1]


def _axis(
    links: Sequence[Link], before: Layout, layer: Layout, axis: int
) -> tuple[list[list[Tap]], tuple[int, int, int]] | None:
    """Return taps of every link along an axis, and stride, padding and kernel of the
    convolution.
    """
    inputs, outputs = before.shape[1 + axis], layer.shape[1 + axis]
    first = max(1, inputs // outputs)
    for stride in dict.fromkeys((first, *range(1, min(inputs, GEOMETRY_MAX) + 1))):
        taps = _link_taps(links, before, layer, axis, stride)
        if taps is None:
            continue
        offsets = [tap.offset for each in taps for tap in each] or [0]
        left, right = max(0, -min(offsets)), max(offsets) + 1
        spare = inputs + left - right - stride * (outputs - 1)
        if spare >= stride:
            right += spare - stride + 1
        elif spare < 0:
            left -= spare
        if max(left + right, left, stride) <= GEOMETRY_MAX:
            return taps, (stride, left, left + right)
    return None


def _link_taps(
    links: Sequence[Link], before: Layout, layer: Layout, axis: int, stride: int
) -> list[list[Tap]] | None:
    found = []
    for link in links:
        hits = link.rows if axis == 0 else link.columns
        sizes = [place.size for place in before.find(link.source)]
        taps = axis_taps(
            hits,
            phases=layer.factor(link.target.size)[axis],
            before=before.factor(sizes[0])[axis],
            stride=stride,
            size=sizes[0][axis],
        )
        if taps is None:
            return None
        found.append(taps)
    return found


def as_matrix(links: Sequence[Link], before: Layout, layer: Layout) -> Integers:
    """Return the matrix ``[N, N_before]`` of all links."""
    shape = prod(layer.shape), prod(before.shape)
    _expect_small(prod(shape))
    weight = np.zeros(shape, np.int32)
    for link in links:
        out = layer.neurons(link.target)
        for copy in range(link.copies):
            for place in before.find(link.source, copy=copy):
                pick, into = _shared(link, place)
                _fill(weight, link, out, pick, before.neurons(place)[into])
    return weight


def _fill(weight: Integers, link: Link, out: Indices, pick: Indices, sources: Indices) -> None:
    for j in range(link.rows.shape[1]):
        rows = np.flatnonzero(link.rows[:, j] >= 0)
        for k in range(link.columns.shape[1]):
            columns = np.flatnonzero(link.columns[:, k] >= 0)
            if not (len(rows) and len(columns)):
                continue
            targets = out[:, rows[:, None], columns]
            read = sources[:, link.rows[rows, j][:, None], link.columns[columns, k]]
            if link.weight.ndim == 1:
                values = np.broadcast_to(link.weight[pick][:, None, None], read.shape)
                weight[targets[pick], read] += values.astype(np.int32)
            else:
                values = link.weight[:, pick, j, k][:, :, None, None]
                weight[targets[:, None], read[None]] += values.astype(np.int32)


def _expect_small(weights: int) -> None:
    if weights > EXPANSION_MAX:
        what = f"one layer of {weights:,} weights, zeros included; the limit is {EXPANSION_MAX:,}"
        raise Misfit(what, _LARGE)
