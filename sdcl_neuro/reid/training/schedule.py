"""Which batch comes when, in which stage, at which learning rate: all from the settings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public
from sdcl_neuro.snn.loihi_leaky import Mode

from ..datasets import DataSet
from .sampler import pk_batches
from .settings import Settings, Stage


@dataclass(frozen=True)
class Span:
    """A stage in the count of all steps, from `first` up to but not including `last`."""

    mode: Mode
    stage: Stage
    first: int
    last: int
    steps_per_unit: int

    def rate(self, step: int) -> float:
        """Return learning rate of a step: warm-up, then times `decay` each `decay_every`."""
        stage, done = self.stage, step - self.first
        warm_up = stage.warm_up * self.steps_per_unit
        rate = stage.learning_rate
        if done < warm_up:
            return rate * (done + 1) / warm_up
        if stage.decay_every:
            rate *= stage.decay ** (done // (stage.decay_every * self.steps_per_unit))
        return rate


@dataclass(frozen=True)
class TrainingSchedule:
    """The whole training.

    Attributes:
        positions: of the training tracklets, in the data set's entries.
        labels: the class of each, ``[N]``.
        persons: the identity of each class.
        held_out: positions of the persons kept for validation.
        epoch: steps in which every person comes once.
        spans: the stages, one after another.
    """

    positions: tuple[int, ...]
    labels: NDArray[np.int64]
    persons: tuple[int, ...]
    held_out: tuple[int, ...]
    epoch: int
    spans: tuple[Span, ...]

    @cached_property
    def classes(self) -> dict[int, int]:
        """The class of each position."""
        return dict(zip(self.positions, self.labels.tolist(), strict=True))

    @property
    def steps(self) -> int:
        """Number of training steps of all stages together."""
        return self.spans[-1].last if self.spans else 0

    def batches(self, settings: Settings, *, first: int, last: int) -> Iterator[NDArray[np.int64]]:
        """Yield indices into `positions` of the batches from step `first` up to `last`, ``[P*K]``.

        The steps before are drawn and passed over: a training that goes on sees what it would
        have seen.
        """
        drawn = pk_batches(
            self.labels, settings.persons, settings.tracklets, steps=last, seed=settings.seed
        )
        for step, index in enumerate(drawn):
            if step >= first:
                yield index


@public
def training_persons(data: DataSet, settings: Settings) -> tuple[int, ...]:
    """Return the identities that are learnt, in the order of their classes.

    Raises:
        InputError: fewer than a batch needs.
    """
    persons = sorted({data.entries[position].person for position in data.train})
    kept = persons[: len(persons) - settings.validation_persons]
    if len(kept) < settings.persons:
        raise InputError(
            f"{len(persons)} persons to train on, {settings.validation_persons} of them kept for "
            f"validation, and batches of {settings.persons}",
            where="training",
            hint="lower training.persons or validation_persons",
        )
    return tuple(kept)


def make_schedule(data: DataSet, settings: Settings) -> TrainingSchedule:
    """Plan a training.

    Raises:
        InputError: too few persons.
    """
    persons = training_persons(data, settings)
    classes = {person: number for number, person in enumerate(persons)}
    seen = [(position, data.entries[position].person) for position in data.train]
    epoch = math.ceil(len(persons) / settings.persons)
    return TrainingSchedule(
        positions=tuple(position for position, person in seen if person in classes),
        labels=np.array([classes[p] for _, p in seen if p in classes], dtype=np.int64),
        persons=persons,
        held_out=tuple(position for position, person in seen if person not in classes),
        epoch=epoch,
        spans=tuple(_spans(settings.stages, epoch)),
    )


def _spans(stages: Sequence[tuple[Mode, Stage]], epoch: int) -> Iterator[Span]:
    first = 0
    for mode, stage in stages:
        length = stage.steps or stage.epochs * epoch
        if length:
            yield Span(mode, stage, first, first + length, 1 if stage.steps else epoch)
            first += length
