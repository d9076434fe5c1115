"""Events: what they are, where they are read from, how they are simulated and encoded.

The names are imported on first use: a command line that only looks at its arguments does not wait
for the compiler that readers and encoders load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdcl_neuro.extras import attach

if TYPE_CHECKING:
    from .aligning import Estimate as Estimate
    from .aligning import estimate_alignment as estimate_alignment
    from .alignment import Alignment as Alignment
    from .alignment import read_alignment as read_alignment
    from .alignment import read_mapping as read_mapping
    from .alignment import write_alignment as write_alignment
    from .array import EVENT_DTYPE as EVENT_DTYPE
    from .array import Events as Events
    from .array import concatenate as concatenate
    from .checks import events_from as events_from
    from .columns import MENDS as MENDS
    from .columns import Columns as Columns
    from .denoising import Denoise as Denoise
    from .encoding import encode as encode
    from .frames import FrameRecording as FrameRecording
    from .frames import holds_both as holds_both
    from .frames import holds_frames as holds_frames
    from .frames import open_frames as open_frames
    from .options import ReadingOptions as ReadingOptions
    from .pixels import SimulatorConfig as SimulatorConfig
    from .reading import list_streams as list_streams
    from .reading import read_events as read_events
    from .reading import read_parts as read_parts
    from .simulator import Simulator as Simulator
    from .simulator import simulate as simulate
    from .streaming import StreamEncoder as StreamEncoder
    from .streaming import encode_stream as encode_stream
    from .streams import StreamInfo as StreamInfo
    from .times import EvenFrames as EvenFrames
    from .tracklets import Track as Track
    from .tracklets import Tracklet as Tracklet
    from .tracklets import Video as Video
    from .tracklets import cut_tracklets as cut_tracklets
    from .tracklets import open_video as open_video
    from .tracklets import read_mot as read_mot
    from .tracklets import read_tracks as read_tracks
    from .tracklets import simulate_video as simulate_video
    from .tracklets import write_mot as write_mot
    from .tracklets.detecting import BackgroundDetector as BackgroundDetector
    from .tracklets.detecting import detect_tracks as detect_tracks
    from .writing import write_events as write_events

_PUBLIC = {
    "Alignment": "alignment",
    "BackgroundDetector": "tracklets.detecting",
    "Columns": "columns",
    "concatenate": "array",
    "cut_tracklets": "tracklets",
    "Denoise": "denoising",
    "detect_tracks": "tracklets.detecting",
    "encode": "encoding",
    "encode_stream": "streaming",
    "Estimate": "aligning",
    "estimate_alignment": "aligning",
    "EvenFrames": "times",
    "EVENT_DTYPE": "array",
    "Events": "array",
    "events_from": "checks",
    "FrameRecording": "frames",
    "holds_both": "frames",
    "holds_frames": "frames",
    "list_streams": "reading",
    "MENDS": "columns",
    "open_frames": "frames",
    "open_video": "tracklets",
    "read_alignment": "alignment",
    "read_events": "reading",
    "read_mapping": "alignment",
    "read_mot": "tracklets",
    "read_parts": "reading",
    "read_tracks": "tracklets",
    "ReadingOptions": "options",
    "simulate": "simulator",
    "simulate_video": "tracklets",
    "Simulator": "simulator",
    "SimulatorConfig": "pixels",
    "StreamEncoder": "streaming",
    "StreamInfo": "streams",
    "Track": "tracklets",
    "Tracklet": "tracklets",
    "Video": "tracklets",
    "write_alignment": "alignment",
    "write_events": "writing",
    "write_mot": "tracklets",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = attach(__name__, _PUBLIC)
