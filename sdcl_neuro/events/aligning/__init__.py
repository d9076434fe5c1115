"""Finding how events and frames lie to each other in time and view, from the two alone."""

from __future__ import annotations

from .estimate import estimate_alignment
from .estimate_result import Estimate
from .overlay import draw_overlay

__all__ = ["Estimate", "draw_overlay", "estimate_alignment"]
