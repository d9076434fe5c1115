"""A gallery for use: tracklets enrolled in one SQLite file, searched exactly, safe from a kill."""

from __future__ import annotations

from .entries import Enrolled, Enrolment, Entry, Hit, Where
from .gallery import Gallery

__all__ = ["Enrolled", "Enrolment", "Entry", "Gallery", "Hit", "Where"]
