"""Hybrid inference: both branches at once, with a ledger of what it cost."""

from __future__ import annotations

from .hybrid import HybridResult, infer, merge_records
from .worker import EventBackend

__all__ = ["EventBackend", "HybridResult", "infer", "merge_records"]
