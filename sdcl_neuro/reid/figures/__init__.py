"""The poster's figures from one's own models and data: maps, spikes by depth, cost and accuracy."""

from __future__ import annotations

from .cost import CostPoint, cost_figure, cost_of
from .depth import DepthCurve, depth_figure, spikes_by_depth
from .drawing import save_figure
from .maps import FeatureMaps, feature_maps, maps_figure
from .page import drawn_section

__all__ = [
    "CostPoint",
    "DepthCurve",
    "FeatureMaps",
    "cost_figure",
    "cost_of",
    "depth_figure",
    "drawn_section",
    "feature_maps",
    "maps_figure",
    "save_figure",
    "spikes_by_depth",
]
