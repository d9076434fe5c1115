"""The dense side: networks from frames to feature maps, and how frames are prepared for them."""

from __future__ import annotations

from .images import FRAME_SIZE, normalise
from .osnet import OSNet
from .resnet import ResNet50
from .small import SmallNet
from .table import FRAME_BRANCHES, MAP_SIZE, make_frame_branch, map_channels, map_size
from .weights import load_weights, save_weights

__all__ = [
    "FRAME_BRANCHES",
    "FRAME_SIZE",
    "MAP_SIZE",
    "OSNet",
    "ResNet50",
    "SmallNet",
    "load_weights",
    "make_frame_branch",
    "map_channels",
    "map_size",
    "normalise",
    "save_weights",
]

# The names of the release before, kept for one.
frame_branch = make_frame_branch
MAP_CHANNELS = {name: row.channels for name, row in FRAME_BRANCHES.items()}
NAMES = tuple(FRAME_BRANCHES)
