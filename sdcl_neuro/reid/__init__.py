"""Person re-identification: distances, rankings and their measures."""

from .metrics import Metrics, distance_matrix, evaluate_ranking
from .ranked import RankedList, RankedLists, rank

__all__ = [
    "Metrics",
    "RankedList",
    "RankedLists",
    "distance_matrix",
    "evaluate_ranking",
    "rank",
]
