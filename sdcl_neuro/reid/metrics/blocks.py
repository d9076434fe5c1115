"""Distances in blocks of queries, so that no matrix of all queries and all gallery is held.

Memory beside the features is one block and one chunk of the gallery in float64, whatever the
number of queries: MARS's 1,980 queries against 12,180 tracklets of 2,048 numbers need some 300 MiB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import on_host

from .distances import Metric

BLOCK_BYTES = 32 << 20
"""Size of a block of distances, `[rows, G]` float64."""
CHUNK_BYTES = 64 << 20
"""Size of a piece of the gallery while it is in float64."""

Embeddings = NDArray[np.floating]
Block = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Points:
    """Embeddings in their own type, and what makes vectors of unit length of them.

    Attributes:
        values: ``[N, D]``.
        factors: float64 ``[N]``, one over the length for ``cosine``, else 1.
        squares: float64 ``[N]``, squared lengths after that; 1 for ``cosine``, zero vectors too.
    """

    values: Embeddings
    factors: Block
    squares: Block

    @classmethod
    def of(cls, values: Embeddings, metric: Metric) -> Points:
        """Look at the lengths, some rows at a time."""
        squares = np.empty(len(values))
        for part in _pieces(values):
            wide = values[part].astype(np.float64)
            squares[part] = np.einsum("nd,nd->n", wide, wide)
        if metric == "euclidean":
            return cls(values, np.ones(len(values)), squares)
        # torch.nn.functional.normalize's floor; a zero vector stays zero.
        return cls(values, 1.0 / np.maximum(np.sqrt(squares), 1e-12), np.ones(len(values)))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, chosen: slice | NDArray[np.integer]) -> Points:
        return Points(self.values[chosen], self.factors[chosen], self.squares[chosen])

    def scaled(self) -> Block:
        """Return the vectors in float64, of unit length for ``cosine``."""
        wide: Block = self.values.astype(np.float64)
        wide *= self.factors[:, None]
        return wide


def block_slices(
    queries: int, entries: int, rows: int | None = None, only: Sequence[int] | None = None
) -> list[slice]:
    """Return how queries are cut where each is compared with so many entries.

    Args:
        queries, entries: how many.
        rows: queries a block; as many as fit in `BLOCK_BYTES` if left out.
        only: numbers of the blocks that are wanted; None is all.
    """
    rows = rows or max(1, BLOCK_BYTES // (8 * max(1, entries)))
    slices = [slice(start, min(start + rows, queries)) for start in range(0, queries, rows)]
    return slices if only is None else [slices[number] for number in only]


def distance_blocks(
    queries: ArrayLike,
    gallery: ArrayLike,
    *,
    metric: Metric = "cosine",
    rows: int | None = None,
    only: Sequence[int] | None = None,
) -> Iterator[Block]:
    """Yield `distance_matrix` from top to bottom, some rows at a time.

    Args:
        queries, gallery: finite embeddings, ``[Q, D]`` and ``[G, D]``; kept in their own type.
        metric: as for `distance_matrix`.
        rows: queries a block; as many as fit in `BLOCK_BYTES` if left out.
        only: numbers of the blocks that are wanted, see `block_slices`; None is all.

    Yields:
        float64 ``[rows, G]``, the last one shorter.

    Raises:
        InputError: other shapes, values that are not finite, or another metric.
    """
    first, second = checked_pair(queries, gallery, metric)
    for part in block_slices(len(first), len(second), rows, only):
        block = squared_distances(first[part], second)
        yield block / 2.0 if metric == "cosine" else np.sqrt(block)


def squared_distances(queries: Points, gallery: Points) -> Block:
    """Return squared Euclidean distances ``[q, G]``, for ``cosine`` between vectors of unit length.

    There they are 2 (1 - cosine); a vector of zeros is 2 from all, itself too.
    """
    near = queries.scaled()
    near *= -2.0
    block = np.empty((len(queries), len(gallery)))
    for part in _pieces(gallery.values):
        np.matmul(near, gallery.values[part].astype(np.float64).T, out=block[:, part])
    block *= gallery.factors
    block += gallery.squares
    block += queries.squares[:, None]
    return np.maximum(block, 0.0, out=block)


def _pieces(values: Embeddings) -> Iterator[slice]:
    step = max(1, CHUNK_BYTES // (8 * max(1, values.shape[1])))
    return (slice(start, start + step) for start in range(0, len(values), step))


def checked_pair(queries: ArrayLike, gallery: ArrayLike, metric: Metric) -> tuple[Points, Points]:
    """Return both sides, checked; see `distance_blocks` for errors."""
    if metric not in ("cosine", "euclidean"):
        raise InputError(f"metric {metric!r}", hint="choose cosine or euclidean")
    first, second = (_floating(value) for value in (queries, gallery))
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise InputError(
            f"embeddings of shapes {first.shape} and {second.shape}",
            hint="give [Q, D] and [G, D] of one D",
        )
    if not len(first) or not len(second):
        raise InputError("no queries or no gallery", hint="give at least one of each")
    if not all(np.isfinite(side[part]).all() for side in (first, second) for part in _pieces(side)):
        raise InputError("embeddings that are not finite", hint="look for NaN in the network")
    return Points.of(first, metric), Points.of(second, metric)


def _floating(value: ArrayLike) -> Embeddings:
    array = np.asarray(on_host(value))
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)
