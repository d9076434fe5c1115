"""What a training is going to do, and what came out of it; both print themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import number_of
from sdcl_neuro.hybrid.methods import notes_on
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.model_table import ModelTable, describe_model

from ..configuration import Configuration
from ..datasets import DataSet, describe
from ..training.logs import read_log
from ..training.records import BOARD, LOG
from ..training.schedule import TrainingSchedule
from .training_threads import kept_threads

SCHEMA = {"name": "sdcl_neuro.training", "version": 1}
PLAN_SCHEMA = {"name": "sdcl_neuro.training_plan", "version": 1}
LAST = 20
"""Steps at a stage's end over which its figures are averaged."""


@dataclass(frozen=True)
class TrainingPlan:
    """What would be trained, on what, for how long.

    Attributes:
        data: the data set in one line.
        persons, tracklets: that are learnt.
        held_out: tracklets kept for validation.
        parameters: of the model's parts.
        steps_per_epoch: until every person came once.
        stages: mode and steps of each.
        table: what each part of the model costs, where it was counted.
        notes: what has to be said of the model, one line each.
    """

    data: str
    persons: int
    tracklets: int
    held_out: int
    parameters: Mapping[str, int]
    steps_per_epoch: int
    stages: tuple[tuple[str, int], ...]
    table: ModelTable | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        configuration: Configuration,
        data: DataSet,
        schedule: TrainingSchedule,
        model: Sdcl,
        *,
        counted: bool = False,
    ) -> TrainingPlan:
        """Describe the model to be trained; `counted` adds the table, which takes a second."""
        clip = configuration.clip
        parts = dict(model.named_children())
        return cls(
            data=f"{configuration.data.kind}: {describe(data)}",
            persons=len(schedule.persons),
            tracklets=len(schedule.positions),
            held_out=len(schedule.held_out),
            parameters={
                name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()
            },
            steps_per_epoch=schedule.epoch,
            stages=tuple((span.mode, span.last - span.first) for span in schedule.spans),
            table=describe_model(model, bins=clip.bins, size=clip.size) if counted else None,
            notes=notes_on(configuration.model),
        )

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {count:,}" for name, count in self.parameters.items())
        stages = ", then ".join(
            f"{number_of(steps, 'step')} in {mode}" for mode, steps in self.stages
        )
        said = "".join(f"{note}\n" for note in self.notes)
        kept = (
            f"; {number_of(self.held_out, 'tracklet')} kept for validation" if self.held_out else ""
        )
        shown, persons = number_of(self.tracklets, "tracklet"), number_of(self.persons, "person")
        return (
            f"{said}{self.data}\n"
            f"{shown} of {persons} to learn{kept}\n"
            f"{stages}; {number_of(self.steps_per_epoch, 'step')} an epoch\n"
            + (f"parameters: {parts}" if self.table is None else str(self.table))
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        del values["table"]
        return {
            "schema": PLAN_SCHEMA,
            **values,
            "stages": [{"mode": mode, "steps": steps} for mode, steps in self.stages],
            "model": None if self.table is None else self.table.to_dict(),
        }


@dataclass(frozen=True)
class StageResult:
    """One stage in the log; figures are means over its last steps, `LAST` of them.

    Attributes:
        mode: ``float`` or ``int``.
        steps: how many.
        first_loss: of its first step.
        loss, accuracy: on the batches.
        rates: spikes per neuron and time step, one for each spiking layer.
    """

    mode: str
    steps: int
    first_loss: float
    loss: float
    accuracy: float
    rates: tuple[float, ...]

    def __str__(self) -> str:
        rates = ", ".join(f"{100 * rate:.1f} %" for rate in self.rates)
        firing = f", firing {rates}" if rates else ""
        return (
            f"{self.mode:<5}  {number_of(self.steps, 'step')}, loss {self.first_loss:.3f} to "
            f"{self.loss:.3f}, {100 * self.accuracy:.1f} % of a batch right{firing}"
        )


@dataclass(frozen=True)
class TrainingResult:
    """A finished training.

    Attributes:
        folder: of everything.
        stages: in order.
        done_now: steps of this run; 0 where it was found finished.
        validation: the last mAP and rank-1 on held-out training persons, if they were taken.
        threads: that it was begun with; None where that was not written down.
    """

    folder: Path
    stages: tuple[StageResult, ...]
    done_now: int
    validation: tuple[float, float] | None
    threads: int | None = None

    def __str__(self) -> str:
        total = sum(stage.steps for stage in self.stages)
        lines = [
            f"{number_of(total, 'step')}, {self.done_now:,} of them now",
            *map(str, self.stages),
        ]
        if self.validation is not None:
            mean_ap, rank1 = self.validation
            lines.append(f"validation: mAP {mean_ap:.1%}  R1 {rank1:.1%}")
        return "\n".join([*lines, f"model: {self.folder / 'model'}"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "schema": SCHEMA,
            "folder": str(self.folder),
            "model": str(self.folder / "model"),
            "log": str(self.folder / LOG),
            "tensorboard": str(self.folder / BOARD),
            "done_now": self.done_now,
            "stages": [asdict(stage) for stage in self.stages],
            "threads": self.threads,
            "validation": None
            if self.validation is None
            else {"mAP": self.validation[0], "rank1": self.validation[1]},
        }


def read_result(folder: Path, *, done_now: int) -> TrainingResult:
    """Return what the log of a finished training says."""
    rows = read_log(folder / LOG)
    modes = list(dict.fromkeys(row["stage"] for row in rows))
    stages = tuple(_stage(mode, [row for row in rows if row["stage"] == mode]) for mode in modes)
    judged = [row for row in rows if row["validation_mAP"]]
    validation = None
    if judged:
        last = judged[-1]
        validation = (float(last["validation_mAP"]), float(last["validation_rank1"]))
    return TrainingResult(folder, stages, done_now, validation, kept_threads(folder))


def _stage(mode: str, rows: Sequence[Mapping[str, str]]) -> StageResult:
    last = rows[-LAST:]

    def mean(column: str) -> float:
        return sum(float(row[column]) for row in last) / len(last)

    layers = sum(column.startswith("rate_") for column in rows[0])
    return StageResult(
        mode=mode,
        steps=len(rows),
        first_loss=float(rows[0]["loss"]),
        loss=mean("loss"),
        accuracy=mean("accuracy"),
        rates=tuple(mean(f"rate_{n}") for n in range(layers)),
    )
