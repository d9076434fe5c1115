"""The table of frame branches: networks from frames to maps, one row each.

To add one: a module from ``[N, 3, 256, 128]`` to ``[N, C, H, W]`` in a file beside this one, and a
row here; docs/how-to/add-a-frame-branch.md follows the steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from sdcl_neuro.errors import InputError

if TYPE_CHECKING:
    from torch import nn

MAP_SIZE = (16, 8)
"""Height and width of a map whose network halves the frame four times."""


@dataclass(frozen=True)
class FrameBranch:
    """One network.

    Attributes:
        module: its module in this package.
        maker: its class or function there.
        channels: C of the map of one frame.
        size: height and width of that map.
        arguments: that the maker is given.
    """

    module: str
    maker: str
    channels: int
    size: tuple[int, int] = MAP_SIZE
    arguments: tuple[Any, ...] = ()

    def make(self) -> nn.Module:
        """Return the network with torch's random initial weights."""
        found = getattr(import_module(f".{self.module}", __package__), self.maker)
        return cast("nn.Module", found(*self.arguments))


FRAME_BRANCHES: dict[str, FrameBranch] = {
    "osnet_x0_25": FrameBranch("osnet", "OSNet", 128, arguments=("x0_25",)),
    "osnet_x1_0": FrameBranch("osnet", "OSNet", 512, arguments=("x1_0",)),
    "resnet50": FrameBranch("resnet", "ResNet50", 2048),
    "small": FrameBranch("small", "SmallNet", 128, (8, 4)),
}


def map_channels(name: str) -> int:
    """Return the channels of the map of a network; 1 for a name that the table lacks."""
    return FRAME_BRANCHES[name].channels if name in FRAME_BRANCHES else 1


def map_size(name: str) -> tuple[int, int]:
    """Return height and width of the map of a network; the usual ones for any other name."""
    return FRAME_BRANCHES[name].size if name in FRAME_BRANCHES else MAP_SIZE


def make_frame_branch(name: str) -> nn.Module:
    """Return a frame branch by name, with torch's random initial weights.

    Raises:
        InputError: an unknown name.
    """
    if name not in FRAME_BRANCHES:
        known = ", ".join(FRAME_BRANCHES)
        raise InputError(
            f"unknown frame branch {name!r}", where="frame_branch", hint=f"use {known}"
        )
    return FRAME_BRANCHES[name].make()
