"""MARS's size as tools of a race: ranking in blocks, on the whole matrix, and re-ranking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.reid.metrics import (
    Metrics,
    distance_blocks,
    distance_matrix,
    evaluate_ranking,
    rank_blocks,
    rerank_blocks,
)

PERSONS, CAMERAS, NOISE = 625, 6, 3.0
Measured = Callable[[], dict[str, NDArray[Any]]]


def random_features(
    queries: int, gallery: int, size: int
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.int64]]]:
    """Noise around a centre for each person; identities, then cameras of both sides."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((PERSONS, size), np.float32)
    counts = (queries, gallery)
    ids = [rng.integers(0, PERSONS, count) for count in counts]
    cameras = [rng.integers(0, CAMERAS, count) for count in counts]
    features = []
    for own in ids:
        noisy = rng.standard_normal((len(own), size), np.float32)
        noisy *= np.float32(NOISE)
        noisy += centres[own]
        features.append(noisy)
    return features, [*ids, *cameras]


def blocks(queries: int, gallery: int, size: int) -> Measured:
    features, labels = random_features(queries, gallery, size)
    return lambda: arrays(rank_blocks(distance_blocks(*features), *labels).metrics)


def whole(queries: int, gallery: int, size: int) -> Measured:
    features, labels = random_features(queries, gallery, size)
    return lambda: arrays(evaluate_ranking(distance_matrix(*features), *labels))


def rerank(queries: int, gallery: int, size: int) -> Measured:
    features, labels = random_features(queries, gallery, size)
    return lambda: arrays(rank_blocks(rerank_blocks(*features), *labels).metrics)


def arrays(metrics: Metrics) -> dict[str, NDArray[Any]]:
    return {
        "mAP and mINP": np.array([metrics.mean_ap, metrics.mean_inp]),
        "CMC": np.array(list(metrics.cmc.values())),
        "queries": np.array([metrics.queries, metrics.skipped]),
    }
