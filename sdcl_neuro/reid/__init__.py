"""The Re-ID laboratory: data sets, training, evaluation, inference on videos, galleries.

Needs the extra ``reid``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdcl_neuro.extras import attach

if TYPE_CHECKING:
    from .configuration import Configuration as Configuration
    from .configuration import build_data as build_data
    from .configuration import build_model as build_model
    from .configuration import list_configurations as list_configurations
    from .configuration import load_configuration as load_configuration
    from .datasets import Clip as Clip
    from .datasets import DataSet as DataSet
    from .datasets import EventFiles as EventFiles
    from .datasets import FolderData as FolderData
    from .datasets import Generated as Generated
    from .datasets import GeneratedConfig as GeneratedConfig
    from .datasets import cache_events as cache_events
    from .datasets import labels as labels
    from .datasets import read_ilidsvid as read_ilidsvid
    from .datasets import read_mars as read_mars
    from .datasets import read_prid2011 as read_prid2011
    from .datasets import with_cached_events as with_cached_events
    from .datasets.faults import Faults as Faults
    from .datasets.recordings import RecordingData as RecordingData
    from .datasets.recordings import RecordingEntry as RecordingEntry
    from .evaluation import Evaluation as Evaluation
    from .evaluation import EvaluationSettings as EvaluationSettings
    from .evaluation import open_trained as open_trained
    from .evaluation import parse_sweep as parse_sweep
    from .evaluation.evaluate import evaluate as evaluate
    from .gallery import Enrolment as Enrolment
    from .gallery import Entry as Entry
    from .gallery import Gallery as Gallery
    from .gallery import Hit as Hit
    from .gallery import Where as Where
    from .metrics import Metrics as Metrics
    from .metrics import ReRanking as ReRanking
    from .metrics import distance_matrix as distance_matrix
    from .metrics import evaluate_ranking as evaluate_ranking
    from .metrics import rank as rank
    from .pipeline.gallery_hits import GalleryUse as GalleryUse
    from .pipeline.infer_video import compare_tracks as compare_tracks
    from .pipeline.infer_video import write_comparison as write_comparison
    from .pipeline.live_source import LiveSource as LiveSource
    from .pipeline.live_stream import watch as watch
    from .pipeline.video import Source as Source
    from .training import Augmentation as Augmentation
    from .training import Settings as Settings
    from .training import Stage as Stage
    from .training import train as train
    from .training import training_persons as training_persons

_PUBLIC = {
    "GalleryUse": "pipeline.gallery_hits",
    "Augmentation": "training",
    "build_data": "configuration",
    "build_model": "configuration",
    "cache_events": "datasets",
    "Clip": "datasets",
    "compare_tracks": "pipeline.infer_video",
    "Configuration": "configuration",
    "DataSet": "datasets",
    "distance_matrix": "metrics",
    "Enrolment": "gallery",
    "Entry": "gallery",
    "evaluate": "evaluation.evaluate",
    "evaluate_ranking": "metrics",
    "Evaluation": "evaluation",
    "EventFiles": "datasets",
    "Faults": "datasets.faults",
    "FolderData": "datasets",
    "Gallery": "gallery",
    "Generated": "datasets",
    "GeneratedConfig": "datasets",
    "Hit": "gallery",
    "EvaluationSettings": "evaluation",
    "labels": "datasets",
    "list_configurations": "configuration",
    "LiveSource": "pipeline.live_stream",
    "load_configuration": "configuration",
    "Metrics": "metrics",
    "open_trained": "evaluation",
    "parse_sweep": "evaluation",
    "rank": "metrics",
    "read_ilidsvid": "datasets",
    "read_mars": "datasets",
    "read_prid2011": "datasets",
    "RecordingData": "datasets.recordings",
    "RecordingEntry": "datasets.recordings",
    "ReRanking": "metrics",
    "Settings": "training",
    "Source": "pipeline.video",
    "Stage": "training",
    "train": "training",
    "training_persons": "training",
    "watch": "pipeline.live_stream",
    "Where": "gallery",
    "with_cached_events": "datasets",
    "write_comparison": "pipeline.infer_video",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = attach(__name__, _PUBLIC, renamed={"Judging": "EvaluationSettings"})
