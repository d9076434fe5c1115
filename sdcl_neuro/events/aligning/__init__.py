"""Finding how events and frames lie to each other in time and view, from the two alone."""

from __future__ import annotations

from .estimate import Estimate, estimate_alignment
from .overlay import draw_overlay

__all__ = ["Estimate", "draw_overlay", "estimate_alignment"]
