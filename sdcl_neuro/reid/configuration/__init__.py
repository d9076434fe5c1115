"""One file says everything: data, clip, model, training, evaluation; read, checked, built from."""

from __future__ import annotations

from .build import build_model
from .checks import bridge_config, clip_format, frame_branch_name
from .data import build_data, fill_cache
from .load import list_configurations, load_configuration
from .tables import Configuration

__all__ = [
    "Configuration",
    "bridge_config",
    "build_data",
    "build_model",
    "clip_format",
    "fill_cache",
    "frame_branch_name",
    "list_configurations",
    "load_configuration",
]
