"""Loihi's arithmetic, exactly: an event-driven path for the CPU and a dense one for any device."""

from .file_run import run_file
from .run import PATHS, run_network

__all__ = ["PATHS", "run_file", "run_network"]
