"""Recognises a convolution in a dense matrix.

Where a pooling leaves an odd size and padding follows, lowering has no kernel for both and writes
the convolution as a matrix (docs/support.md). A chip that pools by itself can have the kernel back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .geometry import Axis, Box

Weights = NDArray[np.generic]
KERNEL_MOST, PADDING_MOST = 16, 7
STRIDES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Recognised:
    """A convolution that computes the matrix; the same along both axes but for their size."""

    out_box: Box
    rows: Axis
    columns: Axis


def as_convolution(weight: Weights) -> Recognised | None:
    """Return the convolution of the smallest kernel that a matrix is; None if it is none.

    Args:
        weight: ``[N, C, H, W]``; the outputs would be ``(N / (H' W'), H', W')``, flat.
    """
    outputs, _, height, width = weight.shape
    if min(height, width) < 2 or not np.any(weight):
        return None
    supports: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for rows, columns in _candidates(height, width):
        size = rows.outputs, columns.outputs
        if min(size) < 1 or max(size) == 1 or outputs % (size[0] * size[1]):
            continue
        channels = outputs // (size[0] * size[1])
        whole = weight.reshape(channels, *size, *weight.shape[1:])
        if size not in supports:
            supports[size] = (whole != 0).any(axis=(0, 3))
        if _within(supports[size], rows, columns) and _is_one_kernel(whole, rows, columns):
            return Recognised((channels, *size), rows, columns)
    return None


def _candidates(height: int, width: int) -> Iterator[tuple[Axis, Axis]]:
    for kernel in range(1, KERNEL_MOST + 1):
        for stride in STRIDES:
            for padding in range(min(kernel, PADDING_MOST + 1)):
                if kernel <= min(height, width) + 2 * padding:
                    yield (
                        Axis(height, kernel, stride, padding),
                        Axis(width, kernel, stride, padding),
                    )


def _where(axis: Axis) -> NDArray[np.int64]:
    """Return input position of every output and tap along an axis, ``[outputs, kernel]``."""
    return axis.stride * np.arange(axis.outputs)[:, None] + np.arange(axis.kernel) - axis.padding


def _within(support: NDArray[np.bool_], rows: Axis, columns: Axis) -> bool:
    """Return whether every output reads its window only; `support` is ``[H', W', H, W]``."""
    seen = []
    for axis in (rows, columns):
        position, where = np.arange(axis.size), _where(axis)
        seen.append((position >= where[:, :1]) & (position <= where[:, -1:]))
    window = seen[0][:, None, :, None] & seen[1][None, :, None, :]
    return not bool((support & ~window).any())


def _is_one_kernel(whole: Weights, rows: Axis, columns: Axis) -> bool:
    """Return whether all outputs of a channel weigh their windows alike, ``[C', H', W', C, H,
    W]``.
    """
    at = _where(rows), _where(columns)
    for a in range(rows.kernel):
        for b in range(columns.kernel):
            inside = [
                np.flatnonzero((where[:, tap] >= 0) & (where[:, tap] < axis.size))
                for where, tap, axis in ((at[0], a, rows), (at[1], b, columns))
            ]
            if not (len(inside[0]) and len(inside[1])):
                continue
            y, x = np.meshgrid(*inside, indexing="ij")
            values = whole[:, y, x, :, at[0][y, a], at[1][x, b]]
            if not (values == values[:1, :1]).all():
                return False
    return True
