"""Distances between embeddings."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import on_host, public

Metric = Literal["cosine", "euclidean"]


@public
def distance_matrix(
    queries: ArrayLike, gallery: ArrayLike, *, metric: Metric = "cosine"
) -> NDArray[np.float64]:
    """Return distances ``[Q, G]`` between embeddings ``[Q, D]`` and ``[G, D]``, in float64.

    Args:
        queries, gallery: finite embeddings.
        metric: ``cosine``: 1 - cosine, 0 to 2 (a zero vector has 1 to all); ``euclidean``.

    Raises:
        InputError: other shapes, values that are not finite, or another metric.
    """
    first, second = (np.asarray(on_host(value), dtype=np.float64) for value in (queries, gallery))
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise InputError(
            f"embeddings of shapes {first.shape} and {second.shape}",
            hint="give [Q, D] and [G, D] of one D",
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError("embeddings that are not finite", hint="look for NaN in the network")
    if metric == "cosine":
        return np.clip(1.0 - _unit(first) @ _unit(second).T, 0.0, 2.0)
    if metric == "euclidean":
        squares = (first**2).sum(1)[:, None] + (second**2).sum(1) - 2.0 * first @ second.T
        return np.asarray(np.sqrt(np.maximum(squares, 0.0)))
    raise InputError(f"metric {metric!r}", hint="choose cosine or euclidean")


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # torch.nn.functional.normalize's floor; a zero vector stays zero.
    unit: NDArray[np.float64] = vectors / np.maximum(lengths, 1e-12)
    return unit
