"""MGH (Yan et al., CVPR 2020) as in its code: stripes of three sizes, linked to their nearest.

Which stripes are nearest is a choice: where two are as near within float32's rounding, another
batch, number of threads or dense backend may choose the other, and the embedding then differs by
some 1e-3 in place of 1e-6.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import Output
from sdcl_neuro.network.spec import Pair

from .backbone import BackbonePlan
from .head import (
    LossPlan,
    MethodHead,
    Shape,
    classifiers,
    closing_norm,
    neck,
    pooled,
    rows,
    scored,
    unit,
)

PARTS = (2, 4, 8)
REACH = 3
"""Frames before and after, among which a node's nearest are sought."""
NEAREST = 2


class NonLocal(nn.Module):
    """Embedded-Gaussian non-local block within a frame, keys and values max-pooled 2x2."""

    def __init__(self, channels: int, size: Pair) -> None:
        super().__init__()
        del size
        inner = channels // 2
        self.theta, self.phi, self.value = (nn.Conv2d(channels, inner, 1) for _ in range(3))
        self.pool = nn.MaxPool2d(2)
        self.leave = nn.Sequential(nn.Conv2d(inner, channels, 1), closing_norm(channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C, h, w]`` to the same."""
        flat = maps.flatten(0, 1)
        weight = self.weight(flat)
        value = self.pool(self.value(flat)).flatten(2).transpose(1, 2)
        gathered = (weight @ value).transpose(1, 2).unflatten(2, flat.shape[2:])
        made: Tensor = (flat + self.leave(gathered)).view(maps.shape)
        return made

    def weight(self, flat: Tensor) -> Tensor:
        """Return attention of each cell ``[N, hw, hw / 4]``; a row sums to 1."""
        query = self.theta(flat).flatten(2).transpose(1, 2)
        key = self.pool(self.phi(flat)).flatten(2)
        made: Tensor = (query @ key).softmax(2)
        return made


BACKBONE = BackbonePlan(
    after=dict.fromkeys(((2, 1), (2, 3), (3, 1), (3, 3), (3, 5)), NonLocal), stem_relu=False
)


def nearest(nodes: Tensor) -> Tensor:
    """Return the two nearest nodes of each, but itself, in frames t - 3 to t + 3, by cosine.

    Args:
        nodes: ``[B, T, P, C]``.

    Returns:
        int64 ``[B, T * P, 2]``, positions among the T * P nodes.
    """
    frames, parts = nodes.shape[1:3]
    flat = unit(nodes.flatten(1, 2))
    frame = torch.arange(frames, device=nodes.device).repeat_interleave(parts)
    near = (frame[:, None] - frame[None]).abs() <= REACH
    near = near & ~torch.eye(frames * parts, dtype=torch.bool, device=nodes.device)
    alike = (flat @ flat.transpose(1, 2)).masked_fill(~near, -torch.inf)
    return alike.topk(NEAREST, dim=2).indices


class GraphLayer(nn.Module):
    """``BN(ReLU(L2([W x; W' n])))``, n the mean of the two nearest."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.own, self.other = (nn.Linear(inputs, outputs // 2) for _ in range(2))
        for layer in (self.own, self.other):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, nodes: Tensor) -> Tensor:
        """Map ``[B, T, P, inputs]`` to ``[B, T, P, outputs]``."""
        flat, chosen = nodes.flatten(1, 2), nearest(nodes.detach())
        wide = chosen.flatten(1)[..., None].expand(-1, -1, flat.shape[2])
        around = flat.gather(1, wide).unflatten(1, (-1, NEAREST)).mean(2)
        joined = unit(torch.cat([self.own(flat), self.other(around)], 2))
        made: Tensor = rows(self.norm, torch.relu(joined)).unflatten(1, nodes.shape[1:3])
        return made


class MghHead(MethodHead):
    """The clip's mean beside graphs of 2, 4 and 8 stripes a frame."""

    plan = LossPlan(triplet="euclidean", joined="sum")

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels, half = shape.channels, shape.channels // 2
        if shape.size[0] % PARTS[-1]:
            raise InputError(
                f"a map of {shape.size[0]} rows for {PARTS[-1]} stripes",
                where="mgh",
                hint=f"use a frame branch whose map's rows are a multiple of {PARTS[-1]}",
            )
        self.widths = (channels, *(half for _ in PARTS))
        self.size = sum(self.widths)
        self.norm = nn.BatchNorm1d(channels)
        self.graphs = nn.ModuleList(
            nn.Sequential(GraphLayer(channels, half), GraphLayer(half, half)) for _ in PARTS
        )
        self.neck = neck(self.size)
        self.classifiers = classifiers(self.widths, shape.identities, bias=True)

    def forward(self, maps: Tensor) -> Output:
        """See `MethodHead`."""
        whole = self.norm(torch.relu(unit(pooled(maps).mean(1))))
        found = [whole]
        for parts, graph in zip(PARTS, self.graphs, strict=True):
            stripes = maps.unflatten(3, (parts, -1)).mean((4, 5))  # [B, T, C, P]
            found.append(graph(stripes.transpose(2, 3)).mean((1, 2)))
        feature = torch.cat(found, 1)
        normed = self.neck(feature)
        slices = normed.split(self.widths, 1)
        logits = scored(list(zip(self.classifiers, slices, strict=False)))
        return Output(normed, (feature,), logits, (normed,))
