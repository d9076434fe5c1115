"""Hybrid inference: both branches at once, with a ledger of what it cost."""

from __future__ import annotations

from .dense import DenseSide
from .hybrid import HybridResult, infer, merge_records
from .prefetch import prefetched
from .sharing import Shares, share_out
from .worker import EventBackend, EventWorker

__all__ = [
    "DenseSide",
    "EventBackend",
    "EventWorker",
    "HybridResult",
    "Shares",
    "infer",
    "merge_records",
    "prefetched",
    "share_out",
]
