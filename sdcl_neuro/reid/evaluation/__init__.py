"""How well a trained model re-identifies, and what its deployment costs in accuracy."""

from __future__ import annotations

from sdcl_neuro.extras import attach

from .evaluate import evaluate
from .extraction import Extraction, extract
from .feature_sources import FeatureSource, event_arm, unspiking_arm, with_integers
from .planning import Condition
from .request import EvaluationSettings
from .result import Evaluation, EvaluationRow
from .setting import Setting, parse_sweep
from .store import FeatureStore
from .trained import Trained, open_trained

__all__ = [
    "Condition",
    "Evaluation",
    "EvaluationRow",
    "EvaluationSettings",
    "Extraction",
    "FeatureSource",
    "FeatureStore",
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

_RENAMED = {"Arm": "FeatureSource", "Judging": "EvaluationSettings", "Row": "EvaluationRow"}
__getattr__, __dir__ = attach(__name__, {}, renamed=_RENAMED)
