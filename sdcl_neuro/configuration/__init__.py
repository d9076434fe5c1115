"""One file says everything: data, clip, model, training, evaluation; read, checked, built from."""

from __future__ import annotations

from .checks import bridge_config, clip_format
from .load import list_configurations, load_configuration
from .tables import Configuration

__all__ = [
    "Configuration",
    "bridge_config",
    "clip_format",
    "list_configurations",
    "load_configuration",
]
