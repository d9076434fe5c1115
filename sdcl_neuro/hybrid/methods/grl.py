"""GRL (Liu et al., CVPR 2021): a map of what correlates with the whole clip splits the features.

The correlated stream is read frame by frame, in both directions, by a memory of the uncorrelated
one, which tells it what it misses.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.hybrid.bridge import Output

from .head import LossPlan, MethodHead, Shape, neck, pooled, rows, unit

SCALE = 30.0
"""Scale of OIM's logits (the published code)."""
PAIR_WEIGHT = 20.0
"""Weight of the pairs' loss (the published code)."""


class CorrelationSplit(nn.Module):
    """The correlation map S in (0, 1), from the maps and the clip's mean."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, eighth = channels // 2, channels // 8
        self.whole = nn.Sequential(nn.Linear(channels, half), nn.BatchNorm1d(half), nn.ReLU())
        self.weigh = nn.Sequential(
            nn.Conv2d(channels + half, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.Conv2d(half, eighth, 1, bias=False),
            nn.BatchNorm2d(eighth),
            nn.ReLU(),
            nn.Conv2d(eighth, 1, 1, bias=False),
            nn.BatchNorm2d(1),
            nn.Sigmoid(),
        )

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``[B, T, C, h, w]`` to the correlated and the uncorrelated part, of that shape."""
        whole = self.whole(pooled(maps).mean(1))[:, None, :, None, None]
        spread = whole.expand(-1, maps.shape[1], -1, *maps.shape[3:])
        weight = self.weigh(torch.cat([maps, spread], 2).flatten(0, 1))
        weight = weight.unflatten(0, maps.shape[:2])
        return maps * weight, maps * (1 - weight)


class MemoryPass(nn.Module):
    """One direction through the clip, with a memory of what is uncorrelated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter, narrow = channels // 4, max(4, channels // 16)
        self.of_memory = nn.Conv2d(channels, channels, 1)
        self.of_frame = nn.Conv2d(channels, channels, 1)
        self.gate = nn.Sequential(
            nn.Linear(channels, narrow, bias=False),
            nn.ReLU(),
            nn.Linear(narrow, channels, bias=False),
            nn.Sigmoid(),
        )
        self.remember = nn.Sequential(
            nn.Conv2d(channels, quarter, 1, bias=False),
            nn.BatchNorm2d(quarter),
            nn.ReLU(),
            nn.Conv2d(quarter, quarter, 1, bias=False),
            nn.BatchNorm2d(quarter),
            nn.ReLU(),
            nn.Conv2d(quarter, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, correlated: Tensor, uncorrelated: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``[B, T, C, h, w]`` twice to features of frames ``[B, T, C]`` and memory ``[B,
        C]``.
        """
        memory = uncorrelated.mean(1)
        said = []
        for frame in range(correlated.shape[1]):
            own = correlated[:, frame]
            missed = torch.relu(self.of_memory(memory)) - torch.relu(self.of_frame(own))
            channel = self.gate(pooled(missed.square()))
            said.append(pooled(own) * (1 + channel))
            both = memory + uncorrelated[:, frame]
            memory = torch.relu(self.remember(both) + both)
        return torch.stack(said, 1), pooled(memory)


class ClassTable(nn.Module):
    """OIM (Xiao et al., CVPR 2017): a row a class, the moving mean of its features' directions.

    Attributes:
        rows: buffer ``[classes, C]``, zero at first; of length 1 once a class was seen.
    """

    rows: Tensor

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(classes, channels))

    def logits(self, features: Tensor) -> Tensor:
        """Return logits of features ``[N, C]`` of length 1, by the table as it is now."""
        return SCALE * features @ self.rows.clone().T

    @torch.no_grad()
    def learn(self, features: Tensor, labels: Tensor) -> None:
        """Move each class's row towards its features, one after another."""
        for feature, label in zip(features, labels.tolist(), strict=True):
            self.rows[label] = unit(0.5 * self.rows[label] + 0.5 * feature)


class PairHead(nn.Module):
    """Whether two features are one person's: two logits of their squared difference.

    Attributes:
        sees_whole_batch: it is given the joint batch of all processes, in each of them.
    """

    sees_whole_batch = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)
        self.judge = nn.Linear(channels, 2)
        nn.init.normal_(self.judge.weight, std=0.001)
        nn.init.zeros_(self.judge.bias)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy over all pairs of an even and an odd row of ``[B, C]``."""
        probes, gallery = features[0::2], features[1::2]
        difference = (probes[:, None] - gallery[None]).square().flatten(0, 1)
        same = (labels[0::2][:, None] == labels[1::2][None]).flatten().long()
        return functional.cross_entropy(self.judge(self.norm(difference)), same)


class GrlHead(MethodHead):
    """Split, walk both ways, pool by attention."""

    plan = LossPlan(triplet="soft")

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels = shape.channels
        self.size = 3 * channels
        self.split = CorrelationSplit(channels)
        self.forth, self.back = MemoryPass(channels), MemoryPass(channels)
        self.norm_frame, self.norm_memory = nn.BatchNorm1d(channels), nn.BatchNorm1d(channels)
        self.query, self.key = _projection(channels), _projection(channels)
        self.known = self.rest = self.pairs = None
        if shape.identities:
            self.known = ClassTable(shape.identities, channels)
            self.rest = ClassTable(shape.identities, channels)
            self.pairs = PairHead(channels)

    def forward(self, maps: Tensor) -> Output:
        """See `MethodHead`; the embedding is uncorrelated, pooled and mean correlated feature."""
        correlated, uncorrelated = self.split(maps)
        forth, memory = self.forth(correlated, uncorrelated)
        back, other = self.back(correlated.flip(1), uncorrelated.flip(1))
        frame = unit(rows(self.norm_frame, forth + back.flip(1)))  # [B, T, C]
        rest = unit(self.norm_memory(memory + other))
        clip = self._pooled(frame)
        embedding = torch.cat([rest, clip, frame.mean(1)], 1)
        extra = {} if self.known is None else {"frame": frame, "clip": clip, "rest": rest}
        return Output(embedding, (clip,), (), (clip,), extra)

    def _pooled(self, frame: Tensor) -> Tensor:
        query, key = (unit(rows(part[1], part[0](frame))) for part in (self.query, self.key))
        weight = (query @ key.transpose(1, 2)).softmax(2)  # [B, T, T]
        return unit((weight @ frame).sum(1))

    def extra_losses(self, extra: Mapping[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Return OIM of every frame, of the clip and of what is uncorrelated; the pairs' loss."""
        if self.known is None or self.rest is None or self.pairs is None:
            return {}
        frame, clip, rest = extra["frame"], extra["clip"], extra["rest"]
        each = labels.repeat_interleave(frame.shape[1])
        flat = frame.flatten(0, 1)
        losses = {
            "oim_frame": functional.cross_entropy(self.known.logits(flat), each),
            "oim_clip": functional.cross_entropy(self.known.logits(clip), labels),
            "oim_rest": functional.cross_entropy(self.rest.logits(rest), labels),
            "pairs": PAIR_WEIGHT * self.pairs(clip, labels),
        }
        if self.training:
            self.known.learn(flat.detach(), each)
            self.known.learn(clip.detach(), labels)
            self.rest.learn(rest.detach(), labels)
        return losses

    def extra_logits(self, extra: Mapping[str, Tensor]) -> Tensor | None:
        """Return logits by the table of classes."""
        return None if self.known is None else self.known.logits(extra["clip"].detach())


def _projection(channels: int) -> nn.ModuleList:
    return nn.ModuleList([nn.Linear(channels, channels // 4), neck(channels // 4)])
