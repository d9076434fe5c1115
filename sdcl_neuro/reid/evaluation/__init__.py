"""How well a trained model re-identifies, and what its deployment costs in accuracy."""

from __future__ import annotations

from .arms import Arm, event_arm, unspiking_arm, with_integers
from .evaluate import Condition, Judging, evaluate
from .extraction import Extraction, extract
from .result import Evaluation, Row
from .setting import Setting, parse_sweep
from .store import FeatureStore
from .trained import Trained, open_trained

__all__ = [
    "Arm",
    "Condition",
    "Evaluation",
    "Extraction",
    "FeatureStore",
    "Judging",
    "Row",
    "Setting",
    "Trained",
    "evaluate",
    "event_arm",
    "extract",
    "open_trained",
    "parse_sweep",
    "unspiking_arm",
    "with_integers",
]
