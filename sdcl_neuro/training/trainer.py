"""Training SDCL on tracklets in stages: in float first, then in the chip's integers.

The losses are the paper's (Eq. 14): cross-entropy with label smoothing on every level's
logits, and a batch-hard triplet loss on every level's feature. Batches hold P identities with K
tracklets each. The one augmentation is a horizontal flip of frames and events together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..bridge import Output
from ..data import Tracklet
from ..errors import InputError
from ..event_branch import EventBranch
from ..frame_branch import normalise
from ..loihi_leaky import Mode
from ..model import Sdcl, event_counts, event_features
from ..reid.losses import batch_hard_triplet, cross_entropy
from .sampler import pk_batches


@dataclass(frozen=True)
class Stage:
    """One stretch of training.

    Attributes:
        mode: ``float``, or ``int`` for the chip's integers in the forward pass.
        steps: number of batches.
        learning_rate: of Adam.
        learns_frames: whether the frame branch learns too; else its maps are computed once.
    """

    mode: Mode
    steps: int
    learning_rate: float = 3e-4
    learns_frames: bool = False


@dataclass(frozen=True)
class Settings:
    """What all stages share.

    Attributes:
        persons, tracklets: P and K of a batch.
        weight_decay, margin, smoothing: of Adam, the triplet loss and the cross-entropy; the
            paper's published code has these values.
        seed: of everything random; the same seed gives the same result on the same machine.
    """

    persons: int = 4
    tracklets: int = 3
    weight_decay: float = 5e-4
    margin: float = 0.3
    smoothing: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Step:
    """What one step of training saw; `rates` is spikes per neuron and time step, one a layer."""

    mode: Mode
    step: int
    loss: float
    accuracy: float
    rates: tuple[float, ...]


def train(
    model: Sdcl,
    tracklets: Sequence[Tracklet],
    stages: Sequence[Stage],
    *,
    settings: Settings | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> list[Step]:
    """Train `model` in place, stage after stage; it is in evaluation mode afterwards.

    Args:
        model: with an `EventBranch`; its bridge has one class for each person.
        tracklets: all of one number of frames, bins and size; their frames are not looked at
            where the bridge takes none.
        stages: in order; the first one with mode ``int`` chooses the weight scales.
        settings: see `Settings`.
        on_step: called after every step, for a progress bar or a log.

    Raises:
        InputError: no tracklets, tracklets of different shapes, more of their persons than
            the bridge has identities, fewer than `Settings.persons`.
    """
    settings = settings or Settings()
    data = _Tracklets(model, tracklets)
    log = []
    for number, stage in enumerate(stages):
        torch.manual_seed(settings.seed + number)
        for step in _run_stage(model, data, stage, settings, seed=settings.seed + number):
            log.append(step)
            on_step(step)
    model.eval()
    return log


class _Tracklets:
    """Tracklets as tensors, with their labels, and the frame maps of a frozen frame branch."""

    def __init__(self, model: Sdcl, tracklets: Sequence[Tracklet]) -> None:
        if not tracklets:
            raise InputError("no tracklets to train on", where="train", mend="give at least one")
        persons = sorted({tracklet.person for tracklet in tracklets})
        classes = model.bridge.config.identities
        if len(persons) > classes:
            raise InputError(
                f"{len(persons)} persons for {classes} classes",
                where="train",
                mend=f"build the bridge with identities={len(persons)}",
            )
        shapes = {(tracklet.frames.shape, tracklet.spikes.shape) for tracklet in tracklets}
        if len(shapes) > 1:
            raise InputError(
                f"tracklets of {len(shapes)} different shapes",
                where="train",
                mend="cut all of them with the same frames, bins and size",
            )
        self.model = model
        self.device = next(model.parameters()).device
        self.labels = np.array([persons.index(tracklet.person) for tracklet in tracklets])
        self.frames = np.stack([tracklet.frames for tracklet in tracklets])  # [N, F, H, W, 3]
        self.spikes = np.stack([tracklet.spikes for tracklet in tracklets], axis=1)  # [T, N, ...]
        self.frozen_maps: dict[bool, Tensor] = {}

    @property
    def frames_each(self) -> int:
        """F."""
        return int(self.frames.shape[1])

    def freeze_frames(self) -> None:
        """Compute all frame maps once, plain and mirrored: ``[N, F, C, 16, 8]`` each."""
        if not self.model.bridge.config.uses_frames:
            return
        with torch.no_grad():
            for mirrored in (False, True):
                each = [self._maps(np.array([n]), mirrored) for n in range(len(self.labels))]
                self.frozen_maps[mirrored] = torch.cat(each)

    def batch(
        self, index: NDArray[np.int64], *, mirrored: bool
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """Frame maps ``[B, F, C, 16, 8]``, spikes ``[T, B, 2, H, W]`` and labels ``[B]``.

        The maps are None where the bridge takes no frames.
        """
        spikes = torch.from_numpy(self.spikes[:, index]).float()
        if mirrored:
            spikes = spikes.flip(-1)
        maps = None
        if self.model.bridge.config.uses_frames:
            frozen = self.frozen_maps.get(mirrored)
            maps = self._maps(index, mirrored) if frozen is None else frozen[index]
        return maps, spikes.to(self.device), torch.from_numpy(self.labels[index]).to(self.device)

    def _maps(self, index: NDArray[np.int64], mirrored: bool) -> Tensor:
        pixels = normalise(self.frames[index].reshape(-1, *self.frames.shape[2:]))
        if mirrored:
            pixels = pixels.flip(-1)
        return self.model.frame_maps(pixels.unflatten(0, (len(index), -1)).to(self.device))


def _run_stage(
    model: Sdcl, data: _Tracklets, stage: Stage, settings: Settings, *, seed: int
) -> Iterator[Step]:
    branch = _event_branch(model)
    if stage.mode == "int" and branch.mode == "float":
        branch.prepare_quantization()
    branch.set_mode(stage.mode)
    model.train()
    data.frozen_maps = {}
    if model.frame_branch is not None and not stage.learns_frames:
        model.frame_branch.eval()
        data.freeze_frames()
    learning = [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (stage.learns_frames or not name.startswith("frame_branch."))
    ]
    optimiser = torch.optim.Adam(
        learning, lr=stage.learning_rate, weight_decay=settings.weight_decay
    )
    generator = np.random.default_rng(seed)
    sampler = pk_batches(
        data.labels, settings.persons, settings.tracklets, steps=stage.steps, seed=seed
    )
    for number, index in enumerate(sampler):
        maps, spikes, labels = data.batch(index, mirrored=bool(generator.integers(2)))
        layers = branch(spikes)
        features = event_features(layers[-1], frames=data.frames_each)
        output = model.fuse(maps, features, event_counts(spikes, frames=data.frames_each))
        loss = _loss(output, labels, settings)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        right = output.logits[-1].detach().argmax(1) == labels
        rates = tuple(float(layer.detach().mean()) for layer in layers)
        yield Step(stage.mode, number, float(loss.detach()), float(right.float().mean()), rates)


def _loss(output: Output, labels: Tensor, settings: Settings) -> Tensor:
    """The paper's Eq. 14, averaged over the pyramid's levels."""
    entropies = [
        cross_entropy(logits, labels, smoothing=settings.smoothing) for logits in output.logits
    ]
    triplets = [
        batch_hard_triplet(feature, labels, margin=settings.margin)
        for feature in output.level_features
    ]
    return (torch.stack(entropies) + torch.stack(triplets)).mean()


def _event_branch(model: Sdcl) -> EventBranch:
    if not isinstance(model.event_branch, EventBranch):
        raise InputError(
            "the model has no event branch that trains in integers",
            where="train",
            mend="build it with an EventBranch",
        )
    return model.event_branch
