"""Hybrid inference on a stream: frames, boxes and events as they come, with bounded memory."""

from __future__ import annotations

from .report import LiveReport, Seen
from .session import run_live
from .settings import LiveSettings

__all__ = ["LiveReport", "LiveSettings", "Seen", "run_live"]
