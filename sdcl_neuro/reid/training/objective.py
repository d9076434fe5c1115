"""One batch to its loss: the paper's Eq. 14, over the joint batch of all processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sdcl_neuro.devices import constant, moved
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
        figures: loss, cross-entropy, triplet loss and accuracy of the joint batch, without
            gradients, then spikes per neuron and step of each spiking layer.
    """

    loss: Tensor
    figures: Tensor


@dataclass(frozen=True)
class EventSide:
    """What the event branch gives for a batch.

    Attributes:
        features, counts: as `Sdcl.fuse` takes them; None without events.
        layers: spikes ``[F*K, B, C, h, w]`` of each spiking layer.
        none: an empty tensor, on the device.
    """

    features: Tensor | None
    counts: Tensor | None
    layers: tuple[Tensor, ...]
    none: Tensor

    def hand_over(self) -> None:
        """Keep the memory of what another stream made until the present stream has read it."""
        for one in (self.features, self.counts, *self.layers):
            if one is not None and one.device.type == "cuda":
                one.record_stream(torch.cuda.current_stream(one.device))


def stack(samples: Sequence[Sample], labels: Sequence[int], *, device: torch.device) -> Batch:
    """Return a batch of samples; frames are left out where every sample has maps."""
    frames = [sample.frames for sample in samples if sample.frames is not None]
    maps = [sample.maps for sample in samples if sample.maps is not None]
    spikes = [sample.spikes for sample in samples if sample.spikes is not None]
    return Batch(
        moved(torch.from_numpy(np.stack(frames)), device) if frames else None,
        moved(torch.stack(maps), device) if maps else None,
        moved(torch.from_numpy(np.stack(spikes, axis=1)), device) if spikes else None,
        moved(torch.tensor(labels, dtype=torch.int64), device),
    )


def pixels(frames: Tensor) -> Tensor:
    """Map uint8 ``[..., H, W, 3]`` to normalised float32 ``[..., 3, H, W]``, as `normalise` has
    it.

    In memory the channels stay last, as `fast_layout` wants them.
    """
    given = frames.movedim(-1, -3).float()
    mean, std = (constant(values, given).view(3, 1, 1) for values in (MEAN, STD))
    return (given / 255 - mean) / std


@contextmanager
def fast_layout(model: Sdcl) -> Iterator[None]:
    """Compute the frame branch with channels last while open, a third faster on a CPU.

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
        self._stream: torch.cuda.Stream | None = None

    def forward(self, batch: Batch) -> Judged:
        """Return the loss of the joint batch, the same in every process."""
        with self.beside(batch) as event_stream:
            with event_stream:
                side = self.event_side(batch)
            maps = self.maps(batch.frames, batch.maps)
        side.hand_over()
        loss, parts = self.judged(maps, side.features, side.counts, batch.labels)
        return Judged(loss, torch.cat([loss.detach()[None], parts, self.rates(side)]))

    def output(self, batch: Batch) -> Output:
        """Return the model's output for this process's part of a batch."""
        side = self.event_side(batch)
        with self._autocast(batch.labels.device):
            maps = self.maps(batch.frames, batch.maps)
            return self.model.fuse(maps, side.features, side.counts)

    def maps(self, frames: Tensor | None, maps: Tensor | None) -> Tensor | None:
        """Return the frame branch's maps ``[B, F, C, 16, 8]``, or those that were given."""
        if frames is None:
            return maps
        with self._autocast(frames.device):
            return self.model.frame_maps(pixels(frames)).contiguous()

    def judged(
        self, maps: Tensor | None, features: Tensor | None, counts: Tensor | None, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of the joint batch, with gradients, and its parts ``[3]`` without.

        Args:
            maps: of the frame branch.
            features, counts: of the event branch.
            labels: of this process's part of the batch.
        """
        with self._autocast(labels.device):
            output = self.model.fuse(maps, features, counts)
        loss, parts = self._loss(output, gathered(labels, self.group))
        return loss, torch.stack(parts)

    def rates(self, side: EventSide) -> Tensor:
        """Return the spikes per neuron and step of each spiking layer, over the joint batch."""
        if not side.layers:
            return side.none
        rates = torch.stack([layer.detach().mean() for layer in side.layers])
        return summed(rates, self.group) / self.group.size

    def frozen_maps(self, frames: Tensor) -> Tensor:
        """Return maps ``[F, C, 16, 8]`` of one tracklet's frames, uint8 ``[F, 256, 128, 3]``.

        One by one, so that they do not depend on what else is in a batch.
        """
        with torch.no_grad(), self._autocast(frames.device):
            return self.model.frame_maps(pixels(frames)[None])[0].float().contiguous()

    def _autocast(self, device: torch.device, *, enabled: bool = True) -> torch.autocast:
        reduced = enabled and self.precision != torch.float32
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=reduced)

    def event_side(self, batch: Batch) -> EventSide:
        """Run the event branch, and say what the bridge gets of it."""
        branch, config, spikes = self.model.event_branch, self.model.bridge.config, batch.spikes
        none = torch.zeros(0, device=batch.labels.device)
        if spikes is None or branch is None or not config.uses_events:
            return EventSide(None, None, (), none)
        first = batch.maps if batch.frames is None else batch.frames
        frames = config.frames if first is None else first.shape[1]
        spiking = isinstance(branch, EventBranch)
        # A membrane in 8 bits of mantissa would not be the chip's, nor snnTorch's.
        with self._autocast(spikes.device, enabled=not spiking):
            layers = branch(spikes.float())
        features = event_features(layers[-1], frames=frames)
        counts = event_counts(spikes, frames=frames)
        return EventSide(features, counts, tuple(layers) if spiking else (), none)

    @contextmanager
    def beside(self, batch: Batch) -> Iterator[AbstractContextManager[None]]:
        """Hand out a block whose work runs on a GPU beside the rest of the body.

        On a CPU, and with several processes (whose gradients are exchanged as they come, on one
        stream), it is an ordinary block.
        """
        spikes = batch.spikes
        if spikes is None or spikes.device.type != "cuda" or self.group.size > 1:
            yield nullcontext()
            return
        here = torch.cuda.current_stream(spikes.device)
        if self._stream is None:
            self._stream = torch.cuda.Stream(spikes.device)
        self._stream.wait_stream(here)
        spikes.record_stream(self._stream)
        yield torch.cuda.stream(self._stream)
        here.wait_stream(self._stream)

    def _loss(self, output: Output, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return cross-entropy, triplet loss and the model's own losses; the first two and the
        accuracy.

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
        """Return batch-hard, of every feature that the model has compared."""
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
