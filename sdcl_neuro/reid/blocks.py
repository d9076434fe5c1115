"""Distances in blocks of queries, so that no matrix of all queries and all gallery is held.

Memory beside the features is one block and one chunk of the gallery in float64, whatever the
number of queries: MARS's 1,980 queries against 12,180 tracklets of 2,048 numbers need some 200 MB.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .metrics import Metric

BLOCK_BYTES = 32 << 20
"""Size of a block of distances, `[rows, G]` float64."""
CHUNK_BYTES = 16 << 20
"""Size of a piece of the gallery while it is in float64."""

Embeddings = NDArray[np.floating]
Block = NDArray[np.float64]


def distance_blocks(
    queries: ArrayLike, gallery: ArrayLike, *, metric: Metric = "cosine", rows: int | None = None
) -> Iterator[Block]:
    """Yield `distance_matrix` from top to bottom, some rows at a time.

    Args:
        queries, gallery: finite embeddings, ``[Q, D]`` and ``[G, D]``; kept in their own type.
        metric: as for `distance_matrix`.
        rows: queries a block; as many as fit in `BLOCK_BYTES` if left out.

    Yields:
        float64 ``[rows, G]``, the last one shorter.

    Raises:
        InputError: other shapes, values that are not finite, or another metric.
    """
    first, second = checked_pair(queries, gallery, metric)
    rows = rows or max(1, BLOCK_BYTES // (8 * len(second)))
    for start in range(0, len(first), rows):
        block = squared_distances(first[start : start + rows], second, metric=metric)
        yield block / 2.0 if metric == "cosine" else np.sqrt(block)


def squared_distances(queries: Embeddings, gallery: Embeddings, *, metric: Metric) -> Block:
    """Squared Euclidean distances ``[q, G]``, for ``cosine`` between vectors of unit length.

    There they are 2 (1 - cosine); a vector of zeros is 2 from all, itself too.
    """
    near = prepare(queries, metric)
    squares = (near**2).sum(1)[:, None]
    block = np.empty((len(queries), len(gallery)))
    step = max(1, CHUNK_BYTES // (8 * max(1, gallery.shape[1])))
    for start in range(0, len(gallery), step):
        part = slice(start, start + step)
        far = prepare(gallery[part], metric)
        np.matmul(near, far.T, out=block[:, part])
        block[:, part] *= -2.0
        block[:, part] += 2.0 if metric == "cosine" else squares + (far**2).sum(1)
    return np.clip(block, 0.0, 4.0 if metric == "cosine" else None, out=block)


def prepare(embeddings: Embeddings, metric: Metric) -> Block:
    """Embeddings in float64; for ``cosine`` of unit length, as torch's ``normalize`` has it."""
    values = np.asarray(embeddings, dtype=np.float64)
    if metric == "cosine":
        values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    return values


def checked_pair(
    queries: ArrayLike, gallery: ArrayLike, metric: Metric
) -> tuple[Embeddings, Embeddings]:
    """Both as float arrays ``[Q, D]`` and ``[G, D]``; see `distance_blocks` for errors."""
    if metric not in ("cosine", "euclidean"):
        raise InputError(f"metric {metric!r}", mend="choose cosine or euclidean")
    first, second = (_floating(value) for value in (queries, gallery))
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise InputError(
            f"embeddings of shapes {first.shape} and {second.shape}",
            mend="give [Q, D] and [G, D] of one D",
        )
    if not len(first) or not len(second):
        raise InputError("no queries or no gallery", mend="give at least one of each")
    if not all(np.isfinite(row).all() for side in (first, second) for row in side):
        raise InputError("embeddings that are not finite", mend="look for NaN in the network")
    return first, second


def _floating(value: ArrayLike) -> Embeddings:
    array = np.asarray(value)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)
