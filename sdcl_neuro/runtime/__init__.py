"""Hybrid inference: both branches at once, with a ledger of what it cost."""

from __future__ import annotations

from .hybrid import EventBackend, HybridResult, infer, merge_records

__all__ = ["EventBackend", "HybridResult", "infer", "merge_records"]
