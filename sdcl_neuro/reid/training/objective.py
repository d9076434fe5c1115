"""One batch to its loss: the paper's Eq. 14, over the joint batch of all processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sdcl_neuro.hybrid.bridge import Output
from sdcl_neuro.hybrid.frame_branch.images import MEAN, STD
from sdcl_neuro.hybrid.model import Sdcl, event_counts, event_features
from sdcl_neuro.snn.event_branch import EventBranch

from ..metrics.losses import batch_hard_triplet, cross_entropy
from .distributed import ALONE, Group, gathered, summed
from .samples import Sample
from .settings import Settings


@dataclass(frozen=True)
class Batch:
    """Samples side by side, on the device.

    Attributes:
        frames: uint8 ``[B, F, 256, 128, 3]``; None where there are maps or no frames are taken.
        maps: ``[B, F, C, 16, 8]`` of a frame branch that does not learn.
        spikes: uint8 ``[F*K, B, 2, H, W]``; None where no events are taken.
        labels: int64 ``[B]``, the classes.
    """

    frames: Tensor | None
    maps: Tensor | None
    spikes: Tensor | None
    labels: Tensor


@dataclass(frozen=True)
class Judged:
    """What a batch came to.

    Attributes:
        loss: with gradients.
        figures: cross-entropy, triplet loss and accuracy of the joint batch, without gradients,
            then spikes per neuron and step of each spiking layer.
    """

    loss: Tensor
    figures: Tensor


def stack(samples: Sequence[Sample], labels: Sequence[int], *, device: torch.device) -> Batch:
    """A batch of samples; frames are left out where every sample has maps."""
    frames = [sample.frames for sample in samples if sample.frames is not None]
    maps = [sample.maps for sample in samples if sample.maps is not None]
    spikes = [sample.spikes for sample in samples if sample.spikes is not None]
    return Batch(
        torch.from_numpy(np.stack(frames)).to(device) if frames else None,
        torch.stack(maps).to(device) if maps else None,
        torch.from_numpy(np.stack(spikes, axis=1)).to(device) if spikes else None,
        torch.tensor(labels, dtype=torch.int64, device=device),
    )


def pixels(frames: Tensor) -> Tensor:
    """uint8 ``[..., H, W, 3]`` to normalised float32 ``[..., 3, H, W]``, as `normalise` has it.

    In memory the channels stay last, as `fast_layout` wants them.
    """
    mean, std = (torch.tensor(values, device=frames.device).view(3, 1, 1) for values in (MEAN, STD))
    return (frames.movedim(-1, -3).float() / 255 - mean) / std


@contextmanager
def fast_layout(model: Sdcl) -> Iterator[None]:
    """While open, the frame branch computes with channels last, a third faster on a CPU.

    Values and names stay the same; only the order in memory changes.
    """
    branch = model.frame_branch
    if branch is not None:
        branch.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        yield
    finally:
        if branch is not None:
            branch.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


class Objective(nn.Module):
    """The model with its loss: what DistributedDataParallel wraps.

    Args:
        model: what is trained.
        settings: margin and smoothing count.
        group: the processes whose parts make a batch.
        precision: of the dense parts; spikes are always counted in float32.
    """

    def __init__(
        self,
        model: Sdcl,
        settings: Settings,
        *,
        group: Group = ALONE,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.model, self.settings, self.group, self.precision = model, settings, group, precision

    def forward(self, batch: Batch) -> Judged:
        """The loss of the joint batch, the same in every process."""
        output, layers = self.output(batch)
        labels = gathered(batch.labels, self.group)
        loss, parts = self._loss(output, labels)
        rates = [summed(layer.detach().mean(), self.group) / self.group.size for layer in layers]
        return Judged(loss, torch.stack([*parts, *rates]))

    def output(self, batch: Batch) -> tuple[Output, list[Tensor]]:
        """What the model says of this process' part of a batch, and its layers' spikes."""
        with self._autocast(batch.labels.device):
            maps = batch.maps
            if batch.frames is not None:
                maps = self.model.frame_maps(pixels(batch.frames)).contiguous()
            return self._fused(maps, batch.spikes)

    def frozen_maps(self, frames: Tensor) -> Tensor:
        """Maps ``[F, C, 16, 8]`` of one tracklet's frames, uint8 ``[F, 256, 128, 3]``.

        One by one, so that they do not depend on what else is in a batch.
        """
        with torch.no_grad(), self._autocast(frames.device):
            return self.model.frame_maps(pixels(frames)[None])[0].float().contiguous()

    def _autocast(self, device: torch.device) -> torch.autocast:
        reduced = self.precision != torch.float32
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=reduced)

    def _fused(self, maps: Tensor | None, spikes: Tensor | None) -> tuple[Output, list[Tensor]]:
        """The bridge's output, and the spikes of each spiking layer."""
        branch, config = self.model.event_branch, self.model.bridge.config
        if spikes is None or branch is None or not config.uses_events:
            return self.model.fuse(maps, None, None), []
        frames = config.frames if maps is None else maps.shape[1]
        spiking = isinstance(branch, EventBranch)
        # A membrane in 8 bits of mantissa would not be the chip's, nor snnTorch's.
        with torch.autocast(spikes.device.type, enabled=False) if spiking else nullcontext():
            layers = branch(spikes.float())
        features = event_features(layers[-1], frames=frames)
        output = self.model.fuse(maps, features, event_counts(spikes, frames=frames))
        return output, layers if spiking else []

    def _loss(self, output: Output, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Eq. 14 averaged over the pyramid's levels; its two parts and the accuracy."""
        logits = [gathered(level.float(), self.group) for level in output.logits]
        cosine = self.settings.triplet == "cosine"
        compared = output.necked if cosine else output.level_features
        features = [gathered(level.float(), self.group) for level in compared]
        entropy = torch.stack(
            [cross_entropy(level, labels, smoothing=self.settings.smoothing) for level in logits]
        ).mean()
        triplet = torch.stack(
            [
                batch_hard_triplet(
                    level, labels, margin=self.settings.margin, metric=self.settings.triplet
                )
                for level in features
            ]
        ).mean()
        accuracy = (logits[-1].detach().argmax(1) == labels).float().mean()
        return entropy + triplet, [entropy.detach(), triplet.detach(), accuracy]
