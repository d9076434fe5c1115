"""How the events of a recording and the frames of a video lie to each other in time and view."""

from __future__ import annotations

from .alignment import CLOCKS, STAMPS, Alignment
from .calibration import Mapping, read_mapping
from .document import read_alignment, write_alignment
from .fitting import EventSpan, Fitted, FrameSpan, fit, view_of
from .frame_stamps import FrameStamps, read_frame_stamps
from .view import MappedView, StretchedView, View

__all__ = [
    "CLOCKS",
    "STAMPS",
    "Alignment",
    "EventSpan",
    "Fitted",
    "FrameSpan",
    "FrameStamps",
    "MappedView",
    "Mapping",
    "StretchedView",
    "View",
    "fit",
    "read_alignment",
    "read_frame_stamps",
    "read_mapping",
    "view_of",
    "write_alignment",
]
