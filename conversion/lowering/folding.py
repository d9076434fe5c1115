"""Pooling folded into synapses, convolutions expanded into matrices; float64, exact or refused.

Along one axis, a synapse behind pooling is ``c[o, j, x]``: what input ``x`` contributes through
kernel tap ``j`` to output ``o``. A convolution with a larger kernel has such a table too, and is
the same where, and only where, the tables are. That is so for windows that do not overlap and
divide the size, and wherever no padding reads a window that the border cut or left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import Convolution, Shape

from .pooling import Pool, PoolAxis
from .populations import Unsupported
from .synapses import Synapse

Array = NDArray[np.float64]

EXPANSION_MAX = 1 << 24
"""Weights of a dense matrix that a convolution or a pooled Linear may be expanded into."""
TABLE_MAX = 1 << 25
"""Entries of one axis' table; a 1280-pixel axis under a kernel of 7 takes a third of it."""
_POOL_MEND = (
    "use sizes that the pooling divides, or no padding after it, or a strided convolution "
    "in the pooling's place"
)
_SIZE_MEND = "use a smaller population, or no recurrence in convolutions"


@dataclass(frozen=True)
class _FoldedAxis:
    """One axis of pooling and convolution together.

    Attributes:
        table: ``[outputs, taps, inputs]``, exactly what is computed.
        stride, padding: of the one convolution that would stand for both.
        spread: ``[taps, kernel]``: what each old tap gives to each position of its kernel.
    """

    table: Array
    stride: int
    padding: int
    spread: Array

    @property
    def uniform(self) -> bool:
        """Return whether that one convolution computes the table."""
        outputs, taps, inputs = self.table.shape
        kernel = self.spread.shape[1]
        if outputs != (inputs + 2 * self.padding - kernel) // self.stride + 1:
            return False
        other = np.zeros((outputs, taps, inputs + 2 * self.padding + kernel))
        for output in range(outputs):
            start = self.stride * output
            other[output, :, start : start + kernel] = self.spread
        return np.allclose(
            self.table, other[:, :, self.padding : self.padding + inputs], rtol=1e-12, atol=0
        )


def pool_before(pool: Pool, synapse: Synapse, *, source: Shape) -> Synapse | None:
    """Fold `pool` and the convolution after it into one; None if that is impossible."""
    return _merged(synapse, _axes(synapse, before=pool), source, synapse.bias)


def pool_behind(synapse: Synapse, pool: Pool) -> Synapse | None:
    """Fold a convolution and the `pool` after it into one; None if that is impossible."""
    bias = synapse.bias
    if bias is not None and bias.any():
        sums = np.outer(pool.rows.matrix.sum(1), pool.columns.matrix.sum(1))
        if not np.allclose(sums, sums[0, 0], rtol=1e-12, atol=0):
            return None
        bias = bias * sums[0, 0]
    return _merged(synapse, _axes(synapse, behind=pool), synapse.in_shape, bias)


def pool_into_dense(pool: Pool, synapse: Synapse, *, source: Shape) -> Synapse:
    """Return a dense matrix that reads what `pool` reads; `Unsupported` beyond `EXPANSION_MAX`
    weights.
    """
    outputs, size = len(synapse.weight), pool.size
    _expect_small(outputs * prod(source), f"{pool.text} in a matrix", _POOL_MEND)
    weight = synapse.weight.reshape(outputs, source[0], *size)
    whole = np.einsum(
        "ncyx,yh,xw->nchw", weight, pool.rows.matrix, pool.columns.matrix, optimize=True
    )
    return replace(synapse, weight=whole.reshape(outputs, -1), in_shape=source)


def expand(synapse: Synapse, *, pool: Pool | None = None, source: Shape, extra: int = 0) -> Synapse:
    """Return a convolution, and pooling before it, as a dense matrix in torch's (c, y, x) order.

    Args:
        synapse: a convolution.
        pool: what stands before it.
        source: ``(C, H, W)`` before pooling.
        extra: weights that the layer needs beside it.

    Raises:
        Unsupported: beyond `EXPANSION_MAX` weights.
    """
    geometry, weight = _geometry(synapse), synapse.weight
    outputs, inputs = prod(synapse.out_shape), prod(source)
    what = f"{synapse.name!r}" if pool is None else f"{synapse.name!r} after {pool.text}"
    hint = _SIZE_MEND if pool is None else _POOL_MEND
    _expect_small(outputs * inputs + extra, f"{what}, as a matrix,", hint)
    rows, columns = _axes(synapse, before=pool)
    whole = np.zeros((*synapse.out_shape, *source))
    per_out, per_in = len(weight) // geometry.groups, weight.shape[1]
    for group in range(geometry.groups):
        out, into = (slice(group * n, (group + 1) * n) for n in (per_out, per_in))
        whole[out, :, :, into] = np.einsum(
            "ocjl,yjh,xlw->oyxchw", weight[out], rows.table, columns.table, optimize=True
        )
    bias = synapse.bias
    return Synapse(
        name=synapse.name,
        kind="dense",
        weight=whole.reshape(outputs, inputs),
        in_shape=source,
        out_shape=(outputs,),
        bias=None if bias is None else np.repeat(bias, prod(synapse.out_shape[1:])),
        offset_size=synapse.offset_size,
    )


def _expect_small(weights: int, what: str, hint: str) -> None:
    if weights > EXPANSION_MAX:
        raise Unsupported([(f"{what} takes {weights:,} weights, beyond {EXPANSION_MAX:,}", hint)])


def _merged(
    synapse: Synapse, axes: tuple[_FoldedAxis, _FoldedAxis], source: Shape, bias: Array | None
) -> Synapse | None:
    rows, columns = axes
    if not (rows.uniform and columns.uniform):
        return None
    weight = np.einsum(
        "ocjl,jp,lq->ocpq", synapse.weight, rows.spread, columns.spread, optimize=True
    )
    geometry = Convolution(
        stride=(rows.stride, columns.stride),
        padding=(rows.padding, columns.padding),
        groups=_geometry(synapse).groups,
    )
    return Synapse(
        name=synapse.name,
        kind="conv",
        weight=weight,
        in_shape=source,
        out_shape=(len(weight), len(rows.table), len(columns.table)),
        bias=bias,
        convolution=geometry,
        offset_size=synapse.offset_size,
    )


def _geometry(synapse: Synapse) -> Convolution:
    if synapse.convolution is None:
        raise TypeError(f"{synapse.name} is not a convolution")
    return synapse.convolution


def _axes(
    synapse: Synapse, *, before: Pool | None = None, behind: Pool | None = None
) -> tuple[_FoldedAxis, _FoldedAxis]:
    first = (None, None) if before is None else (before.rows, before.columns)
    last = (None, None) if behind is None else (behind.rows, behind.columns)
    rows, columns = (_axis(synapse, k, before=first[k], behind=last[k]) for k in range(2))
    return rows, columns


def _axis(
    synapse: Synapse, index: int, *, before: PoolAxis | None, behind: PoolAxis | None
) -> _FoldedAxis:
    """Return a convolution's table along an axis, with pooling before or after it."""
    geometry = _geometry(synapse)
    stride, padding, dilation = (
        pair[index] for pair in (geometry.stride, geometry.padding, geometry.dilation)
    )
    taps, inputs = synapse.weight.shape[2 + index], synapse.in_shape[1 + index]
    outputs = (inputs + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
    if outputs * taps * inputs > TABLE_MAX:
        what = f"{synapse.name!r}: {taps} taps over an axis of {inputs} are too many to fold"
        raise Unsupported([(what, _POOL_MEND)])
    where = stride * np.arange(outputs)[:, None] + dilation * np.arange(taps) - padding
    table = (where[:, :, None] == np.arange(inputs)).astype(np.float64)
    starts = dilation * np.arange(taps)
    pattern = np.ones(1)
    if before is not None:
        table = table @ before.matrix
        starts, pattern = before.stride * starts, before.template
        padding = before.stride * padding + before.padding
        stride = before.stride * stride
    if behind is not None:
        table = np.einsum("io,ojx->ijx", behind.matrix, table)
        pattern = np.zeros(stride * (len(behind.template) - 1) + 1)
        pattern[::stride] = behind.template
        padding = stride * behind.padding + padding
        stride = stride * behind.stride
    spread = np.zeros((taps, starts[-1] + len(pattern)))
    for tap, start in enumerate(starts):
        spread[tap, start : start + len(pattern)] = pattern
    return _FoldedAxis(table, int(stride), int(padding), spread)
