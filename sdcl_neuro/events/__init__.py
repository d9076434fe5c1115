"""Events: what they are, where they are read from, how they are simulated and encoded."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .array import EVENT_DTYPE, Events, concatenate
from .checks import MENDS, events_from
from .denoising import Denoise
from .encoding import encode
from .frames import FrameRecording, holds_both, holds_frames, open_frames
from .reading import list_streams, read_events, read_parts
from .streaming import StreamEncoder, encode_stream
from .streams import StreamInfo
from .times import EvenFrames
from .writing import write_events

if TYPE_CHECKING:
    from .pixels import SimulatorConfig as SimulatorConfig
    from .simulator import Simulator as Simulator
    from .simulator import simulate as simulate

_LAZY = {"Simulator": "simulator", "SimulatorConfig": "pixels", "simulate": "simulator"}

__all__ = [
    "EVENT_DTYPE",
    "MENDS",
    "Denoise",
    "EvenFrames",
    "Events",
    "FrameRecording",
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
    "write_events",
    *_LAZY,
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
