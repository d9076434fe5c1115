"""What a network does, and what that costs: counts, energy, latency, with their sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdcl_neuro.extras import attach

if TYPE_CHECKING:
    from .api import profile as profile
    from .counters import EnergyMeter as EnergyMeter
    from .ledger import Ledger as Ledger
    from .result import Profile as Profile

_PUBLIC = {
    "EnergyMeter": "counters",
    "Ledger": "ledger",
    "profile": "api",
    "Profile": "result",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = attach(__name__, _PUBLIC)
