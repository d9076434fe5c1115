"""CTL (Liu et al., CVPR 2021), a reconstruction: body parts of three granularities as graph nodes.

No code was found. Key points, nodes, context, cross-scale graphs and fusion are the paper's in
words; widths, scales and every formula here are ours. Without a pose estimator the key points are
a prior: a standing body's mean joint places, moved by offsets that are learnt from zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sdcl_neuro.hybrid.bridge import Output
from sdcl_neuro.network.spec import Pair

from .head import (
    LossPlan,
    MethodHead,
    Shape,
    at_least,
    classifier,
    neck,
    pooled,
    rows,
    scored,
    unit,
)

# Ours: places (down, right) in a person's box from 0 to 1.
JOINTS = {
    "head": (0.09, 0.50),
    "left shoulder": (0.20, 0.66),
    "right shoulder": (0.20, 0.34),
    "left elbow": (0.34, 0.72),
    "right elbow": (0.34, 0.28),
    "left wrist": (0.47, 0.72),
    "right wrist": (0.47, 0.28),
    "left hip": (0.51, 0.60),
    "right hip": (0.51, 0.40),
    "left knee": (0.72, 0.60),
    "right knee": (0.72, 0.40),
    "left ankle": (0.92, 0.60),
    "right ankle": (0.92, 0.40),
}
PARTS: dict[str, tuple[str, ...]] = {
    "head": ("head",),
    "torso": ("left shoulder", "right shoulder", "left hip", "right hip"),
    "left arm": ("left shoulder", "left elbow", "left wrist"),
    "right arm": ("right shoulder", "right elbow", "right wrist"),
    "left leg": ("left hip", "left knee", "left ankle"),
    "right leg": ("right hip", "right knee", "right ankle"),
}
THIRDS: dict[str, tuple[str, ...]] = {
    "upper": ("head", "left shoulder", "right shoulder"),
    "middle": ("left elbow", "right elbow", "left wrist", "right wrist", "left hip", "right hip"),
    "lower": ("left knee", "right knee", "left ankle", "right ankle"),
}
LINKS = (
    *((f"{side} {a}", f"{side} {b}") for side in ("left", "right") for a, b in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("shoulder", "hip"), ("hip", "knee"),
        ("knee", "ankle"),
    )),
    *(("head", f"{side} shoulder") for side in ("left", "right")),
    ("left shoulder", "right shoulder"),
    ("left hip", "right hip"),
)  # fmt: skip
SPREAD = 0.06
"""Standard deviation of a joint's Gaussian, of the box's height (ours)."""
SCALES = 3
LAYERS = 2

KeyPoints = Callable[[Tensor], Tensor]
"""Maps ``[N, C, h, w]`` to heat ``[N, 13, h, w]`` of any scale, none below zero."""


class PosePrior(nn.Module):
    """Gaussians at a standing body's mean joints, moved by offsets learnt from zero."""

    places: Tensor

    def __init__(self, channels: int, size: Pair) -> None:
        super().__init__()
        self.height, self.width = size
        self.register_buffer("places", torch.tensor(list(JOINTS.values())), persistent=False)
        self.offset = nn.Conv2d(channels, 2 * len(JOINTS), 1)
        assert self.offset.bias is not None
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """See `KeyPoints`."""
        moved = self.offset(pooled(maps)[..., None, None]).view(-1, len(JOINTS), 2)
        y, x = (self.places + moved)[..., None].unbind(2)  # [N, 13, 1]
        down = (torch.arange(self.height, device=maps.device) + 0.5) / self.height
        right = (torch.arange(self.width, device=maps.device) + 0.5) / self.width
        # A box is twice as high as it is wide: distances are counted in its height.
        vertical = (down - y).square()[..., :, None]
        sideways = ((right - x) / 2).square()[..., None, :]
        return torch.exp(-(vertical + sideways) / (2 * SPREAD**2))


def _groups() -> list[list[list[int]]]:
    """Return joints of each node of each scale."""
    names = list(JOINTS)
    single: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
    scales: list[dict[str, tuple[str, ...]]] = [single, PARTS, THIRDS]
    return [[[names.index(one) for one in node] for node in scale.values()] for scale in scales]


def _links(groups: list[list[int]]) -> Tensor:
    """Return nodes that share a joint or a link between joints, and oneself, each row of sum 1."""
    names = list(JOINTS)
    linked = {frozenset((names.index(a), names.index(b))) for a, b in LINKS}
    count = len(groups)
    found = torch.eye(count)
    for i in range(count):
        for j in range(count):
            shared = set(groups[i]) & set(groups[j])
            if shared or any(frozenset((a, b)) in linked for a in groups[i] for b in groups[j]):
                found[i, j] = 1
    return found / found.sum(1, keepdim=True)


class GraphStep(nn.Module):
    """Over neighbours in space and time within a scale, then across scales."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(SCALES))
        self.own_norm = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(SCALES))
        self.across = nn.ModuleDict(
            {
                f"{i}{j}": nn.Linear(width, width, bias=False)
                for i in range(SCALES)
                for j in range(SCALES)
                if i != j
            }
        )
        self.across_norm = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(SCALES))

    def forward(self, nodes: list[Tensor], links: list[Tensor]) -> list[Tensor]:
        """Return nodes ``[B, T, n, c]`` and adjacency ``[B, T, n, n]`` of each scale."""
        inside = [
            one + torch.relu(rows(norm, layer(link @ _around(one))))
            for one, link, layer, norm in zip(nodes, links, self.own, self.own_norm, strict=True)
        ]
        found = []
        for j, own in enumerate(inside):
            taken = torch.zeros_like(own)
            for i, other in enumerate(inside):
                if i != j:
                    weight = (unit(own) @ unit(other).transpose(2, 3)).softmax(3)
                    taken = taken + self.across[f"{i}{j}"](weight @ other)
            found.append(own + torch.relu(rows(self.across_norm[j], taken)))
        return found


def _around(nodes: Tensor) -> Tensor:
    """Mean over frames t - 1, t and t + 1, as far as they are there."""
    total, count = nodes.clone(), torch.ones(nodes.shape[1], device=nodes.device)
    total[:, 1:] = total[:, 1:] + nodes[:, :-1]
    total[:, :-1] = total[:, :-1] + nodes[:, 1:]
    count[1:] += 1
    count[:-1] += 1
    return total / count[None, :, None, None]


class CtlHead(MethodHead):
    """Global mean and graph feature side by side.

    Args:
        shape: see `Shape`.
        keypoints: see `KeyPoints`; the prior by default.
    """

    plan = LossPlan(triplet="euclidean", joined="sum")

    def __init__(self, shape: Shape, keypoints: nn.Module | None = None) -> None:
        super().__init__()
        channels, width = shape.channels, at_least(shape.channels, 4)
        self.size = 2 * channels
        self.keypoints = keypoints or PosePrior(channels, shape.size)
        self.groups = _groups()
        for scale, groups in enumerate(self.groups):
            self.register_buffer(f"links{scale}", _links(groups), persistent=False)
        self.enter = nn.ModuleList(nn.Linear(channels, width, bias=False) for _ in range(SCALES))
        self.enter_norm = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(SCALES))
        self.context = nn.Linear(channels, width)
        inner = at_least(width, 4)
        self.query, self.key = (
            nn.ModuleList(nn.Linear(2 * width, inner, bias=False) for _ in range(SCALES))
            for _ in range(2)
        )
        self.strength = nn.Parameter(torch.zeros(SCALES))
        self.steps = nn.ModuleList(GraphStep(width) for _ in range(LAYERS))
        self.fuse = nn.Linear(SCALES * width, channels, bias=False)
        self.fuse_norm = nn.BatchNorm1d(channels)
        self.global_neck, self.graph_neck = (neck(channels, shift=False) for _ in range(2))
        self.global_classifier = classifier(channels, shape.identities)
        self.graph_classifier = classifier(channels, shape.identities)

    def forward(self, maps: Tensor) -> Output:
        """See `MethodHead`."""
        nodes = self._nodes(maps)
        links = self._topology(nodes, maps)
        for step in self.steps:
            nodes = step(nodes, links)
        graph = torch.cat([one.mean((1, 2)) for one in nodes], 1)
        graph = self.fuse_norm(self.fuse(graph))
        whole = pooled(maps).mean(1)
        normed = self.global_neck(whole), self.graph_neck(graph)
        logits = scored([(self.global_classifier, normed[0]), (self.graph_classifier, normed[1])])
        return Output(torch.cat(normed, 1), (whole, graph), logits, normed)

    def _nodes(self, maps: Tensor) -> list[Tensor]:
        """Return heat-weighted means of the map, ``[B, T, n, c]`` of each scale."""
        heat = self.keypoints(maps.flatten(0, 1)).flatten(2)  # [N, 13, hw]
        cells = maps.flatten(0, 1).flatten(2).transpose(1, 2)  # [N, hw, C]
        found = []
        for scale, groups in enumerate(self.groups):
            own = torch.stack([heat[:, joints].mean(1) for joints in groups], 1)
            share = own / own.sum(2, keepdim=True).clamp_min(1e-6)
            entered = self.enter[scale]((share @ cells).unflatten(0, maps.shape[:2]))
            found.append(torch.relu(rows(self.enter_norm[scale], entered)))
        return found

    def _topology(self, nodes: list[Tensor], maps: Tensor) -> list[Tensor]:
        """Return physical links, and as much of a context's topology as was learnt."""
        context = self.context(pooled(maps))[:, :, None]  # [B, T, 1, c]
        found = []
        for scale, own in enumerate(nodes):
            joined = torch.cat([own, context.expand_as(own)], 3)
            query, key = self.query[scale](joined), self.key[scale](joined)
            learnt = (query @ key.transpose(2, 3) / math.sqrt(query.shape[3])).softmax(3)
            physical = self.get_buffer(f"links{scale}")
            found.append(physical + self.strength[scale] * learnt)
        return found
