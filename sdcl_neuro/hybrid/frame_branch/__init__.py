"""The dense side: networks from frames to feature maps, and how frames are prepared for them."""

from __future__ import annotations

from .images import FRAME_SIZE, normalise
from .osnet import OSNet
from .resnet import ResNet50
from .small import SmallNet
from .weights import load_weights, save_weights

__all__ = [
    "FRAME_SIZE",
    "MAP_CHANNELS",
    "MAP_SIZE",
    "OSNet",
    "ResNet50",
    "SmallNet",
    "frame_branch",
    "load_weights",
    "map_size",
    "normalise",
    "save_weights",
]

# Channels of each network's map of one frame, and its height and width (all but one halve four
# times).
MAP_CHANNELS = {"osnet_x0_25": 128, "osnet_x1_0": 512, "resnet50": 2048, "small": 128}
MAP_SIZE = (16, 8)
NAMES = tuple(MAP_CHANNELS)


def map_size(name: str) -> tuple[int, int]:
    """Height and width of the map of a network of `NAMES`; the usual ones for any other name."""
    return (8, 4) if name == "small" else MAP_SIZE


def frame_branch(name: str) -> OSNet | ResNet50 | SmallNet:
    """A frame branch by name, one of `NAMES`, with torch's random initial weights.

    Raises:
        InputError: an unknown name.
    """
    from sdcl_neuro.errors import InputError

    match name:
        case "osnet_x0_25":
            return OSNet("x0_25")
        case "osnet_x1_0":
            return OSNet("x1_0")
        case "resnet50":
            return ResNet50()
        case "small":
            return SmallNet()
    raise InputError(
        f"unknown frame branch {name!r}", where="frame_branch", hint=f"use {', '.join(NAMES)}"
    )
