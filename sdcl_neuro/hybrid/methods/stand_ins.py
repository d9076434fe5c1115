"""The networks that SDCL's own repository ran under the names of published ones.

Its compiled files hold PSTA's shell with another block: a frame's map through a 1x1 convolution,
three blocks one after another that keep all frames, level k's feature the mean of the pooled
outputs of the blocks up to k, a BNNeck and a classifier for each level. Modules that those files
build and never call are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import BridgeConfig, Output
from sdcl_neuro.hybrid.bridge.checks import checked, same_tracklets
from sdcl_neuro.hybrid.bridge.heads import Head, judge
from sdcl_neuro.hybrid.bridge.layers import conv_bn_relu
from sdcl_neuro.hybrid.bridge.psta import SpatialFusion
from sdcl_neuro.network.spec import Pair

from .head import closing_norm
from .srs import TINY

BLOCKS = 3
SUFFIX = "-sdcl"


class RescaledBlock(nn.Module):
    """SRS: three convolutions of full width with a residual, times the input's share of its map."""

    def __init__(self, channels: int, size: Pair) -> None:
        super().__init__()
        del size
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C, h, w]`` to the same."""
        x = maps.flatten(0, 1)
        mean = x.mean(1, keepdim=True)
        share = mean / (mean.sum((2, 3), keepdim=True) + TINY)
        made: Tensor = (functional.relu(x + self.body(x)) * share).view(maps.shape)
        return made


class GateBlock(nn.Module):
    """STMN: a recurrent cell that every frame meets with a state of zeros; no frame reads another.

    The state's convolution adds its bias alone.
    """

    def __init__(self, channels: int, size: Pair) -> None:
        super().__init__()
        del size
        self.enter, self.given, self.state, self.leave = (
            nn.Conv2d(channels, channels, 1) for _ in range(4)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C, h, w]`` to the same."""
        x = functional.relu(self.enter(maps.flatten(0, 1)))
        cell = torch.tanh(self.given(x) + self.state(torch.zeros_like(x)))
        made: Tensor = functional.relu(self.leave(cell)).view(maps.shape)
        return made


class MixedNonLocal(nn.Module):
    """CTL: an embedded-Gaussian non-local block over time and space.

    Its file reads ``[T, C]`` as ``[C, T]`` without moving anything, so that what it calls a channel
    is a mixture of frames and channels; so does this.
    """

    def __init__(self, channels: int, size: Pair) -> None:
        super().__init__()
        del size
        self.theta, self.phi, self.value, self.leave = (
            nn.Conv3d(channels, channels, 1) for _ in range(4)
        )
        self.norm = closing_norm(channels, nn.BatchNorm3d)

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C, h, w]`` to the same."""
        batch, frames, channels, *cells = maps.shape
        x = maps.contiguous().view(batch, channels, frames, *cells)
        query = self.theta(x).flatten(2).transpose(1, 2)  # [B, thw, C]
        key, value = (
            functional.max_pool3d(part(x), (1, 2, 2)).flatten(2) for part in (self.phi, self.value)
        )
        found = (query @ key).softmax(2) @ value.transpose(1, 2)  # [B, thw, C]
        written = self.norm(self.leave(found.transpose(1, 2).reshape(x.shape)))
        made: Tensor = (x + written).view(maps.shape)
        return made


class HalvedNonLocal(nn.Module):
    """GRL: a non-local block within a frame, half as wide, its cells read as pairs.

    The affinity's softmax runs over the queries, as in its file.

    Raises:
        InputError: a map with an odd number of cells.
    """

    def __init__(self, channels: int, size: Pair) -> None:
        super().__init__()
        if size[0] * size[1] % 2:
            raise InputError(
                f"a map of {size[0]}x{size[1]} cells, which do not make pairs",
                where="grl",
                hint="use a frame branch whose map has an even number of cells",
            )
        half = channels // 2
        self.theta, self.phi, self.value = (
            nn.Conv2d(channels, half, 1, bias=False) for _ in range(3)
        )
        self.leave = nn.Conv2d(half, channels, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C, h, w]`` to the same."""
        x = maps.flatten(0, 1)
        count, channels = x.shape[:2]
        query, key, value = (
            part(x).reshape(count, channels // 2 * 2, -1)
            for part in (self.theta, self.phi, self.value)
        )  # [N, C, hw / 2]
        weight = (query.transpose(1, 2) @ key).softmax(1)
        found = (weight @ value.transpose(1, 2)).transpose(1, 2)
        written = self.leave(found.reshape(count, -1, *x.shape[2:]))
        made: Tensor = (x + written).view(maps.shape)
        return made


@dataclass(frozen=True)
class StandIn:
    """One of them.

    Attributes:
        title: as the published network is called.
        block: from channels and map size to ``[B, T, C, h, w] -> [B, T, C, h, w]``.
        file: of SDCL's repository.
    """

    title: str
    block: Callable[[int, Pair], nn.Module]
    file: str


STAND_INS: dict[str, StandIn] = {
    "grl": StandIn("GRL", HalvedNonLocal, "GRL"),
    "srs": StandIn("SRS-Net", RescaledBlock, "SRS"),
    "stmn": StandIn("STMN", GateBlock, "STMN"),
    "ctl": StandIn("CTL", MixedNonLocal, "CCReID"),
}
"""By the published network whose name they bore."""


def stand_in_kind(kind: str) -> str:
    """Return the kind of a published network's stand-in."""
    return f"{kind}{SUFFIX}"


def stands_for(kind: str) -> StandIn | None:
    """Return the stand-in of a kind; None for any other kind of model."""
    return STAND_INS.get(kind.removesuffix(SUFFIX)) if kind.endswith(SUFFIX) else None


class StandInBridge(nn.Module):
    """PSTA's shell with a stand-in's blocks; called as `Bridge` is, for any number of frames.

    Args:
        kind: of `stand_in_kind`.
        config: its sizes; fusion, mapping and pyramid do not count.

    Raises:
        InputError: an unknown kind, or a map that the block cannot take.
    """

    def __init__(self, kind: str, config: BridgeConfig) -> None:
        super().__init__()
        found = stands_for(kind)
        if found is None:
            known = ", ".join(map(stand_in_kind, STAND_INS))
            raise InputError(f"no stand-in {kind!r}", where="StandInBridge", hint=f"use {known}")
        self.kind, self.config = kind, config
        channels = config.channels
        self.entry = conv_bn_relu(config.frame_channels, channels)
        self.fusion = SpatialFusion(config) if config.inputs == "v+e" else None
        self.pyramid = nn.ModuleList(found.block(channels, config.map_size) for _ in range(BLOCKS))
        self.heads = nn.ModuleList(Head(channels, config.identities) for _ in range(BLOCKS))

    @property
    def embedding_size(self) -> int:
        """Dimension of the embedding."""
        return self.config.channels

    def forward(
        self, frame_maps: Tensor | None, event_features: Tensor | None, event_counts: Tensor | None
    ) -> Output:
        """Return arguments as `Bridge`'s; where events are does not matter.

        Raises:
            InputError: an input that `config` needs is absent or of another shape.
        """
        del event_counts
        config = self.config
        given, name = (
            (frame_maps, "frame_maps") if config.uses_frames else (event_features, "event_features")
        )
        maps = checked(given, name, (config.frame_channels, *config.map_size))
        steps: Tensor = self.entry(maps.flatten(0, 1))
        if self.fusion is not None:
            shape = (config.event_channels, *config.event_size)
            events = checked(event_features, "event_features", shape)
            same_tracklets(maps, events)
            steps = self.fusion(steps, events.flatten(0, 1))
        whole = steps.unflatten(0, maps.shape[:2])
        pooled: list[Tensor] = []
        features = []
        for block in self.pyramid:
            whole = block(whole)
            pooled.append(whole.mean((1, 3, 4)))
            features.append(torch.stack(pooled).mean(0))
        return judge(self.heads, tuple(features))
