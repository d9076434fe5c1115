"""A batch to the gradients of everything that learns, on a GPU mostly replayed from CUDA graphs.

Recorded are the frame branch and what comes after both branches: bridge, losses, and the way back
through them. The event branch is not: it is a few launches a layer, whose numbers may be learnt. So
a step is its forward pass, two replays and its backward pass; the first replay may run beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sdcl_neuro.cuda_graphs import WARM_UP, GpuRecording, attempted, close, graphs_wanted
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.snn.event_branch import EventBranch

from .objective import Batch, EventSide, Judged, Objective
from .state import Learning

EQUAL_WITHIN = 2e-2
"""Of a gradient's norm: bfloat16 sums in another order differ by some thousandths."""

Recorded = tuple[Tensor, Tensor, list[Tensor | None], Tensor | None]


class GradientStep:
    """Computes gradients, batch after batch of a stage.

    Args:
        objective: on its device.
        wrapped: the same, as it is called without a recording: by DistributedDataParallel, maybe.
        learning: the parameters that get gradients.
    """

    def __init__(self, objective: Objective, wrapped: nn.Module, learning: Learning) -> None:
        self.objective, self.wrapped = objective, wrapped
        self.parameters = [one for _, one in learning]
        self.dense = [one for name, one in learning if not name.startswith("event_branch.")]
        device = next(objective.model.parameters()).device
        self.wanted = graphs_wanted(device) and objective.group.size == 1
        self.shapes: tuple[tuple[int, ...] | None, ...] | None = None
        self.seen = 0
        self.recorded: _RecordedBatch | None = None

    def learn(self, batch: Batch, *, seed: Callable[[], object]) -> Judged:
        """Leave the batch's gradients in the parameters.

        Args:
            batch: on the device.
            seed: begins the step's random numbers.
        """
        shapes = _shapes(batch)
        if shapes != self.shapes:
            self.shapes, self.seen, self.recorded = shapes, 0, None
        self.seen += 1
        for parameter in self.parameters:
            parameter.grad = None
        seed()
        if self.recorded is not None:
            return self.recorded.learn(batch)
        if not self.wanted or self.seen <= WARM_UP:
            return self._eager(batch)
        return self._recording(batch, seed)

    def _eager(self, batch: Batch) -> Judged:
        judged: Judged = self.wrapped(batch)
        judged.loss.backward()
        return judged

    def _recording(self, batch: Batch, seed: Callable[[], object]) -> Judged:
        """Learn without a recording, and then make one that must give the same."""
        buffers = _statistics(self.objective.model)
        before = [one.clone() for one in buffers]
        judged = self._eager(batch)
        gradients = [one.grad for one in self.parameters]
        after = [one.clone() for one in buffers]

        def record() -> _RecordedBatch | None:
            made = _RecordedBatch(self.objective, self.dense, batch)
            _put_back(buffers, before)
            for parameter in self.parameters:
                parameter.grad = None
            seed()
            again = made.learn(batch)
            found = [one.grad for one in self.parameters]
            return made if _equal(again, found, judged, gradients) else None

        self.recorded = attempted("the training step", record)
        self.wanted = self.recorded is not None
        _put_back(buffers, after)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        return judged


class _RecordedBatch:
    """The two recordings for batches of one shape."""

    def __init__(
        self, objective: Objective, parameters: Sequence[nn.Parameter], batch: Batch
    ) -> None:
        self.objective, self.parameters = objective, parameters
        side = objective.event_side(batch)
        learns = side.features is not None and side.features.requires_grad
        self.frames: GpuRecording[Tensor | None] | None = None
        if batch.frames is not None:
            self.frames = GpuRecording(lambda frames: objective.maps(frames, None), batch.frames)
        frame_maps = None if self.frames is None else self.frames.made

        def learn(
            maps: Tensor | None, features: Tensor | None, counts: Tensor | None, labels: Tensor
        ) -> Recorded:
            maps = maps if frame_maps is None else frame_maps
            if learns and features is not None:
                features.requires_grad_(True)
            loss, parts = objective.judged(maps, features, counts, labels)
            wanted = [*parameters, *([features] if learns and features is not None else [])]
            found = torch.autograd.grad(loss, wanted, allow_unused=True)
            gradients = [
                _laid_out(one, like) for one, like in zip(found, self.parameters, strict=False)
            ]
            return loss.detach(), parts, gradients, found[-1] if learns else None

        self.rest = GpuRecording(
            learn, batch.maps, side.features, side.counts, batch.labels, after=self.frames
        )

    def learn(self, batch: Batch) -> Judged:
        """Replay; the gradients are in the parameters afterwards."""
        with self.objective.beside(batch) as event_stream:
            with event_stream:
                side: EventSide = self.objective.event_side(batch)
            if self.frames is not None:
                self.frames.replay(batch.frames)
        side.hand_over()
        loss, parts, gradients, to_features = self.rest.replay(
            batch.maps, side.features, side.counts, batch.labels
        )
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        if to_features is not None and side.features is not None:
            torch.autograd.backward([side.features], [to_features])
        return Judged(loss, torch.cat([loss[None], parts, self.objective.rates(side)]))


def _shapes(batch: Batch) -> tuple[tuple[int, ...] | None, ...]:
    given = (batch.frames, batch.maps, batch.spikes, batch.labels)
    return tuple(None if one is None else tuple(one.shape) for one in given)


def _laid_out(gradient: Tensor | None, like: Tensor) -> Tensor | None:
    """Return a gradient in its parameter's layout, which a fused optimiser expects."""
    if gradient is None or gradient.stride() == like.stride():
        return gradient
    return torch.empty_like(like).copy_(gradient)


def _statistics(model: Sdcl) -> list[Tensor]:
    """Return what a step may write besides parameters: all buffers but a spiking branch's
    numbers.
    """
    branch = model.event_branch
    numbers = branch.buffers() if isinstance(branch, EventBranch) else ()
    known = {id(one) for one in numbers}
    return [one for one in model.buffers() if id(one) not in known]


def _put_back(buffers: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for buffer, value in zip(buffers, values, strict=True):
        buffer.copy_(value)


def _equal(
    again: Judged, found: Sequence[Tensor | None], judged: Judged, wanted: Sequence[Tensor | None]
) -> bool:
    """Return whether a replay gave the loss and the gradients that were there before."""
    if any((one is None) != (two is None) for one, two in zip(found, wanted, strict=True)):
        return False
    if not close(again.loss, judged.loss, within=EQUAL_WITHIN):
        return False
    flat = [
        torch.cat([one.flatten() for one in side if one is not None]) for side in (found, wanted)
    ]
    return close(*flat, within=EQUAL_WITHIN)
