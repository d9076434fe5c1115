"""Data sets of persons seen by cameras: tracklets by number, split, loaded on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdcl_neuro.extras import attach

from .clip import Clip, pick_frames
from .index import DataSet, Labels, describe, labels, tracklets

if TYPE_CHECKING:
    from .cache import cache_events as cache_events
    from .cache import with_cached_events as with_cached_events
    from .degradations import degrade as degrade
    from .degradations import degrade_tracklet as degrade_tracklet
    from .degraded import Degraded as Degraded
    from .event_reid import EventReid as EventReid
    from .event_reid import leave_persons_out as leave_persons_out
    from .event_reid import read_event_reid as read_event_reid
    from .folder import FolderData as FolderData
    from .generated import Generated as Generated
    from .generated import GeneratedConfig as GeneratedConfig
    from .in_memory import TrackletsInMemory as TrackletsInMemory
    from .in_memory import hold_segments as hold_segments
    from .mars import read_mars as read_mars
    from .mars import read_mars_tables as read_mars_tables
    from .pairing import EventFiles as EventFiles
    from .rendered_on_disk import RenderedOnDisk as RenderedOnDisk
    from .sheet import contact_sheet as contact_sheet
    from .two_cameras import read_ilidsvid as read_ilidsvid
    from .two_cameras import read_prid2011 as read_prid2011

_PUBLIC = {
    "Degraded": "degraded",
    "FolderData": "folder",
    "EventFiles": "pairing",
    "EventReid": "event_reid",
    "cache_events": "cache",
    "TrackletsInMemory": "in_memory",
    "RenderedOnDisk": "rendered_on_disk",
    "hold_segments": "in_memory",
    "leave_persons_out": "event_reid",
    "read_event_reid": "event_reid",
    "read_ilidsvid": "two_cameras",
    "read_mars": "mars",
    "read_mars_tables": "mars",
    "read_prid2011": "two_cameras",
    "with_cached_events": "cache",
    "Generated": "generated",
    "GeneratedConfig": "generated",
    "contact_sheet": "sheet",
    "degrade": "degradations",
    "degrade_tracklet": "degradations",
}

__all__ = [
    "Clip",
    "DataSet",
    "Labels",
    "describe",
    "labels",
    "pick_frames",
    "tracklets",
    *_PUBLIC,
]

_RENAMED = {"Held": "TrackletsInMemory", "Kept": "RenderedOnDisk"}
__getattr__, __dir__ = attach(__name__, _PUBLIC, renamed=_RENAMED)
