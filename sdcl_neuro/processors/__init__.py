"""Processors and threads: how many, how threads wait, and when garbage is collected.

Nothing heavy is imported: `wait_asleep` must run before torch is loaded.
"""

from __future__ import annotations

from .collecting import collect_later
from .threads import TOLD, Threads, at_most, decide, processors, settle, settled, telling, told
from .usable import usable
from .waiting import policy, wait_asleep

__all__ = [
    "TOLD",
    "Threads",
    "at_most",
    "collect_later",
    "decide",
    "policy",
    "processors",
    "settle",
    "settled",
    "telling",
    "told",
    "usable",
    "wait_asleep",
]
