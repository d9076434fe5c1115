"""From tracklets to ranked lists and reports: what `demo` and `infer` share."""

from __future__ import annotations

from .session import Session, hold_session

__all__ = ["Session", "hold_session"]
