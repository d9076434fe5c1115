"""Loihi's arithmetic, exactly: an event-driven path for the CPU and a dense one for any device."""

from .run import PATHS, run_network

__all__ = ["PATHS", "run_network"]
