"""How much of the exact answers an approximate index finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .contract import GalleryStore
from .entries import Where

_TIE = 1e-12  # of a distance in float64


@dataclass(frozen=True)
class Recall:
    """How good an approximate index is.

    Attributes:
        queries: how many searches were compared.
        recall: share of the exact answers' entries that the index finds too.
    """

    queries: int
    recall: float


def index_recall(store: GalleryStore, ids: Sequence[int], *, k: int) -> Recall:
    """Search entries exactly and through the store's index, and compare the answers.

    Args:
        store: has an index.
        ids: entries that are searched for.
        k: nearest entries compared.
    """
    vectors = store.embeddings(ids)
    exact, found = (
        store.nearest(vectors, k, metric="cosine", where=Where(), approximate=approximate)
        for approximate in (False, True)
    )
    right = total = 0
    for near, proposed in zip(exact, found, strict=True):
        # An equally near entry is as good an answer.
        limit = near[-1].distance if near else 0.0
        right += sum(hit.distance <= limit + _TIE for hit in proposed)
        total += len(near)
    return Recall(len(ids), right / total if total else 1.0)
