"""Data sets of persons seen by cameras: tracklets by number, split, loaded on demand."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .clip import Clip, pick_frames
from .index import DataSet, Labels, describe, labels, tracklets

if TYPE_CHECKING:
    from .degradations import degrade as degrade
    from .degradations import degrade_tracklet as degrade_tracklet
    from .generated import Generated as Generated
    from .generated import GeneratedConfig as GeneratedConfig

_LAZY = {
    "Generated": "generated",
    "GeneratedConfig": "generated",
    "degrade": "degradations",
    "degrade_tracklet": "degradations",
}

__all__ = [
    "Clip",
    "DataSet",
    "Labels",
    "describe",
    "labels",
    "pick_frames",
    "tracklets",
    *_LAZY,
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
