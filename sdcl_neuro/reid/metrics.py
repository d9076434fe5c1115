"""Distances between embeddings, and mAP, CMC and mINP of a ranking.

The protocol is Market-1501's as torchreid publishes it (Zheng et al., ICCV 2015; Zhou and Xiang,
"Torchreid", 2019): for each query, gallery entries of the same person seen by the same camera are
left out; a query without a match among the rest is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .ranked import Labels, ranked_queries

Metric = Literal["cosine", "euclidean"]
CMC_RANKS = (1, 5, 10, 20)


@dataclass(frozen=True)
class Metrics:
    """How good a ranking is; every figure from 0 to 1.

    Attributes:
        mean_ap: mAP, the mean over queries of the mean precision at each match.
        cmc: rank r to the share of queries with a match among the first r (all of them, where
            the gallery is shorter).
        mean_inp: mINP, the mean of matches / rank of the last match (Ye et al., TPAMI 2021).
        queries: how many were counted.
        skipped: queries without a match in the gallery.
    """

    mean_ap: float
    cmc: Mapping[int, float]
    mean_inp: float
    queries: int
    skipped: int = 0

    def __str__(self) -> str:
        ranks = "  ".join(f"R{rank} {value:.1%}" for rank, value in self.cmc.items())
        skipped = f", {self.skipped} without a match" if self.skipped else ""
        counted = f"({self.queries} queries{skipped})"
        return f"mAP {self.mean_ap:.1%}  {ranks}  mINP {self.mean_inp:.1%}  {counted}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the usual names."""
        return {
            "mAP": self.mean_ap,
            "cmc": {str(rank): value for rank, value in self.cmc.items()},
            "mINP": self.mean_inp,
            "queries": self.queries,
            "skipped": self.skipped,
        }


def distance_matrix(
    queries: ArrayLike, gallery: ArrayLike, *, metric: Metric = "cosine"
) -> NDArray[np.float64]:
    """Distances ``[Q, G]`` between embeddings ``[Q, D]`` and ``[G, D]``, in float64.

    Args:
        queries, gallery: finite embeddings.
        metric: ``cosine``: 1 - cosine, 0 to 2 (a zero vector has 1 to all); ``euclidean``.

    Raises:
        InputError: other shapes, values that are not finite, or another metric.
    """
    first, second = (np.asarray(value, dtype=np.float64) for value in (queries, gallery))
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise InputError(
            f"embeddings of shapes {first.shape} and {second.shape}",
            mend="give [Q, D] and [G, D] of one D",
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError("embeddings that are not finite", mend="look for NaN in the network")
    if metric == "cosine":
        return np.clip(1.0 - _unit(first) @ _unit(second).T, 0.0, 2.0)
    if metric == "euclidean":
        squares = (first**2).sum(1)[:, None] + (second**2).sum(1) - 2.0 * first @ second.T
        return np.asarray(np.sqrt(np.maximum(squares, 0.0)))
    raise InputError(f"metric {metric!r}", mend="choose cosine or euclidean")


def evaluate_ranking(
    distances: ArrayLike,
    q_ids: ArrayLike,
    g_ids: ArrayLike,
    q_cams: ArrayLike | None = None,
    g_cams: ArrayLike | None = None,
) -> Metrics:
    """Measures of the ranking by distance; ties go to the lower gallery index.

    Args:
        distances: ``[Q, G]``, smaller is more alike.
        q_ids, g_ids: integer identities ``[Q]`` and ``[G]``.
        q_cams, g_cams: integer cameras; both left out: nothing is left out of the gallery.

    Raises:
        InputError: shapes that do not fit, distances that are NaN, or no query with a match.
    """
    labels = Labels.of(distances, q_ids, g_ids, q_cams, g_cams)
    return measure(one.matches for one in ranked_queries(labels))


@dataclass(frozen=True)
class QueryMeasures:
    """Of one query: average precision, inverse negative penalty, rank of the first match."""

    precision: float
    inverse: float
    first: int


def measure_query(flags: NDArray[np.bool_]) -> QueryMeasures | None:
    """Measures of one ranking, given as match flags in order; None without a match."""
    hits = np.flatnonzero(flags) + 1
    if not hits.size:
        return None
    precision = float((np.arange(1, hits.size + 1) / hits).mean())
    return QueryMeasures(precision, hits.size / int(hits[-1]), int(hits[0]))


def measure(matches: Iterable[NDArray[np.bool_]]) -> Metrics:
    """Measures of rankings, given as match flags in order, one array a query."""
    return summarise(measure_query(flags) for flags in matches)


def summarise(
    queries: Iterable[QueryMeasures | None], *, ranks: Sequence[int] = CMC_RANKS
) -> Metrics:
    """Means over the queries that have a match, CMC at `ranks`; InputError if none has."""
    every = list(queries)
    found = [one for one in every if one is not None]
    skipped = len(every) - len(found)
    if not found:
        raise InputError(
            f"none of {skipped} queries has a match in the gallery",
            mend="give a gallery with the queries' persons, seen by other cameras",
        )
    firsts = np.array([one.first for one in found])
    return Metrics(
        float(np.mean([one.precision for one in found])),
        {rank: float(np.mean(firsts <= rank)) for rank in ranks},
        float(np.mean([one.inverse for one in found])),
        len(found),
        skipped,
    )


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # torch.nn.functional.normalize's floor; a zero vector stays zero.
    unit: NDArray[np.float64] = vectors / np.maximum(lengths, 1e-12)
    return unit
