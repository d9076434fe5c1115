"""Rankings of one pair of query and gallery, block by block, kept as embeddings are.

Blocks are cut alike whoever computes them, so that several processes that share them through a
store get the bits of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.identity import versions

from ..datasets import DataSet, labels
from ..datasets.index import Labels
from ..metrics import (
    QueryMeasures,
    Ranking,
    ReRanking,
    distance_blocks,
    join_rankings,
    neighbour_blocks,
    rank_blocks,
    rerank_blocks,
)
from ..metrics.blocks import block_slices
from ..metrics.distances import Metric
from .extraction import Embeddings
from .planning import places
from .signature import digest_of
from .store import FeatureStore

Kind = Literal["neighbours", "plain", "reranked"]
Stage = Literal["neighbours", "lists"]
STAGES: dict[Stage, tuple[Kind, ...]] = {
    "neighbours": ("neighbours",),
    "lists": ("plain", "reranked"),
}
"""What is computed together; re-ranked lists need the neighbours of all."""
Arrays = dict[str, NDArray[Any]]
_NAMES: dict[Kind, tuple[str, ...]] = {
    "neighbours": ("nearest", "farthest"),
    **dict.fromkeys(("plain", "reranked"), ("head", "distances", "matches", "digests", "measures")),
}


@dataclass(frozen=True, eq=False)
class Rankings:
    """A gallery ranked for every query, by distance and re-ranked.

    Attributes:
        query, gallery: embeddings ``[Q, D]`` and ``[G, D]``.
        names: persons and cameras of both.
        metric: of the distance.
        reranking: its settings; None leaves it out.
        store: where blocks are kept.
    """

    query: Embeddings
    gallery: Embeddings
    names: tuple[Labels, Labels]
    metric: Metric
    reranking: ReRanking | None
    store: FeatureStore

    @classmethod
    def of(
        cls,
        data: DataSet,
        embeddings: Embeddings,
        *,
        metric: Metric,
        reranking: ReRanking | None,
        store: FeatureStore,
    ) -> Rankings:
        """Take query and gallery out of embeddings in the order of `places`."""
        _, place = places(data)
        query, gallery = (
            embeddings[np.array([place[k] for k in part])] for part in (data.query, data.gallery)
        )
        names = labels(data, "query"), labels(data, "gallery")
        return cls(query, gallery, names, metric, reranking, store)

    def plain(self) -> Ranking:
        """Return the ranking by distance."""
        return join_rankings([_ranking(one) for one in self.arrays("plain")])

    def reranked(self) -> Ranking | None:
        """Return the ranking after re-ranking; None where it is left out."""
        if self.reranking is None:
            return None
        return join_rankings([_ranking(one) for one in self.arrays("reranked")])

    def arrays(self, kind: Kind, numbers: Sequence[int] | None = None) -> list[Arrays]:
        """Return blocks, of which those that the store lacks are computed and kept.

        Args:
            kind: of block.
            numbers: which of them; None is all.
        """
        slices = self._slices(kind)
        wanted = range(len(slices)) if numbers is None else numbers
        keys = self._keys(kind, wanted)
        found: dict[int, Arrays] = {}
        for number, key in keys.items():
            stored = self.store.arrays(key)
            length = slices[number].stop - slices[number].start
            if stored is not None and _whole(stored, _NAMES[kind], length):
                found[number] = stored
        missing = [number for number in wanted if number not in found]
        for number, arrays in zip(missing, self._computed(kind, missing), strict=True):
            if number in keys:
                self.store.put_arrays(keys[number], arrays)
            found[number] = arrays
        return [found[number] for number in wanted]

    def _slices(self, kind: Kind) -> list[slice]:
        return _slices(kind, len(self.query), len(self.gallery))

    def _keys(self, kind: Kind, numbers: Sequence[int]) -> dict[int, str]:
        """Return the key of each block; none where nothing is kept."""
        if self.store.folder is None:
            return {}
        settings = None if kind == "plain" or not self.reranking else asdict(self.reranking)
        common = [self._seen, self.metric, settings, versions()]
        return {number: digest_of(["ranking", kind, number, *common]) for number in numbers}

    @cached_property
    def _seen(self) -> list[list[Any]]:
        """Hashes of the embeddings and labels that are ranked, the same for all blocks."""
        sides: list[NDArray[Any]] = [self.query, self.gallery]
        for side in self.names:
            sides += [side.persons, side.cameras]
        return [_digest(array) for array in sides]

    def _computed(self, kind: Kind, numbers: Sequence[int]) -> Iterator[Arrays]:
        if not numbers:
            return
        sides = self.query, self.gallery
        if kind == "neighbours":
            for nearest, farthest in neighbour_blocks(
                *sides, metric=self.metric, settings=self.reranking, only=numbers
            ):
                yield {"nearest": nearest, "farthest": farthest}
            return
        if kind == "plain":
            blocks = distance_blocks(*sides, metric=self.metric, only=numbers)
        else:
            near = self.arrays("neighbours")
            nearest, farthest = (
                np.concatenate([one[name] for one in near]) for name in _NAMES["neighbours"]
            )
            blocks = rerank_blocks(
                *sides,
                metric=self.metric,
                settings=self.reranking,
                neighbours=(nearest, farthest),
                only=numbers,
            )
        slices, (asking, asked) = self._slices(kind), self.names
        for number, block in zip(numbers, blocks, strict=True):
            part = slices[number]
            yield _arrays(
                rank_blocks(
                    [block],
                    asking.persons[part],
                    asked.persons,
                    asking.cameras[part],
                    asked.cameras,
                )
            )


def pieces(stage: Stage, data: DataSet, reranking: ReRanking | None) -> list[tuple[Kind, int]]:
    """Return the blocks of one row in a stage, each of which can be computed by itself."""
    kinds = [kind for kind in STAGES[stage] if kind == "plain" or reranking is not None]
    sizes = len(data.query), len(data.gallery)
    return [(kind, number) for kind in kinds for number in range(len(_slices(kind, *sizes)))]


def _slices(kind: Kind, queries: int, entries: int) -> list[slice]:
    if kind == "neighbours":  # of all among all
        queries = entries = queries + entries
    return block_slices(queries, entries)


def _arrays(ranking: Ranking) -> Arrays:
    """Return a ranking as arrays; a query without a match has not-a-number as precision."""
    rows = [
        (np.nan, np.nan, 0) if one is None else (one.precision, one.inverse, one.first)
        for one in ranking.measures
    ]
    return {
        "head": ranking.head,
        "distances": ranking.distances,
        "matches": ranking.matches,
        "digests": np.array([list(one) for one in ranking.digests], np.uint8),
        "measures": np.array(rows, np.float64),
    }


def _ranking(arrays: Arrays) -> Ranking:
    return Ranking(
        tuple(
            None if np.isnan(precision) else QueryMeasures(precision, inverse, int(first))
            for precision, inverse, first in arrays["measures"].tolist()
        ),
        arrays["head"],
        arrays["distances"],
        arrays["matches"],
        tuple(one.tobytes() for one in arrays["digests"]),
    )


def _whole(arrays: Arrays, names: Sequence[str], length: int) -> bool:
    return {*arrays} == {*names} and all(len(array) == length for array in arrays.values())


def _digest(array: NDArray[Any]) -> list[Any]:
    plain = np.ascontiguousarray(array)
    return [str(plain.dtype), list(plain.shape), hashlib.sha256(plain.data).hexdigest()]
