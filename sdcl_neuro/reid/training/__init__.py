"""Training: settings, and the trainer with what it keeps on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdcl_neuro.extras import attach

from .settings import Augmentation, Settings, Stage

if TYPE_CHECKING:
    from .logs import TrainingStep as TrainingStep
    from .schedule import training_persons as training_persons
    from .trainer import train as train

# Settings alone need no torch.
_PUBLIC = {"TrainingStep": "logs", "train": "trainer", "training_persons": "schedule"}

__all__ = ["Augmentation", "Settings", "Stage", *_PUBLIC]

__getattr__, __dir__ = attach(__name__, _PUBLIC, renamed={"Step": "TrainingStep"})
