"""k-reciprocal re-ranking (Zhong et al., CVPR 2017) without a matrix of all against all.

With d(i, j) the squared Euclidean distance of two features divided by the largest of i, N(i, k) the
k + 1 nearest of i (itself among them) and R(i, k) those of them that have i among their own::

    R*(i)     R(i, k1) and every R(c, k1/2) of c in R(i, k1) of which more than 2/3 are in R(i, k1)
    V(i, j)   exp(-d(i, j)) over R*(i), scaled to a sum of 1; then the mean over the k2 nearest of i
    J(q, g)   1 - m / (2 - m), m the sum over j of min(V(q, j), V(g, j))
    result    (1 - weight) J(q, g) + weight d(q, g)

Queries and gallery take part together. The published code works on matrices of all against all;
here V is sparse and distances come in blocks, so that memory grows with the number of features
times their neighbours. The squares, the scaling of V, k + 1 and "more than" are that code's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class

from .blocks import Block, Points, block_slices, checked_pair, squared_distances
from .distances import Metric

Ints = NDArray[np.int64]
Neighbours = tuple[Ints, NDArray[np.float64]]
Mask = NDArray[np.bool_]
_ROWS = 256
"""Features looked at together while sets are compared."""
_PAIR_BYTES = 16 << 20


@public_class
@dataclass(frozen=True)
class ReRanking:
    """Settings; the defaults are the paper's.

    Attributes:
        k1: how many neighbours are asked whether they agree.
        k2: over how many neighbours V is averaged; 1 leaves it.
        weight: of the original distance, lambda, 0 to 1.
    """

    k1: int = 20
    k2: int = 6
    weight: float = 0.3

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1 or not 0.0 <= self.weight <= 1.0:
            raise InputError(
                f"re-ranking with k1 {self.k1}, k2 {self.k2}, weight {self.weight}",
                hint="give k1 and k2 from 1, and a weight from 0 to 1",
            )


def neighbour_blocks(
    queries: ArrayLike,
    gallery: ArrayLike,
    *,
    metric: Metric = "cosine",
    settings: ReRanking | None = None,
    only: Sequence[int] | None = None,
) -> Iterator[Neighbours]:
    """Yield what `rerank_blocks` has to know of all features first, some rows at a time.

    Args:
        queries, gallery, metric, settings: as for `rerank_blocks`.
        only: numbers of the blocks that are wanted, of queries and gallery together against
            themselves, see `block_slices`; None is all.

    Yields:
        The nearest of each, itself among them, int64 ``[rows, K]``; its largest squared distance,
        float64 ``[rows]``.

    Raises:
        InputError: as for `distance_blocks`.
    """
    everyone = _joined(*checked_pair(queries, gallery, metric))
    yield from _neighbours(everyone, settings or ReRanking(), only)


def rerank_blocks(
    queries: ArrayLike,
    gallery: ArrayLike,
    *,
    metric: Metric = "cosine",
    settings: ReRanking | None = None,
    neighbours: Neighbours | None = None,
    only: Sequence[int] | None = None,
) -> Iterator[Block]:
    """Yield re-ranked distances from the first query to the last, some rows at a time.

    Args:
        queries, gallery: finite embeddings, ``[Q, D]`` and ``[G, D]``.
        metric: ``euclidean``, or ``cosine``: Euclidean between features of unit length.
        settings: see `ReRanking`.
        neighbours: all of `neighbour_blocks`, joined; None computes them.
        only: numbers of the blocks that are wanted, see `block_slices`; None is all.

    Yields:
        float64 ``[rows, G]``, as `rank_blocks` takes them.

    Raises:
        InputError: as for `distance_blocks`.
    """
    settings = settings or ReRanking()
    first, second = checked_pair(queries, gallery, metric)
    everyone = _joined(first, second)
    if neighbours is None:
        pieces = zip(*_neighbours(everyone, settings), strict=True)
        nearest, farthest = (np.concatenate(piece) for piece in pieces)
    else:
        nearest, farthest = neighbours
    sets = _expanded_sets(nearest, settings.k1)
    encoded = _encode(everyone, sets, farthest)
    if settings.k2 > 1:
        encoded = _averaged(encoded, nearest[:, : settings.k2])
    of_gallery = encoded[len(first) :].T.tocsr()  # [N, G]: who of the gallery has j
    for part in block_slices(len(first), len(second), only=only):
        block = squared_distances(first[part], second)
        block *= settings.weight / farthest[part, None]
        for row in range(part.start, part.stop):
            block[row - part.start] += (1.0 - settings.weight) * _jaccard(encoded, of_gallery, row)
        yield block


def _joined(first: Points, second: Points) -> Points:
    parts = zip(vars(first).values(), vars(second).values(), strict=True)
    return Points(*(np.concatenate(pair) for pair in parts))


def _neighbours(
    everyone: Points, settings: ReRanking, only: Sequence[int] | None = None
) -> Iterator[Neighbours]:
    """Yield what `neighbour_blocks` does; equal distances go to the lower index."""
    count = min(max(settings.k1 + 1, settings.k2), len(everyone))
    for part in block_slices(len(everyone), len(everyone), only=only):
        block = squared_distances(everyone[part], everyone)
        nearest = np.empty((len(block), count), np.int64)
        farthest = block.max(1)
        limits = np.partition(block, count - 1, axis=1)[:, count - 1]
        for row, values in enumerate(block):
            within = np.flatnonzero(values <= limits[row])
            order = np.argsort(values[within], kind="stable")[:count]
            nearest[row] = within[order]
        yield nearest, np.where(farthest > 0, farthest, 1.0)


def _reciprocal(neighbours: Ints, k: int) -> Mask:
    """Return which of the first k + 1 neighbours have the feature among their own: ``[N, k +
    1]``.
    """
    near = neighbours[:, : k + 1]
    found = np.empty(near.shape, np.bool_)
    for start in range(0, len(near), _ROWS):
        part = slice(start, start + _ROWS)
        own = np.arange(len(near))[part, None, None]
        found[part] = (near[near[part]] == own).any(2)
    return found


def _expanded_sets(neighbours: Ints, k1: int) -> csr_array:
    """Return R* of every feature, as a matrix ``[N, N]`` of ones."""
    half = int(np.around(k1 / 2))
    full, halved = _reciprocal(neighbours, k1), _reciprocal(neighbours, half)
    rows, columns = [], []
    for start in range(0, len(neighbours), _ROWS):
        part = slice(start, start + _ROWS)
        own = np.where(full[part], neighbours[part, : k1 + 1], -1)  # [m, K]
        candidates = neighbours[part, : k1 + 1]
        theirs = neighbours[candidates, : half + 1]  # [m, K, H]
        valid = halved[candidates]
        shared = (theirs[..., None] == own[:, None, None, :]).any(3) & valid
        taken = full[part] & (3 * shared.sum(2) > 2 * valid.sum(2))
        added = np.where(taken[..., None] & valid, theirs, -1).reshape(len(own), -1)
        members = np.sort(np.concatenate([own, added], axis=1), axis=1)
        fresh = members >= 0
        fresh[:, 1:] &= members[:, 1:] != members[:, :-1]
        row, place = np.nonzero(fresh)
        rows.append(row + start)
        columns.append(members[row, place])
    indices = np.concatenate(columns)
    bounds = np.searchsorted(np.concatenate(rows), np.arange(len(neighbours) + 1))
    shape = (len(neighbours), len(neighbours))
    return csr_array((np.ones(len(indices)), indices, bounds), shape=shape)


def _encode(everyone: Points, sets: csr_array, farthest: NDArray[np.float64]) -> csr_array:
    """Return v before its average: ``[N, N]``, each row's sum 1."""
    rows = np.repeat(np.arange(len(everyone)), np.diff(sets.indptr))
    weights = np.empty(len(rows))
    step = max(1, _PAIR_BYTES // (8 * max(1, everyone.values.shape[1])))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        apart = everyone[rows[part]].scaled() - everyone[sets.indices[part]].scaled()
        squares = np.einsum("nd,nd->n", apart, apart)
        weights[part] = np.exp(-squares / farthest[rows[part]])
    sums = np.bincount(rows, weights, minlength=len(everyone))
    return csr_array((weights / sums[rows], sets.indices, sets.indptr), shape=sets.shape)


def _averaged(encoded: csr_array, neighbours: Ints) -> csr_array:
    """Return each row of V the mean over those of the feature's nearest ``[N, k2]``."""
    total, count = neighbours.shape
    bounds = np.arange(total + 1) * count
    share = np.full(neighbours.size, 1.0 / count)
    mean = csr_array((share, neighbours.ravel(), bounds), shape=(total, total)) @ encoded
    return csr_array(mean)


def _jaccard(encoded: csr_array, of_gallery: csr_array, row: int) -> NDArray[np.float64]:
    """Return Jaccard distance ``[G]`` of one feature to the gallery."""
    span = slice(encoded.indptr[row], encoded.indptr[row + 1])
    own = encoded.data[span]
    shared = of_gallery[encoded.indices[span]]  # [n, G], one row for each j that the query has
    least = np.minimum(shared.data, np.repeat(own, np.diff(shared.indptr)))
    overlap = np.bincount(shared.indices, least, minlength=of_gallery.shape[1])
    distance: NDArray[np.float64] = 1.0 - overlap / (2.0 - overlap)
    return distance
