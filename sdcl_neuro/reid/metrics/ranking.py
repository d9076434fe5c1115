"""Rankings of any size: the measures, the head of every list, and a mark of its whole order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdcl_neuro.errors import InputError

from .measures import Metrics, QueryMeasures, measure_query, summarise
from .ranked import LabelledDistances, ranked_queries

HEAD = 20
"""Entries kept of every list: as far as CMC looks."""
NEAR = 10
"""A list whose first so many entries are the same looks the same to its reader."""
_DIGEST_BYTES = 16


@dataclass(frozen=True, eq=False)
class Ranking:
    """Q ranked lists, of which only the heads are held.

    Attributes:
        measures: of each query; None where it has no match in the gallery.
        head: int64 ``[Q, n]``, gallery indices of the first n, n at most `HEAD`; -1 where a list is
            shorter.
        distances: float64 ``[Q, n]``; infinite where a list is shorter.
        matches: bool ``[Q, n]``, whether it is the same person.
        digests: bytes of the whole order, one a query.
    """

    measures: tuple[QueryMeasures | None, ...]
    head: NDArray[np.int64]
    distances: NDArray[np.float64]
    matches: NDArray[np.bool_]
    digests: tuple[bytes, ...]

    @property
    def metrics(self) -> Metrics:
        """Over all queries, CMC at the usual ranks; InputError if none has a match."""
        return summarise(self.measures)

    def metrics_at(self, ranks: Sequence[int]) -> Metrics:
        """Return the same with the CMC at other ranks."""
        return summarise(self.measures, ranks=ranks)

    @property
    def precisions(self) -> NDArray[np.float64]:
        """Average precision of each query ``[Q]``, not-a-number where it has no match."""
        values = [np.nan if one is None else one.precision for one in self.measures]
        return np.array(values, dtype=np.float64)


@dataclass(frozen=True)
class Changed:
    """How many of Q ranked lists differ between two rankings of one gallery.

    Attributes:
        queries: Q.
        first: lists with another first entry.
        near: lists with another order in their first `NEAR` entries.
        whole: lists with another order anywhere.
    """

    queries: int
    first: int
    near: int
    whole: int

    def __str__(self) -> str:
        return (
            f"of {self.queries:,} lists {self.whole:,} changed, {self.near:,} in the first {NEAR}, "
            f"{self.first:,} in the first entry"
        )

    def to_dict(self) -> dict[str, int]:
        """Return plain values."""
        return asdict(self)


def rank_blocks(
    blocks: Iterable[ArrayLike],
    q_ids: ArrayLike,
    g_ids: ArrayLike,
    q_cams: ArrayLike | None = None,
    g_cams: ArrayLike | None = None,
    *,
    head: int = HEAD,
) -> Ranking:
    """Rank the gallery for every query, some queries at a time.

    Args:
        blocks: distances ``[q, G]`` from the first query to the last, see `distance_blocks`.
        q_ids, g_ids, q_cams, g_cams: as for `evaluate_ranking`.
        head: entries to keep of each list.

    Raises:
        InputError: labels that do not fit the blocks, or distances that are NaN.
    """
    ids, cameras = np.asarray(q_ids), None if q_cams is None else np.asarray(q_cams)
    entries = len(np.asarray(g_ids))
    heads, distances, matches = [], [], []
    measures: list[QueryMeasures | None] = []
    digests = []
    start = 0
    for block in blocks:
        part = slice(start, start + len(np.asarray(block)))
        start = part.stop
        labels = LabelledDistances.of(
            block, ids[part], g_ids, None if cameras is None else cameras[part], g_cams
        )
        for one in ranked_queries(labels):
            measures.append(measure_query(one.matches))
            heads.append(_padded(one.gallery, head, -1))
            distances.append(_padded(one.distances, head, np.inf))
            matches.append(_padded(one.matches, head, False))
            digests.append(
                hashlib.blake2b(one.gallery.tobytes(), digest_size=_DIGEST_BYTES).digest()
            )
    if start != len(ids):
        raise InputError(
            f"distances of {start} queries for {len(ids)} labels", hint="give blocks of all queries"
        )
    kept = min(head, entries)
    return Ranking(
        tuple(measures),
        np.array(heads, dtype=np.int64)[:, :kept],
        np.array(distances)[:, :kept],
        np.array(matches)[:, :kept],
        tuple(digests),
    )


def join_rankings(parts: Sequence[Ranking]) -> Ranking:
    """Put rankings of one gallery for some queries each one after another; at least one."""
    return Ranking(
        tuple(one for part in parts for one in part.measures),
        np.concatenate([part.head for part in parts]),
        np.concatenate([part.distances for part in parts]),
        np.concatenate([part.matches for part in parts]),
        tuple(one for part in parts for one in part.digests),
    )


def changed_lists(first: Ranking, second: Ranking) -> Changed:
    """Compare two rankings of the same queries and gallery.

    Raises:
        InputError: rankings of other numbers of queries, or other heads.
    """
    if first.head.shape != second.head.shape:
        raise InputError(
            f"rankings of shapes {first.head.shape} and {second.head.shape}",
            hint="rank the same queries and gallery",
        )
    differs = first.head != second.head
    return Changed(
        queries=len(differs),
        first=int(differs[:, 0].sum()),
        near=int(differs[:, :NEAR].any(1).sum()),
        whole=sum(a != b for a, b in zip(first.digests, second.digests, strict=True)),
    )


def _padded(values: NDArray[np.generic], length: int, filler: float) -> NDArray[np.generic]:
    short = values[:length]
    return np.pad(short, (0, length - len(short)), constant_values=filler)
