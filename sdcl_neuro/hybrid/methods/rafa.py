"""MG-RAFA (Zhang et al., CVPR 2020), a reconstruction: attention by relations to reference nodes.

No code was found. Groups, references and relations are the paper's; the attention's constants are
those of RGA, the same authors' image module, or from memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.hybrid.bridge import Output
from sdcl_neuro.hybrid.bridge.layers import conv_bn_relu

from .head import LossPlan, MethodHead, Shape, classifier, neck, scored

GROUPS = 4


def pooling(size: tuple[int, int], group: int) -> int:
    """Return by how much a group's map is pooled: 2^group, as far as the map allows."""
    factor = 1 << group
    while size[0] % factor or size[1] % factor:
        factor //= 2
    return factor


class ReferenceAttention(nn.Module):
    """One granularity: nodes weighted by themselves and their relations to references."""

    def __init__(self, channels: int, nodes: int) -> None:
        super().__init__()
        inner, related = max(1, channels // 8), max(nodes // 8, 1)
        self.theta, self.phi, self.own = (conv_bn_relu(channels, inner) for _ in range(3))
        self.relate = conv_bn_relu(nodes, related)
        joined = inner + related
        hidden = max(1, joined // 8)
        self.judge = nn.Sequential(
            nn.Conv2d(joined, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, 1, 1, bias=False),
            nn.BatchNorm2d(1),
        )

    def weight(self, maps: Tensor) -> Tensor:
        """Return attention over all nodes of the clip ``[B, T * h * w]``, of sum 1."""
        flat = maps.flatten(0, 1)
        reference = self.phi(maps.mean(1)).flatten(2)  # [B, c, D]
        each = reference.repeat_interleave(maps.shape[1], 0)
        query = self.theta(flat).flatten(2)  # [B * T, c, hw]
        relation = (each.transpose(1, 2) @ query).unflatten(2, flat.shape[2:])  # [., D, h, w]
        scores = self.judge(torch.cat([self.own(flat), self.relate(relation)], 1))
        made: Tensor = scores.view(maps.shape[0], -1).softmax(1)
        return made

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C, h, w]`` to ``[B, C]``."""
        nodes = maps.transpose(1, 2).flatten(2)  # [B, C, T h w]
        return (nodes @ self.weight(maps)[..., None])[..., 0]


class RafaHead(MethodHead):
    """Four groups of channels at four granularities, concatenated."""

    plan = LossPlan(triplet="euclidean")

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels = self.size = shape.channels
        self.width = channels // GROUPS
        self.factors = [pooling(shape.size, group) for group in range(GROUPS)]
        height, width = shape.size
        self.groups = nn.ModuleList(
            ReferenceAttention(self.width, height * width // factor**2) for factor in self.factors
        )
        self.neck = neck(channels, shift=False)
        self.classifier = classifier(channels, shape.identities)

    def forward(self, maps: Tensor) -> Output:
        """See `MethodHead`."""
        found = []
        for group, (factor, attend) in enumerate(zip(self.factors, self.groups, strict=True)):
            own = maps[:, :, group * self.width : (group + 1) * self.width]
            if factor > 1:
                flat = functional.avg_pool2d(own.flatten(0, 1), factor)
                own = flat.unflatten(0, maps.shape[:2])
            found.append(attend(own))
        feature = torch.cat(found, 1)
        normed = self.neck(feature)
        return Output(normed, (feature,), scored([(self.classifier, normed)]), (normed,))
