"""mAP, CMC and mINP of a ranking.

The protocol is Market-1501's as torchreid publishes it (Zheng et al., ICCV 2015; Zhou and Xiang,
"Torchreid", 2019): for each query, gallery entries of the same person seen by the same camera are
left out; a query without a match among the rest is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.network.content import Result

CMC_RANKS = (1, 5, 10, 20)


@dataclass(frozen=True, eq=False)
class Metrics(Result):
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
        counted = f"({number_of(self.queries, 'query')}{skipped})"
        return f"mAP {self.mean_ap:.1%}  {ranks}  mINP {self.mean_inp:.1%}  {counted}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values under the usual names."""
        return {
            "mAP": self.mean_ap,
            "cmc": {str(rank): value for rank, value in self.cmc.items()},
            "mINP": self.mean_inp,
            "queries": self.queries,
            "skipped": self.skipped,
        }


@dataclass(frozen=True)
class QueryMeasures:
    """Measures of one query: average precision, inverse negative penalty, first match's rank."""

    precision: float
    inverse: float
    first: int


def measure_query(flags: NDArray[np.bool_]) -> QueryMeasures | None:
    """Return measures of one ranking, given as match flags in order; None without a match."""
    hits = np.flatnonzero(flags) + 1
    if not hits.size:
        return None
    precision = float((np.arange(1, hits.size + 1) / hits).mean())
    return QueryMeasures(precision, hits.size / int(hits[-1]), int(hits[0]))


def measure(matches: Iterable[NDArray[np.bool_]]) -> Metrics:
    """Return measures of rankings, given as match flags in order, one array a query."""
    return summarise(measure_query(flags) for flags in matches)


def summarise(
    queries: Iterable[QueryMeasures | None], *, ranks: Sequence[int] = CMC_RANKS
) -> Metrics:
    """Return means over the queries that have a match, CMC at `ranks`; InputError if none has."""
    every = list(queries)
    found = [one for one in every if one is not None]
    skipped = len(every) - len(found)
    if not found:
        raise InputError(
            f"none of {skipped} queries has a match in the gallery",
            hint="give a gallery with the queries' persons, seen by other cameras",
        )
    firsts = np.array([one.first for one in found])
    return Metrics(
        float(np.mean([one.precision for one in found])),
        {rank: float(np.mean(firsts <= rank)) for rank in ranks},
        float(np.mean([one.inverse for one in found])),
        len(found),
        skipped,
    )
