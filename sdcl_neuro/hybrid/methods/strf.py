"""STRF (Aich et al., ICCV 2021) on AP3D (Gu et al., ECCV 2020); the STRF unit is a reconstruction.

AP3D's aligned temporal convolutions are those of its code. Of STRF no code was found: its unit
(static and dynamic, coarse and fine) is ours, from the abstract alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.hybrid.bridge import Output
from sdcl_neuro.network.spec import Pair

from .backbone import BackbonePlan
from .head import MethodHead, Shape, at_least, classifier, closing_norm, neck, scored, unit

SHARPNESS = 4.0
COARSE = 4


class AlignedTemporal(nn.Module):
    """AP3D: a temporal convolution whose neighbours are first rebuilt on the own frame's grid."""

    def __init__(self, width: int, size: Pair) -> None:
        super().__init__()
        del size
        inner = at_least(width, 16)
        self.alike = nn.Conv2d(width, inner, 1, bias=False)
        self.own, self.other = (nn.Conv2d(width, inner, 1, bias=False) for _ in range(2))
        self.trust = nn.Conv2d(inner, 1, 1, bias=False)
        self.temporal = nn.Conv2d(3 * width, width, 1, bias=False)
        nn.init.zeros_(self.temporal.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C, h, w]`` to the same."""
        nothing = torch.zeros_like(maps[:, :1])
        own = maps.flatten(0, 1)
        before = self._rebuilt(maps[:, 1:], maps[:, :-1])
        after = self._rebuilt(maps[:, :-1], maps[:, 1:])
        before = torch.cat([nothing, before], 1).flatten(0, 1)
        after = torch.cat([after, nothing], 1).flatten(0, 1)
        changed = self.temporal(torch.cat([before, own, after], 1))
        made: Tensor = maps + changed.view(maps.shape)
        return made

    def weight(self, own: Tensor, other: Tensor) -> Tensor:
        """Return how a cell is rebuilt of another map's ``[N, hw, hw]``; a row sums to 1."""
        query, key = (unit(self.alike(one).flatten(2), 1) for one in (own, other))
        return (SHARPNESS * query.transpose(1, 2) @ key).softmax(2)

    def _rebuilt(self, own: Tensor, other: Tensor) -> Tensor:
        """Return other frames on own grids ``[B, t, C, h, w]``, as far as they are trusted."""
        if not own.shape[1]:  # a clip of one frame
            return other
        mine, others = own.flatten(0, 1), other.flatten(0, 1)
        weight = self.weight(mine.detach(), others.detach())
        cells = others.flatten(2) @ weight.transpose(1, 2)
        rebuilt = cells.unflatten(2, others.shape[2:])
        both = self.own(mine.detach()) * self.other(rebuilt.detach())
        trusted = rebuilt * torch.sigmoid(self.trust(both))
        made: Tensor = trusted.view(other.shape)
        return made


class Factorised(nn.Module):
    """The STRF unit: static and dynamic in time, coarse and fine in space, added from zero."""

    def __init__(self, channels: int, size: Pair) -> None:
        super().__init__()
        del size
        inner = at_least(channels, 16)
        self.enter = nn.Conv2d(channels, inner, 1, bias=False)
        self.moving = nn.Conv1d(inner, inner, 3, padding=1, groups=inner, bias=False)
        self.detail = nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False)
        self.leave = nn.Sequential(
            nn.Conv2d(4 * inner, channels, 1, bias=False), closing_norm(channels)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C, h, w]`` to the same."""
        batch, frames, _, height, width = maps.shape
        entered = self.enter(maps.flatten(0, 1))  # [B * T, c, h, w]
        clip = entered.unflatten(0, (batch, frames))
        static = clip.mean(1, keepdim=True).expand_as(clip)
        change = (clip - static).movedim(1, 4).flatten(1, 3)  # [B, c h w, T]
        lines = change.unflatten(1, (-1, height * width)).transpose(1, 2).flatten(0, 1)
        moved = self.moving(lines).unflatten(0, (batch, height * width))  # [B, hw, c, T]
        dynamic = moved.permute(0, 3, 2, 1).unflatten(3, (height, width))
        small = functional.avg_pool2d(entered, (min(COARSE, height), min(COARSE, width)))
        coarse = functional.interpolate(small, size=(height, width), mode="nearest")
        fine = self.detail(entered - coarse)
        streams = [static.flatten(0, 1), dynamic.flatten(0, 1), coarse, fine]
        return torch.relu(maps + self.leave(torch.cat(streams, 1)).view(maps.shape))


ALIGNED = dict.fromkeys(((2, 0), (2, 2), (3, 0), (3, 2), (3, 4)), AlignedTemporal)
BASE = BackbonePlan(inside=ALIGNED)
"""AP3D alone."""
BACKBONE = BackbonePlan(
    inside=ALIGNED,
    after=dict.fromkeys(((2, 1), (2, 3), (3, 1), (3, 3), (3, 5)), Factorised),
)


class MaxHead(MethodHead):
    """Maximum over the map, mean over the frames, a BNNeck and a classifier."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.size = shape.channels
        self.neck = neck(shape.channels, spread=0.02)
        self.classifier = classifier(shape.channels, shape.identities, bias=True)

    def forward(self, maps: Tensor) -> Output:
        """See `MethodHead`."""
        feature = maps.amax((3, 4)).mean(1)
        normed = self.neck(feature)
        return Output(normed, (feature,), scored([(self.classifier, normed)]), (normed,))
