"""Sum and average pooling as one matrix per axis, which is all that folding has to know of it.

Every pooling here is separable: ``y[i, j] = sum_x sum_z rows[i, x] columns[j, z] in[x, z]``. Where
all windows look alike it is also a convolution with one channel after another: a *template* put
at ``stride * i - padding``. Borders, truncated windows and adaptive sizes may break that; whoever
folds compares the template with the matrix, position by position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import Pair

Array = NDArray[np.float64]
Divide = Literal["all", "inside", "none"]

AXIS_MAX = 4096
"""Longest axis and window: beyond any event sensor, and what bounds memory here."""


@dataclass(frozen=True)
class PoolAxis:
    """Pooling along one axis.

    Attributes:
        matrix: ``[size after, size before]``, exactly what is computed.
        stride, padding: where window ``i`` starts, ``stride * i - padding``.
        template: what an undisturbed window multiplies by, ``[kernel]``.
    """

    matrix: Array
    stride: int
    padding: int
    template: Array


@dataclass(frozen=True)
class Pool:
    """Pooling of ``(C, H, W)``, channel by channel; `text` is how notes name it."""

    rows: PoolAxis
    columns: PoolAxis
    text: str

    @property
    def share(self) -> float | None:
        """What every input is multiplied by on its way to one window; None where that differs."""
        share = 1.0
        for matrix in (self.rows.matrix, self.columns.matrix):
            values = matrix[matrix != 0]
            if (values != values[0]).any() or ((matrix != 0).sum(0) > 1).any():
                return None
            share *= float(values[0])
        return share

    @property
    def size(self) -> Pair:
        """Height and width of its output."""
        return len(self.rows.matrix), len(self.columns.matrix)


def window_axis(
    size: int, *, kernel: int, stride: int, padding: int = 0, ceil: bool = False, divide: Divide
) -> PoolAxis:
    """Return windows of one length, as torch.nn.AvgPool2d places them along an axis.

    Args:
        size: before pooling.
        kernel, stride, padding: of the windows; zeros beyond the border.
        ceil: whether a last, truncated window counts (``ceil_mode``).
        divide: by the elements of a window, those in the padding included (``all``) or not
            (``inside``); ``none`` is a sum.

    Raises:
        ValueError: no window fits, or padding beyond half a window, or beyond `AXIS_MAX`.
    """
    if kernel < 1 or stride < 1 or 2 * padding > kernel or max(size, kernel) > AXIS_MAX:
        raise ValueError(f"windows of {kernel}, stride {stride}, padding {padding} on {size}")
    span = size + 2 * padding - kernel
    count = -(-span // stride) + 1 if ceil else span // stride + 1
    if ceil and (count - 1) * stride >= size + padding:
        count -= 1  # the last window would lie in the padding
    if span < 0 or count < 1:
        raise ValueError(f"no window of {kernel} fits into {size}")
    matrix = np.zeros((count, size))
    for index in range(count):
        start = index * stride - padding
        stop = min(start + kernel, size + padding)
        inside = slice(max(start, 0), min(stop, size))
        share = {"all": stop - start, "inside": inside.stop - inside.start, "none": 1}[divide]
        matrix[index, inside] = 1.0 / share
    value = 1.0 if divide == "none" else 1.0 / kernel
    return PoolAxis(matrix, stride, padding, np.full(kernel, value))


def adaptive_axis(size: int, wanted: int) -> PoolAxis:
    """Return windows from ``floor(i size / wanted)`` to ``ceil((i + 1) size / wanted)``,
    averaged.
    """
    matrix = np.zeros((wanted, size))
    for index in range(wanted):
        start, stop = index * size // wanted, -(-(index + 1) * size // wanted)
        matrix[index, start:stop] = 1.0 / (stop - start)
    stride = max(1, size // wanted)
    return PoolAxis(matrix, stride, 0, np.full(stride, 1.0 / stride))


def compose(first: Pool, second: Pool) -> Pool:
    """Return two poolings, one after the other, as one."""
    rows = _compose_axis(first.rows, second.rows)
    return Pool(rows, _compose_axis(first.columns, second.columns), f"{first.text}, {second.text}")


def _compose_axis(first: PoolAxis, second: PoolAxis) -> PoolAxis:
    template = np.zeros(first.stride * (len(second.template) - 1) + len(first.template))
    for index, share in enumerate(second.template):
        start = first.stride * index
        template[start : start + len(first.template)] += share * first.template
    return PoolAxis(
        matrix=second.matrix @ first.matrix,
        stride=first.stride * second.stride,
        padding=first.stride * second.padding + first.padding,
        template=template,
    )
