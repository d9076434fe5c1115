"""The bridge between event and frame branch: mapping, alignment, pyramid (paper, Section 3)."""

from __future__ import annotations

from .alignment import CrossFeatureAlignment
from .config import BridgeConfig
from .heads import Output
from .mapping import DeformableConvolution, EventMapping
from .network import Bridge
from .offsets import active_cells, nearest_event_offsets
from .psta import PstaBridge
from .pyramid import Aggregation
from .stam import Stam

__all__ = [
    "Aggregation",
    "Bridge",
    "BridgeConfig",
    "CrossFeatureAlignment",
    "DeformableConvolution",
    "EventMapping",
    "Output",
    "PstaBridge",
    "Stam",
    "active_cells",
    "nearest_event_offsets",
]
