"""What a network does, and what that costs: counts, energy, latency, with their sources."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import profile as profile
    from .counters import EnergyMeter as EnergyMeter
    from .ledger import Ledger as Ledger
    from .result import Profile as Profile

_LAZY = {
    "EnergyMeter": "counters",
    "Ledger": "ledger",
    "Profile": "result",
    "profile": "api",
}

__all__ = ["EnergyMeter", "Ledger", "Profile", "profile"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
