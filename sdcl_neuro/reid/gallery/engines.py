"""Exact nearest neighbours, by FAISS or by numpy; both hold every vector and look at every vector.

For ``cosine`` the vectors are made unit length and compared by inner product, for ``euclidean``
by squared distance; both in float32. A score is larger the nearer a vector is.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import installed, need, require

from .entries import Metric

Vectors = NDArray[np.float32]
Found = tuple[NDArray[np.floating[Any]], NDArray[np.int64]]
NAMES = ("faiss", "numpy")
_BLOCK = 1 << 22  # scores held at a time by numpy: 16 MB


class Engine(Protocol):
    """Vectors by position, ascending; in memory, 0 for the first one added.

    Attributes:
        roundings: of float32 that one element of a score may have seen, for `search`'s bound.
    """

    roundings: int

    def at_most(self, limit: int) -> int:
        """Return how many vectors it holds, or the limit if it holds more."""

    def nearest(self, queries: Vectors, count: int, allowed: NDArray[np.bool_] | None) -> Found:
        """Return the best of ``[N]``, or of those allowed, for queries ``[Q, D]``, in no fixed
        order.

        Returns:
            Scores and positions ``[Q, count]``; position -1 where there are too few.
        """

    def vectors(self, positions: NDArray[np.int64]) -> Vectors:
        """Return the vectors at positions ``[n]``, ``[n, D]``."""


class MemoryEngine(Engine, Protocol):
    """An engine that holds its vectors itself."""

    def __len__(self) -> int:
        """Return how many."""

    def add(self, vectors: Vectors) -> None:
        """Append ``[n, D]``."""


class NumpyEngine:
    """Matrix products, a block of vectors at a time."""

    roundings = 1

    def __init__(self, dimension: int, metric: Metric) -> None:
        self._metric = metric
        self._held = np.empty((0, dimension), np.float32)
        self._new: list[Vectors] = []
        self._squares = np.empty(0, np.float32)

    def __len__(self) -> int:
        return len(self._held) + sum(map(len, self._new))

    def at_most(self, limit: int) -> int:
        """See `Engine`."""
        return min(limit, len(self))

    def add(self, vectors: Vectors) -> None:
        """See `Engine`; joined when they are first needed."""
        self._new.append(vectors)

    def nearest(self, queries: Vectors, count: int, allowed: NDArray[np.bool_] | None) -> Found:
        """See `Engine`."""
        self._join()
        scores = np.full((len(queries), count), -np.inf, np.float32)
        places = np.full((len(queries), count), -1, np.int64)
        step = max(1, _BLOCK // max(1, len(queries)))
        for start in range(0, len(self._held), step):
            block = slice(start, start + step)
            found = self._scores(queries, block)
            if allowed is not None:
                found[:, ~allowed[block]] = -np.inf
            joined = np.concatenate([scores, found], axis=1)
            best = np.argpartition(-joined, count - 1, axis=1)[:, :count]
            scores = np.take_along_axis(joined, best, axis=1)
            known = np.take_along_axis(places, np.minimum(best, count - 1), axis=1)
            places = np.where(best < count, known, best - count + start)
        places[np.isneginf(scores)] = -1
        return scores, places

    def vectors(self, positions: NDArray[np.int64]) -> Vectors:
        """See `Engine`."""
        self._join()
        return self._held[positions]

    def _scores(self, queries: Vectors, block: slice) -> NDArray[np.float32]:
        product: NDArray[np.float32] = queries @ self._held[block].T
        if self._metric == "cosine":
            return product
        product *= 2
        product -= self._squares[block]
        product -= (queries**2).sum(1)[:, None]
        return product

    def _join(self) -> None:
        if self._new:
            self._held = np.concatenate([self._held, *self._new])
            self._new = []
            self._squares = np.einsum("nd,nd->n", self._held, self._held)


class FaissEngine:
    """FAISS's flat index, `sdcl-neuro[gallery]`."""

    roundings = 1

    def __init__(self, index: Any, metric: Metric) -> None:
        self.index = index
        self._sign = 1 if metric == "cosine" else -1

    @classmethod
    def empty(cls, dimension: int, metric: Metric) -> FaissEngine:
        """Return an index without vectors."""
        faiss = faiss_module()
        kind = faiss.IndexFlatIP if metric == "cosine" else faiss.IndexFlatL2
        return cls(kind(dimension), metric)

    def __len__(self) -> int:
        return int(self.index.ntotal)

    def at_most(self, limit: int) -> int:
        """See `Engine`."""
        return min(limit, len(self))

    def add(self, vectors: Vectors) -> None:
        """See `Engine`."""
        self.index.add(np.ascontiguousarray(vectors))

    def nearest(self, queries: Vectors, count: int, allowed: NDArray[np.bool_] | None) -> Found:
        """See `Engine`."""
        chosen = None
        if allowed is not None:
            faiss = faiss_module()
            bits = np.packbits(allowed, bitorder="little")
            chosen = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        scores, places = self.index.search(np.ascontiguousarray(queries), count, params=chosen)
        return self._sign * scores, places

    def vectors(self, positions: NDArray[np.int64]) -> Vectors:
        """See `Engine`."""
        held: Vectors = self.index.reconstruct_batch(positions)
        return held


def faiss_module() -> Any:
    """Return FAISS, imported where it is needed; its type stubs do not know its Python side."""
    return need("faiss", "the gallery engine faiss")


def engine_name(asked: str | None) -> str:
    """Return which engine to take: the one asked for, or FAISS where it is installed.

    Raises:
        InputError: an unknown name.
        EnvironmentFault: FAISS is asked for and not installed.
    """
    if asked is not None and asked not in NAMES:
        raise InputError(f"unknown engine {asked!r}", hint=f"use {' or '.join(NAMES)}")
    if asked == "faiss":
        require(("faiss",), "the gallery engine faiss")
    return asked or ("faiss" if installed("faiss") else "numpy")


def empty_engine(name: str, dimension: int, metric: Metric) -> MemoryEngine:
    """Return an engine of a name that `engine_name` gave."""
    return (FaissEngine.empty if name == "faiss" else NumpyEngine)(dimension, metric)


def prepared(vectors: Vectors, metric: Metric) -> Vectors:
    """Scale vectors for an engine: unit length for ``cosine``; a zero vector stays zero."""
    if metric == "euclidean":
        return vectors
    exact = vectors.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    # torch.nn.functional.normalize's floor
    unit: Vectors = (exact / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit
