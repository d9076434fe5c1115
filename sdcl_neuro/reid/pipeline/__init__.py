"""From tracklets to ranked lists and reports: what `demo` and `infer` share."""

from __future__ import annotations

from .session import Session, event_backend, hold_session

__all__ = ["Session", "event_backend", "hold_session"]
