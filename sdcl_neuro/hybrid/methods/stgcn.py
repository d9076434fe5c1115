"""STGCN (Yang et al., CVPR 2020), a reconstruction: stripes of all frames, and of each, as graphs.

No code was found; the three branches are the paper's, the details (stripes, layers, norms) are from
memory of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import Output

from .head import LossPlan, MethodHead, Shape, classifiers, neck, pooled, scored

STRIPES = 4
LAYERS = 2
SLOPE = 0.1


class PatchGraph(nn.Module):
    """Graph convolutions over nodes ``[N, P, C]``, linked by squared products; max over nodes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(channels, channels, bias=False)
        self.layers = nn.ModuleList(
            nn.Linear(channels, channels, bias=False) for _ in range(LAYERS)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(LAYERS))

    def links(self, nodes: Tensor) -> Tensor:
        """Return ``D^-1/2 (A + I) D^-1/2`` of A_ij = e_ij^2 / sum over j of e_ij^2, ``[N, P,
        P]``.
        """
        projected = self.project(nodes)
        square = (projected @ projected.transpose(1, 2)).square()
        own = torch.eye(nodes.shape[1], device=nodes.device, dtype=nodes.dtype)
        joined = square / square.sum(2, keepdim=True).clamp_min(1e-12) + own
        degree = joined.sum(2).rsqrt()
        made: Tensor = degree[:, :, None] * joined * degree[:, None, :]
        return made

    def forward(self, nodes: Tensor) -> Tensor:
        """Map ``[N, P, C]`` to ``[N, C]``."""
        links = self.links(nodes)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            nodes = functional.leaky_relu(norm(links @ layer(nodes)), SLOPE) + nodes
        return nodes.amax(1)


class StgcnHead(MethodHead):
    """Temporal graph, structural graph and global mean, each with its own neck and classifier."""

    plan = LossPlan(triplet="euclidean", joined="sum")

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels = shape.channels
        if shape.size[0] % STRIPES:
            raise InputError(
                f"a map of {shape.size[0]} rows for {STRIPES} stripes",
                where="stgcn",
                hint=f"use a frame branch whose map's rows are a multiple of {STRIPES}",
            )
        self.size = 3 * channels
        self.temporal, self.structural = PatchGraph(channels), PatchGraph(channels)
        self.necks = nn.ModuleList(neck(channels, shift=False) for _ in range(3))
        self.classifiers = classifiers([channels] * 3, shape.identities)

    def forward(self, maps: Tensor) -> Output:
        """See `MethodHead`."""
        stripes = maps.unflatten(3, (STRIPES, -1)).mean((4, 5)).transpose(2, 3)  # [B, T, P, C]
        temporal = self.temporal(stripes.flatten(1, 2))
        structural = self.structural(stripes.flatten(0, 1)).unflatten(0, maps.shape[:2]).mean(1)
        features = (temporal, structural, pooled(maps).mean(1))
        normed = tuple(layer(one) for layer, one in zip(self.necks, features, strict=True))
        logits = scored(list(zip(self.classifiers, normed, strict=False)))
        return Output(torch.cat(normed, 1), features, logits, normed)
