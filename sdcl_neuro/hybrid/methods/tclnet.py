"""TCLNet (Hou et al., ECCV 2020): a frame's learner is kept from what the one before it found."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import Output
from sdcl_neuro.network.spec import Pair

from .backbone import BackbonePlan
from .head import LossPlan, MethodHead, Shape, classifiers, closing_norm, neck, pooled, scored, unit

SHARPNESS = 5.0
ERASED = 3
"""Rows that are erased, over the full width."""


class Boost(nn.Module):
    """TSB: what other frames have of a frame's own features, added to its whole map."""

    def __init__(self, channels: int, size: Pair) -> None:
        super().__init__()
        del size
        self.smooth = nn.AvgPool2d(2, stride=1, padding=1)
        self.leave = nn.Sequential(nn.Conv2d(channels, channels, 1), closing_norm(channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C, h, w]`` to the same."""
        weight = self.weight(maps)  # [B, T, T h w]
        cells = maps.transpose(2, 3).transpose(3, 4).flatten(1, 3)  # [B, T h w, C]
        found = (weight @ cells).flatten(0, 1)[..., None, None]
        made: Tensor = maps + self.leave(found).view(*maps.shape[:3], 1, 1)
        return made

    def weight(self, maps: Tensor) -> Tensor:
        """Return how much each frame takes of each cell ``[B, T, T h w]``; nothing of its own."""
        batch, frames, _, height, width = maps.shape
        query = unit(pooled(maps))  # [B, T, C]
        smooth = self.smooth(maps.flatten(0, 1))[..., :height, :width]
        memory = unit(smooth.unflatten(0, (batch, frames)), dim=2)
        memory = memory.transpose(1, 2).flatten(2)  # [B, C, T h w]
        scores = (SHARPNESS * query @ memory).unflatten(2, (frames, height * width))
        own = torch.eye(frames, dtype=torch.bool, device=maps.device)[None, :, :, None]
        made: Tensor = scores.masked_fill(own, -1e8).flatten(2).softmax(2)
        return made


class Erase(nn.Module):
    """Cut the masked cells out, and say once over the map what the others hold."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.leave = nn.Sequential(nn.Conv2d(channels, channels, 1), closing_norm(channels))

    def forward(self, maps: Tensor, mask: Tensor, score: Tensor) -> Tensor:
        """Turn maps ``[N, C, h, w]``, mask (1 stays) and scores ``[N, h, w]`` to maps."""
        weight = score.masked_fill(mask == 0, -torch.inf).flatten(1).softmax(1)
        found = (maps.flatten(2) @ weight[..., None])[..., None]
        kept: Tensor = maps * mask[:, None] + self.leave(found)
        return kept


class TwoLearners(nn.Module):
    """TSE in the last stage's place: frames in pairs, the second without what the first found."""

    def __init__(self, blocks: list[nn.Module], channels: int, size: Pair) -> None:
        super().__init__()
        if size[0] <= ERASED:
            raise InputError(
                f"a map of {size[0]} rows, of which {ERASED} are erased",
                where="tclnet",
                hint="use a frame branch with a higher map",
            )
        *shared, last = blocks
        self.shared = nn.ModuleList(shared)
        self.learners = nn.ModuleList([last, copy.deepcopy(last)])
        outputs = _outputs(last)
        self.inner = channels
        self.ask = nn.Conv2d(outputs, channels, 1, bias=False)
        self.erase = Erase(channels)
        self.copies = {f"shared.{block}": block for block in range(len(shared))}
        self.copies |= {f"learners.{k}": len(shared) for k in range(2)}
        self.fresh_statistics = ("learners.",)

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C3, h, w]``, T even, to ``[B, T, C, h, w]``, learners in turns."""
        pairs = maps.unflatten(1, (-1, 2)).flatten(0, 1)  # [N, 2, C3, h, w]
        first, second = pairs[:, 0], pairs[:, 1]
        ones = torch.ones_like(first[:, 0])
        found = self._learn(0, self.erase(first, ones, torch.zeros_like(ones)))
        score = self.score(found.detach(), second)
        other = self._learn(1, self.erase(second, self.mask(score), score))
        joined = torch.stack([found, other], 1)
        made: Tensor = joined.flatten(0, 1).unflatten(0, maps.shape[:2])
        return made

    def _learn(self, learner: int, maps: Tensor) -> Tensor:
        for block in self.shared:
            maps = block(maps)
        learned: Tensor = self.learners[learner](maps)
        return learned

    def score(self, found: Tensor, second: Tensor) -> Tensor:
        """Return how much each cell of the second frame is what the first learner found ``[N, h,
        w]``.
        """
        query = self.ask(pooled(found)[..., None, None])  # [N, C3, 1, 1]
        made: Tensor = (query * second).sum(1) / self.inner**0.5
        return made

    @staticmethod
    def mask(score: Tensor) -> Tensor:
        """Return 0 on the three neighbouring rows with the highest scores, else 1, ``[N, h,
        w]``.
        """
        row = score.detach().mean(2)
        window = row.unfold(1, ERASED, 1).sum(2)  # [N, h - 2]
        best = window.argmax(1, keepdim=True)
        number = torch.arange(row.shape[1], device=row.device)[None]
        erased = (number >= best) & (number < best + ERASED)
        kept = (~erased).to(score.dtype)[:, :, None]
        return kept.expand(-1, -1, score.shape[2])


def _outputs(block: nn.Module) -> int:
    last = block.conv3 if hasattr(block, "conv3") else block.conv
    return int(last.out_channels)  # type: ignore[union-attr, arg-type]


BACKBONE = BackbonePlan(after={(2, 3): Boost}, tail=TwoLearners)


class TclHead(MethodHead):
    """Maximum over the map; each learner's frames averaged, normalised, classified."""

    plan = LossPlan(triplet="cosine", joined="sum")

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels = shape.channels
        self.size = 2 * channels
        self.necks = nn.ModuleList(neck(channels, spread=0.02) for _ in range(2))
        self.classifiers = classifiers([channels] * 2, shape.identities, bias=True)

    def forward(self, maps: Tensor) -> Output:
        """See `MethodHead`."""
        frame = maps.amax((3, 4))
        features = tuple(frame[:, k::2].mean(1) for k in range(2))
        normed = tuple(layer(one) for layer, one in zip(self.necks, features, strict=True))
        logits = scored(list(zip(self.classifiers, normed, strict=False)))
        embedding = torch.cat([unit(one) for one in normed], 1)
        return Output(embedding, features, logits, normed)
