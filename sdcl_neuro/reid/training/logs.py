"""What training says while it runs: a line a step in ``log.csv``, and TensorBoard's event files."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import installed
from sdcl_neuro.snn.loihi_leaky import Mode


@dataclass(frozen=True)
class TrainingStep:
    """What one step of training saw, over the joint batch.

    Attributes:
        mode: what the event branch computed in.
        step: from 0, over all stages.
        epoch: from 0.
        learning_rate: as it was used.
        loss: `cross_entropy` and `triplet` together.
        accuracy: share of the batch that the last level's classifier got right.
        rates: spikes per neuron and time step, one for each spiking layer.
        validation: mAP and rank-1 on the held-out training persons, where they were taken.
    """

    mode: Mode
    step: int
    epoch: int
    learning_rate: float
    loss: float
    cross_entropy: float
    triplet: float
    accuracy: float
    rates: tuple[float, ...]
    validation: tuple[float, float] | None = None

    def values(self) -> dict[str, float]:
        """Return figures by name, as they stand in the log."""
        found = {
            "learning_rate": self.learning_rate,
            "loss": self.loss,
            "cross_entropy": self.cross_entropy,
            "triplet": self.triplet,
            "accuracy": self.accuracy,
            **{f"rate_{n}": rate for n, rate in enumerate(self.rates)},
        }
        if self.validation is not None:
            found |= dict(zip(_VALIDATION, self.validation, strict=True))
        return found


_VALIDATION = ("validation_mAP", "validation_rank1")


class CsvLog:
    """``log.csv``: cut back to what a state knows of it, then added to.

    Args:
        path: of the file.
        layers: number of spiking layers.
        length: bytes that stay; 0 begins again.

    Raises:
        InputError: the file is shorter than that.
    """

    def __init__(self, path: Path, *, layers: int, length: int = 0) -> None:
        rates = [f"rate_{n}" for n in range(layers)]
        figures = ["learning_rate", "loss", "cross_entropy", "triplet", "accuracy"]
        self.columns = ["step", "stage", "epoch", *figures, *rates, *_VALIDATION]
        found = path.stat().st_size if path.exists() else 0
        if found < length:
            raise InputError(
                f"has {found} bytes, and the state was saved at {length}",
                where=str(path),
                hint="put the log back, or train in a new folder",
            )
        self.stream = path.open("ab")
        self.stream.truncate(length)
        if not length:
            self._line(self.columns)

    def write(self, step: TrainingStep) -> None:
        """Write one line, at once."""
        values = {name: f"{value:.9g}" for name, value in step.values().items()}
        values |= {"step": str(step.step), "stage": step.mode, "epoch": str(step.epoch)}
        self._line([values.get(name, "") for name in self.columns])

    def length(self) -> int:
        """Return bytes, all of them on disk."""
        os.fsync(self.stream.fileno())
        return self.stream.tell()

    def close(self) -> None:
        """Close the log."""
        self.stream.close()

    def _line(self, cells: Sequence[str]) -> None:
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        self.stream.write(text.getvalue().encode())
        self.stream.flush()


class Board:
    """TensorBoard's event files; does nothing where the package is missing.

    Args:
        folder: of the files.
        first: the step that comes next; what an earlier process wrote from there on is void.
    """

    def __init__(self, folder: Path, *, first: int) -> None:
        self.writer: Any = None
        if not installed("tensorboard"):
            return
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder), purge_step=first)

    @property
    def missing(self) -> bool:
        """Whether nothing is written."""
        return self.writer is None

    def write(self, step: TrainingStep) -> None:
        """Write every figure of a step."""
        if self.writer is not None:
            for name, value in step.values().items():
                self.writer.add_scalar(name, value, step.step)

    def close(self) -> None:
        """Finish the file."""
        if self.writer is not None:
            self.writer.close()


def read_log(path: Path) -> list[dict[str, str]]:
    """Return the lines of a ``log.csv``, by column."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
