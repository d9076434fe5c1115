"""STMN (Eom et al., ICCV 2021): a memory of what distracts in space, and one of attention in time.

The last stage stands three times on the same map: for the values and for the keys of both
memories, whose last ReLU is left out.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.hybrid.bridge import Output
from sdcl_neuro.hybrid.frame_branch.resnet import Bottleneck
from sdcl_neuro.network.spec import Pair

from .backbone import BackbonePlan
from .head import LossPlan, MethodHead, Shape, classifier, closing_norm, neck, pooled, scored, unit

SPACE_SLOTS, TIME_SLOTS = 10, 5
SPREAD_MARGIN = 0.3
"""All three of the published code."""


class ThreeCopies(nn.Module):
    """The last stage three times: values, keys of space, keys of time, side by side."""

    def __init__(self, blocks: list[nn.Module], channels: int, size: Pair) -> None:
        super().__init__()
        del channels, size
        self.value = nn.ModuleList(blocks)
        self.space = nn.ModuleList(copy.deepcopy(blocks))
        self.time = nn.ModuleList(copy.deepcopy(blocks))
        self.copies = {
            f"{name}.{block}": block
            for name in ("value", "space", "time")
            for block in range(len(blocks))
        }

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, T, C3, h, w]`` to ``[B, T, 3 C, h, w]``."""
        flat = maps.flatten(0, 1)
        value = flat
        for block in self.value:
            value = block(value)
        keys = [_without_last_relu(stage, flat) for stage in (self.space, self.time)]
        made: Tensor = torch.cat([value, *keys], 1).unflatten(0, maps.shape[:2])
        return made


def _without_last_relu(stage: nn.ModuleList, maps: Tensor) -> Tensor:
    blocks = list(stage)
    last: Any = blocks[-1]
    for block in blocks[:-1]:
        maps = block(maps)
    if isinstance(last, Bottleneck):
        y = torch.relu(last.bn1(last.conv1(maps)))
        y = last.bn3(last.conv3(torch.relu(last.bn2(last.conv2(y)))))
        made: Tensor = y + (maps if last.downsample is None else last.downsample(maps))
        return made
    normed: Tensor = last.bn(last.conv(maps))
    return normed


BACKBONE = BackbonePlan(tail=ThreeCopies, stem_relu=False)


class StmnHead(MethodHead):
    """Subtract what the memory of space finds, average by what the memory of time says."""

    plan = LossPlan(triplet="soft", joined="sum")

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels = self.channels = self.size = shape.channels
        self.space_keys = nn.Parameter(torch.randn(SPACE_SLOTS, channels))
        self.space_values = nn.Parameter(torch.randn(SPACE_SLOTS, channels))
        self.space_norm = closing_norm(channels)
        self.lstm = nn.LSTM(channels, channels, batch_first=True)
        self.time_keys = nn.Parameter(torch.randn(TIME_SLOTS, channels))
        self.time_values = nn.Parameter(torch.rand(TIME_SLOTS, shape.frames))
        self.frame_neck, self.clip_neck = (neck(channels, shift=False) for _ in range(2))
        self.frame_classifier = classifier(channels, shape.identities)
        self.clip_classifier = classifier(channels, shape.identities)

    def forward(self, maps: Tensor) -> Output:
        """See `MethodHead`."""
        value, space, time = maps.split(self.channels, 2)
        cells = space.flatten(3).transpose(2, 3)  # [B, T, hw, C]: a row is a cell
        found = (unit(cells) @ unit(self.space_keys).T).softmax(3)  # [B, T, hw, slots]
        distraction = (found @ self.space_values).transpose(2, 3).reshape(value.shape)
        distraction = self.space_norm(distraction.flatten(0, 1)).view(value.shape)
        frame = pooled(value - distraction)  # [B, T, C]
        states, _ = self.lstm(pooled(time))
        asked = (unit(states[:, -1]) @ unit(self.time_keys).T).softmax(1)  # [B, slots]
        weight = (asked @ self.time_values).softmax(1)  # [B, T]
        clip = (weight[..., None] * frame).sum(1)
        mean = frame.mean(1)
        normed = self.clip_neck(clip)
        of_frames = self.frame_neck(frame.flatten(0, 1)).unflatten(0, frame.shape[:2])
        logits = scored([(self.clip_classifier, normed)])
        if self.frame_classifier is not None:
            logits = (self.frame_classifier(of_frames).mean(1), *logits)
        extra = {
            "space_low": found.amin((1, 2)),
            "space_high": found.amax((1, 2)),
            "time": asked,
        }
        return Output(normed, (mean, clip), logits, (of_frames.mean(1), normed), extra)

    def extra_losses(self, extra: Mapping[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Ask that every slot is asked for by some cells or clips and not by others."""
        del labels
        low, high = extra["space_low"].amin(0), extra["space_high"].amax(0)
        asked = extra["time"]
        return {
            "spread_space": _spread(low, high),
            "spread_time": _spread(asked.amin(0), asked.amax(0)),
        }


def _spread(low: Tensor, high: Tensor) -> Tensor:
    return functional.relu(SPREAD_MARGIN + low - high).mean()
