"""Events: what they are, where they are read from, how they are simulated and encoded.

The names are imported on first use: a command line that only looks at its arguments does not wait
for the compiler that readers and encoders load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .array import EVENT_DTYPE as EVENT_DTYPE
    from .array import Events as Events
    from .array import concatenate as concatenate
    from .checks import MENDS as MENDS
    from .checks import events_from as events_from
    from .denoising import Denoise as Denoise
    from .encoding import encode as encode
    from .frames import FrameRecording as FrameRecording
    from .frames import holds_both as holds_both
    from .frames import holds_frames as holds_frames
    from .frames import open_frames as open_frames
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
    from .writing import write_events as write_events

_LAZY = {
    "Denoise": "denoising",
    "EVENT_DTYPE": "array",
    "EvenFrames": "times",
    "Events": "array",
    "FrameRecording": "frames",
    "MENDS": "checks",
    "Simulator": "simulator",
    "SimulatorConfig": "pixels",
    "StreamEncoder": "streaming",
    "StreamInfo": "streams",
    "concatenate": "array",
    "encode": "encoding",
    "encode_stream": "streaming",
    "events_from": "checks",
    "holds_both": "frames",
    "holds_frames": "frames",
    "list_streams": "reading",
    "open_frames": "frames",
    "read_events": "reading",
    "read_parts": "reading",
    "simulate": "simulator",
    "write_events": "writing",
}

__all__ = [
    "EVENT_DTYPE",
    "MENDS",
    "Denoise",
    "EvenFrames",
    "Events",
    "FrameRecording",
    "Simulator",
    "SimulatorConfig",
    "StreamEncoder",
    "StreamInfo",
    "concatenate",
    "encode",
    "encode_stream",
    "events_from",
    "holds_both",
    "holds_frames",
    "list_streams",
    "open_frames",
    "read_events",
    "read_parts",
    "simulate",
    "write_events",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
