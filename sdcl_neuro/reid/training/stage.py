"""One stage of a training under way: an optimiser, and step after step of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sdcl_neuro.devices import full_float32, moved
from sdcl_neuro.errors import CheckFailed
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.snn.event_branch import EventBranch

from .devices import choose_precision
from .distributed import Group
from .gradients import GradientStep
from .loading import Loader
from .logs import TrainingStep
from .objective import Judged, Objective, stack
from .samples import Request, Sample, requests
from .schedule import Span, TrainingSchedule
from .settings import Settings
from .state import Learning, SavedState, restore_optimiser


class StageRun:
    """A stage, from its beginning or from a state inside it.

    Args:
        model: on its device.
        schedule, span: of the training and of this stage.
        settings: see `Settings`.
        group: of processes.
        state: what the training goes on from, if it is inside this stage; `model` has it already.
    """

    def __init__(
        self,
        model: Sdcl,
        schedule: TrainingSchedule,
        span: Span,
        settings: Settings,
        *,
        group: Group,
        state: SavedState | None = None,
    ) -> None:
        self.model, self.schedule, self.span, self.settings = model, schedule, span, settings
        self.group = group
        self.first = span.first if state is None else state.step
        self.device = next(model.parameters()).device
        self.frozen = model.frame_branch is not None and not span.stage.learns_frames
        self._set_mode()
        self._set_training()
        self.learning: Learning = [
            (name, parameter)
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and not (self.frozen and name.startswith("frame_branch."))
        ]
        self.optimiser = _optimiser(self.learning, settings)
        if state is not None:
            restore_optimiser(self.optimiser, self.learning, state)
        precision = choose_precision(settings, self.device)
        self.objective = Objective(model, settings, group=group, precision=precision)

    def steps(self, loader: Loader) -> Iterator[TrainingStep]:
        """Train on what `loader` brings; the model has changed when a step is handed out."""
        if self.frozen and self.model.frame_branch is not None:
            parameters = [p for p in self.model.frame_branch.parameters() if p.requires_grad]
        else:
            parameters = []
        for parameter in parameters:
            parameter.requires_grad_(False)
        try:
            gradients = GradientStep(self.objective, self._wrapped(), self.learning)
            batches = loader.batches(self._plan())
            for step, (asked, samples) in enumerate(batches, start=self.first):
                samples = self._with_maps(asked, samples, loader)
                judged = self._learn(gradients, step, asked, samples)
                yield self._told(step, judged)
        finally:
            for parameter in parameters:
                parameter.requires_grad_(True)

    def _set_mode(self) -> None:
        """Choose float or integers; the first integer stage chooses the scales where it begins."""
        branch = self.model.event_branch
        if isinstance(branch, EventBranch):
            if self.span.mode == "int" and branch.mode == "float":
                branch.prepare_quantization()
            branch.set_mode(self.span.mode)

    def _set_training(self) -> None:
        self.model.train()
        if self.frozen and self.model.frame_branch is not None:
            self.model.frame_branch.eval()

    def _wrapped(self) -> nn.Module:
        if self.group.size == 1:
            return self.objective
        # Some switches leave parameters without a gradient.
        return DistributedDataParallel(self.objective, find_unused_parameters=True)

    def _plan(self) -> Iterator[list[Request]]:
        schedule, settings = self.schedule, self.settings
        share = self.group.share(settings.persons * settings.tracklets)
        drawn = schedule.batches(settings, first=self.first, last=self.span.last)
        for step, index in enumerate(drawn, start=self.first):
            positions = [schedule.positions[int(one)] for one in index[share]]
            yield requests(positions, step=step, settings=settings, first=share.start)

    def _with_maps(
        self, asked: list[Request], samples: list[Sample], loader: Loader
    ) -> list[Sample]:
        """Return samples whose frames became maps, where the frame branch does not learn."""
        if not self.frozen:
            return samples
        made = [
            self.objective.frozen_maps(moved(torch.from_numpy(sample.frames), self.device))
            for sample in samples
            if sample.frames is not None
        ]
        # All at once: a GPU is waited for at each copy.
        fetched = iter(torch.stack(made).cpu() if made else ())
        found = []
        for request, sample in zip(asked, samples, strict=True):
            if sample.frames is not None:
                sample = replace(sample, frames=None, maps=next(fetched).clone())
                loader.store.put(request, sample)
            found.append(sample)
        return found

    def _learn(
        self, gradients: GradientStep, step: int, asked: list[Request], samples: list[Sample]
    ) -> Judged:
        labels = [self.schedule.classes[request.position] for request in asked]
        for group in self.optimiser.param_groups:
            group["lr"] = self.span.rate(step) * group["factor"]
        batch = stack(samples, labels, device=self.device)
        # Whatever a layer draws follows from the step, so that it needs no state.
        drawn = self.settings.seed * 1_000_003 + step * self.group.size + self.group.rank
        with full_float32():  # what is to be faster than float32 is cast to bfloat16
            judged = gradients.learn(batch, seed=partial(torch.manual_seed, drawn))
        self.optimiser.step()
        return judged

    def _told(self, step: int, judged: Judged) -> TrainingStep:
        loss, entropy, triplet, accuracy, *rates = judged.figures.tolist()
        if not abs(loss) < float("inf"):
            raise CheckFailed(
                f"the loss is {loss} at step {step}",
                where="training",
                hint="lower the learning rate, or extend the warm-up",
            )
        return TrainingStep(
            mode=self.span.mode,
            step=step,
            epoch=step // self.schedule.epoch,
            learning_rate=self.span.rate(step),
            loss=loss,
            cross_entropy=entropy,
            triplet=triplet,
            accuracy=accuracy,
            rates=tuple(rates),
        )


_MOMENTUM = 0.9
_BACKBONES = ("frame_branch.", "event_branch.network.")


def _optimiser(learning: Learning, settings: Settings) -> torch.optim.Optimizer:
    """Return the optimiser; the network on frames or voxels has a learning rate of its own."""
    backbone = [one for name, one in learning if name.startswith(_BACKBONES)]
    rest = [one for name, one in learning if not name.startswith(_BACKBONES)]
    groups: list[dict[str, Any]] = [
        {"params": rest, "factor": 1.0},
        {"params": backbone, "factor": settings.backbone_rate},
    ]
    if settings.backbone_rate == 1.0:
        groups = [{"params": [one for _, one in learning], "factor": 1.0}]
    groups = [group for group in groups if group["params"]]
    decay = settings.weight_decay
    if settings.optimiser == "sgd":
        return torch.optim.SGD(
            groups, lr=0.0, momentum=_MOMENTUM, nesterov=True, weight_decay=decay, fused=True
        )
    return torch.optim.Adam(groups, lr=0.0, weight_decay=decay, fused=True)
