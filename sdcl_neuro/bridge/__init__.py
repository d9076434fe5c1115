"""The bridge between event and frame branch: mapping, alignment, pyramid (paper, Section 3)."""

from __future__ import annotations

from .alignment import CrossFeatureAlignment
from .config import BridgeConfig
from .mapping import DeformableConvolution, EventMapping
from .network import Bridge, Output
from .offsets import active_cells, nearest_event_offsets
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
    "Stam",
    "active_cells",
    "nearest_event_offsets",
]
