"""A gallery for use: tracklets enrolled in a file or a database, searched exactly."""

from __future__ import annotations

from .contract import AuditEntry
from .entries import Enrolled, Enrolment, Entry, Hit, Where
from .gallery import Gallery

__all__ = ["AuditEntry", "Enrolled", "Enrolment", "Entry", "Gallery", "Hit", "Where"]
