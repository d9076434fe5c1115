"""Training: settings, and the trainer with what it keeps on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .settings import Augmentation, Settings, Stage

if TYPE_CHECKING:
    from .logs import Step as Step
    from .schedule import training_persons as training_persons
    from .trainer import train as train

# Settings alone need no torch.
_LAZY = {"Step": "logs", "train": "trainer", "training_persons": "schedule"}

__all__ = ["Augmentation", "Settings", "Stage", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
