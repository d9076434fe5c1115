"""Nearest neighbours to the last digit: an engine proposes in float32, float64 decides.

Engines round differently and break ties as they like, so the candidates they propose are measured
again here, and more are asked for until no vector that was left out could belong to the answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .engines import Engine, Vectors
from .entries import Metric

_QUERIES, _CANDIDATES = 256, 1 << 22  # at a time; bound the memory
_MARGIN = 16  # candidates asked for beyond the answer
_UNIT = 2.0**-23  # rounding of one float32 operation, twice over

Answer = tuple[NDArray[np.float64], NDArray[np.int64]]


def search(
    engine: Engine,
    queries: Vectors,
    k: int,
    *,
    metric: Metric,
    allowed: NDArray[np.bool_] | None = None,
    settle: bool = True,
) -> list[Answer]:
    """Return the k nearest of each query, nearest first, equally near ones by position.

    Args:
        engine: holds the vectors, as `engines.prepared` makes them.
        queries: ``[Q, D]``, prepared likewise.
        k: at least 1.
        metric: as the engine's.
        allowed: bool ``[N]``, positions that count.
        settle: ask for more candidates until none that was left out could belong to the answer.

    Returns:
        For each query distances (1 - cosine, or Euclidean) and positions, at most k.
    """

    def available(limit: int) -> int:
        return engine.at_most(limit) if allowed is None else min(counted, limit)

    counted = 0 if allowed is None else int(np.count_nonzero(allowed))
    nothing = np.empty(0), np.empty(0, np.int64)
    answers: list[Answer] = [nothing] * len(queries)
    left, count = list(range(len(queries))), available(k + _MARGIN)
    while left and count:
        step = max(1, min(_QUERIES, _CANDIDATES // count))
        unsettled = []
        for start in range(0, len(left), step):
            some = left[start : start + step]
            scores, places = engine.nearest(queries[some], count, allowed)
            for query, row, found in zip(some, scores, places, strict=True):
                answers[query] = _measured(engine, queries[query], found, k, metric)
                if settle and not _settled(
                    answers[query], queries[query], row, k, metric, engine.roundings
                ):
                    unsettled.append(query)
        wider = available(4 * count) if unsettled else count
        if wider == count:  # all settled, or all proposed
            break
        left, count = unsettled, wider
    return answers


def _measured(
    engine: Engine, query: Vectors, places: NDArray[np.int64], k: int, metric: Metric
) -> Answer:
    """Return distances of candidates in float64, and the first k."""
    places = places[places >= 0]
    held, exact = engine.vectors(places).astype(np.float64), query.astype(np.float64)
    if metric == "cosine":
        distances = np.clip(1.0 - held @ exact, 0.0, 2.0)
    else:
        distances = np.linalg.norm(held - exact, axis=1)
    order = np.lexsort([places, distances])[:k]
    return distances[order], places[order]


def _settled(
    answer: Answer,
    query: Vectors,
    scores: NDArray[np.floating[Any]],
    k: int,
    metric: Metric,
    roundings: int,
) -> bool:
    """Return whether whatever was not proposed is farther than the k-th, rounding allowed for."""
    distances = answer[0]
    if len(distances) < k:
        return False
    size = float(np.linalg.norm(query.astype(np.float64)))
    worst, last = float(scores.min()), float(distances[-1])
    rounding = roundings * len(query) * _UNIT
    if metric == "cosine":
        return worst + rounding < 1.0 - last
    # |q|^2 + |v|^2 - 2qv rounds with the sizes of its terms; |v| <= |q| + distance.
    return worst + rounding * (2 * size + 2 * last) ** 2 < -(last**2)
