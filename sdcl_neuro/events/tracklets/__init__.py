"""From videos, tracks and events to tracklets: what a person Re-ID network takes."""

from .cut import cut_plan, cut_tracklets, iterate_tracklets
from .event_source import simulate_video
from .mot import Track, TrackFile, read_mot, read_tracks, write_mot
from .plan import Plan, Window, plan_chunks, plan_segments, standing_span
from .tracklet import Tracklet
from .video import Video, open_video

__all__ = [
    "Plan",
    "Track",
    "TrackFile",
    "Tracklet",
    "Video",
    "Window",
    "cut_plan",
    "cut_tracklets",
    "iterate_tracklets",
    "open_video",
    "plan_chunks",
    "plan_segments",
    "read_mot",
    "read_tracks",
    "simulate_video",
    "standing_span",
    "write_mot",
]
