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
from sdcl_neuro.hybrid.methods import LossPlan, MethodBridge
from sdcl_neuro.hybrid.model import Sdcl, event_counts, event_features
from sdcl_neuro.snn.event_branch import EventBranch

from ..metrics.losses import Metric, batch_hard_triplet, cross_entropy
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
        """Return the model's output for this process's part of a batch, and its layers' spikes."""
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
        """Cross-entropy, triplet loss and the model's own losses; the first two and the accuracy.

        Of several classifiers and features the mean (Eq. 14 averaged over the pyramid's levels), or
        the sum where the model's plan says so.
        """
        bridge, settings = self.model.bridge, self.settings
        plan = bridge.plan if isinstance(bridge, MethodBridge) else LossPlan()
        logits = [gathered(level.float(), self.group) for level in output.logits]
        extra = {k: gathered(v.float(), self.group) for k, v in output.extra.items()}
        entropy = self._joined(
            [cross_entropy(level, labels, smoothing=settings.smoothing) for level in logits], plan
        )
        kind = plan.triplet if settings.triplet == "published" else settings.triplet
        triplet = self._joined([], plan) if kind == "none" else self._triplet(output, labels, kind)
        loss = entropy + triplet
        judged = logits[-1] if logits else None
        if isinstance(bridge, MethodBridge):
            judged = bridge.extra_logits(extra) if judged is None else judged
            for value in bridge.extra_losses(extra, labels).values():
                loss = loss + value
        accuracy = labels.new_zeros((), dtype=torch.float32)
        if judged is not None:
            accuracy = (judged.detach().argmax(1) == labels).float().mean()
        return loss, [entropy.detach(), triplet.detach(), accuracy]

    def _triplet(self, output: Output, labels: Tensor, kind: str) -> Tensor:
        """Batch-hard, of every feature that the model has compared."""
        bridge = self.model.bridge
        plan = bridge.plan if isinstance(bridge, MethodBridge) else LossPlan()
        compared = output.necked if kind == "cosine" else output.level_features
        margin = None if kind == "soft" else self.settings.margin
        metric: Metric = "cosine" if kind == "cosine" else "euclidean"
        features = [gathered(level.float(), self.group) for level in compared]
        losses = [batch_hard_triplet(f, labels, margin=margin, metric=metric) for f in features]
        return self._joined(losses, plan)

    def _joined(self, losses: list[Tensor], plan: LossPlan) -> Tensor:
        if not losses:
            return next(self.model.parameters()).new_zeros(())
        whole = torch.stack(losses)
        return whole.sum() if plan.joined == "sum" else whole.mean()
