"""Loihi's arithmetic, exactly: an event-driven path for the CPU and a dense one for any device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdcl_neuro.extras import attach

if TYPE_CHECKING:
    from .file_run import run_file as run_file
    from .run import PATHS as PATHS
    from .run import run_network as run_network

_PUBLIC = {
    "PATHS": "run",
    "run_file": "file_run",
    "run_network": "run",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = attach(__name__, _PUBLIC)
