"""Person re-identification: distances, rankings and their measures."""

from __future__ import annotations

from .blocks import distance_blocks
from .distances import distance_matrix
from .intervals import bootstrap_interval
from .measures import Metrics, QueryMeasures
from .ranked import RankedList, RankedLists, evaluate_ranking, rank
from .ranking import Changed, Ranking, changed_lists, join_rankings, rank_blocks
from .reranking import ReRanking, neighbour_blocks, rerank_blocks

__all__ = [
    "Changed",
    "Metrics",
    "QueryMeasures",
    "RankedList",
    "RankedLists",
    "Ranking",
    "ReRanking",
    "bootstrap_interval",
    "changed_lists",
    "distance_blocks",
    "distance_matrix",
    "evaluate_ranking",
    "join_rankings",
    "neighbour_blocks",
    "rank",
    "rank_blocks",
    "rerank_blocks",
]
