"""SINet (Bai et al., CVPR 2022): early frames find the salient, later ones look at the rest."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.hybrid.bridge import Output
from sdcl_neuro.network.spec import Pair

from .backbone import BackbonePlan
from .head import MethodHead, Shape, at_least, classifier, neck, rows, scored, unit

SEGMENT = 4
"""Frames that are read together; longer clips are halved and quartered into segments of it."""
TAPS = 3
LEAST_SHARE = 1e-4
SHARPNESS = 5.0
BLEND = 0.1
TINY = 1e-6
"""Where nothing is salient, the official code divides zero by zero; see `SalientFirst`."""
TEMPERATURE, CONTRAST = 0.07, 1e-3
"""Temperature and weight of the InfoNCE loss."""


def segment(frames: int) -> int:
    """Return frames read together in a clip of `frames`."""
    return min(frames, SEGMENT)


def _segments(maps: Tensor, length: int) -> Tensor:
    """Map ``[B, T, ...]`` to ``[B * T / length, length, ...]``."""
    made: Tensor = maps.unflatten(1, (-1, length)).flatten(0, 1)
    return made


class Interaction(nn.Module):
    """IDM: every cell and frame of a segment meets all others in a narrow bottleneck."""

    def __init__(self, channels: int, size: Pair, *, length: int) -> None:
        super().__init__()
        self.length, inner = length, at_least(channels, 16)
        cells = length * size[0] * size[1]
        self.enter = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner))
        narrow = at_least(cells, 16)
        self.mix = nn.Sequential(
            nn.Conv1d(cells, narrow, 1), nn.BatchNorm1d(narrow), nn.Conv1d(narrow, cells, 1)
        )
        self.leave = nn.Conv2d(inner, channels, 1)
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C, h, w]`` to the same."""
        entered = self.enter(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        parts = _segments(entered, self.length)  # [N, L, c, h, w]
        cells = parts.movedim(2, 4).flatten(1, 3)  # [N, L h w, c]
        mixed = cells + self.mix(cells)
        back = mixed.unflatten(1, (self.length, *maps.shape[3:])).movedim(4, 2)
        flat = back.reshape(entered.flatten(0, 1).shape)
        return torch.relu(maps + self.leave(flat).view(maps.shape))


class SalientFirst(nn.Module):
    """SBM: what the first frames of a segment find salient is weakened in the later ones.

    Args:
        split: first frames; fewer where a segment has no more.
    """

    def __init__(self, channels: int, size: Pair, *, split: int, length: int) -> None:
        super().__init__()
        del size
        self.length, self.split = length, max(1, min(split, length - 1))
        inner = at_least(channels, 4)
        self.gate = nn.Sequential(nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels))
        self.taps = nn.Sequential(
            nn.Conv2d(channels, TAPS * TAPS, 1), nn.BatchNorm2d(TAPS * TAPS), nn.ReLU()
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C, h, w]`` to the same."""
        clip = _segments(maps, self.length)
        first, later = clip[:, : self.split], clip[:, self.split :]
        rest = self.weight(clip)[:, :, None]  # r [N, L - p, 1, h, w]
        seen = first.mean((1, 3, 4))[:, None, :, None, None]
        other = 1 - rest
        missed = (other * later).mean((1, 3, 4)) / (other.mean((1, 3, 4)) + TINY)
        changed = torch.cat(
            [first + BLEND * missed[:, None, :, None, None], rest * later + BLEND * seen], 1
        )
        return changed.view(maps.shape)

    def weight(self, clip: Tensor) -> Tensor:
        """Return r in (exp(-5), 1] of a segment's later frames ``[N, L - p, h, w]``."""
        first, later = clip[:, : self.split], clip[:, self.split :]
        channel = self._channels(clip)[:, None, :, None, None]
        first, later = torch.relu(channel * first), torch.relu(channel * later)
        kernel = self._kernel(first)  # [N, C, 3, 3]
        count, height, width = clip.shape[0], *clip.shape[3:]  # len would fix an exported batch
        padded = functional.pad(later.flatten(0, 1), (1, 1, 1, 1), mode="replicate")
        padded = padded.unflatten(0, later.shape[:2])
        found = later.new_zeros(later.shape[0], later.shape[1], height, width)
        for y in range(TAPS):
            for x in range(TAPS):
                window = padded[..., y : y + height, x : x + width]
                found = found + (window * kernel[:, None, :, y, x, None, None]).sum(2)
        found = found / (TAPS * TAPS)
        share = found.flatten(2).softmax(2).clamp_min(LEAST_SHARE)
        rarity = 1 / (share * height * width)
        # 1 where r is 1 or more, without a gradient, and without a power that would overflow.
        weakened = torch.exp(SHARPNESS * (rarity.clamp_max(1) - 1))
        return weakened.view(count, -1, height, width)

    def _channels(self, clip: Tensor) -> Tensor:
        """Return the gate of the clip's mean, of channels that are stronger inside than at the
        border.
        """
        mean = clip.mean((1, 3, 4))
        inside = clip[..., 1:-1, 1:-1].mean((1, 3, 4))
        gate: Tensor = torch.sigmoid(self.gate(mean)) * (inside > mean).to(clip.dtype)
        return gate

    def _kernel(self, first: Tensor) -> Tensor:
        """Return nine weighted means of the first frames, as the taps of one kernel a clip."""
        taps = self.taps(first.flatten(0, 1)).unflatten(0, first.shape[:2])  # [N, p, 9, h, w]
        taps = functional.normalize(taps, p=1.0, dim=2)
        flat = taps.movedim(2, 1).flatten(2)  # [N, 9, p h w]
        flat = functional.normalize(flat, p=1.0, dim=2)
        cells = first.movedim(2, 1).flatten(2)  # [N, C, p h w]
        made: Tensor = (cells @ flat.transpose(1, 2)).unflatten(2, (TAPS, TAPS))
        return made


def backbone(frames: int) -> BackbonePlan:
    """Return IDM after blocks 1 and 3 of stage 2, SBM after blocks 1, 3 and 5 of stage 3."""
    length = segment(frames)

    def mixed(channels: int, size: Pair) -> nn.Module:
        return Interaction(channels, size, length=length)

    def salient(split: int):  # type: ignore[no-untyped-def]
        return lambda channels, size: SalientFirst(channels, size, split=split, length=length)

    return BackbonePlan(
        after={
            (2, 1): mixed,
            (2, 3): mixed,
            (3, 1): salient(1),
            (3, 3): salient(2),
            (3, 5): salient(3),
        },
        stem_padding=0,
        bias=True,
    )


class SinetHead(MethodHead):
    """Maximum over the map, mean over the frames, a BNNeck; InfoNCE between a person's clips."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels = self.size = shape.channels
        self.neck = neck(channels, spread=0.02)
        self.classifier = classifier(channels, shape.identities, bias=True)
        self.project = nn.Linear(channels, channels) if shape.identities else None

    def forward(self, maps: Tensor) -> Output:
        """See `MethodHead`."""
        frame = maps.amax((3, 4))  # [B, T, C]
        mean = frame.mean(1)
        # Training normalises the clips; of a norm at rest the mean commutes with it.
        normed = self.neck(mean)
        extra = {}
        if self.project is not None and self.training:
            extra["contrast"] = unit(self.project(rows(self.neck, frame)))
        logits = scored([(self.classifier, normed)])
        return Output(normed, (mean,), logits, (normed,), extra)

    def extra_losses(self, extra: Mapping[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Return InfoNCE, see `contrast`."""
        if "contrast" not in extra:
            return {}
        return {"contrast": CONTRAST * contrast(extra["contrast"], labels)}


def contrast(features: Tensor, labels: Tensor) -> Tensor:
    """Return frames of one index in a person's clips against that person's frames of other indices.

    Args:
        features: ``[B, T, C]`` of length 1.
        labels: ``[B]``.
    """
    batch, frames = features.shape[:2]
    flat = features.flatten(0, 1)
    clip = torch.arange(batch, device=flat.device).repeat_interleave(frames)
    index = torch.arange(frames, device=flat.device).repeat(batch)
    person = labels.repeat_interleave(frames)
    same = person[:, None] == person[None]
    positive = same & (index[:, None] == index[None]) & (clip[:, None] != clip[None])
    negative = same & (index[:, None] != index[None])
    scores = flat @ flat.T / TEMPERATURE
    against = scores.masked_fill(~negative, -torch.inf).logsumexp(1, keepdim=True)
    terms = torch.logaddexp(scores, against) - scores
    terms = terms.masked_fill(~positive, 0.0)
    return terms.sum() / positive.sum().clamp_min(1)
