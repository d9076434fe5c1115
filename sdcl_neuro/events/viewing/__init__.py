"""See a recording: as one HTML file with controls, a film, or a sheet of moments."""

from __future__ import annotations

from .scene import Scene, open_scene
from .writing import WRITERS, Look, write_view

__all__ = ["WRITERS", "Look", "Scene", "open_scene", "write_view"]
