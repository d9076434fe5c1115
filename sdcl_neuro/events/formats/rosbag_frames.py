"""Frames of a ROS bag: sensor_msgs/Image and CompressedImage, by the stamps of their headers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import need

from ..columns import Options
from ..frames import FrameRecording, FrameStamp
from ..streams import choose_stream
from .ros_messages import Cursor
from .rosbag import messages, opened, topics

COMPRESSED = "sensor_msgs/msg/CompressedImage"
# Encodings of 8 bits a channel, and where red, green and blue are in them.
CHANNELS = {
    "mono8": (0, 0, 0),
    "8UC1": (0, 0, 0),
    "rgb8": (0, 1, 2),
    "bgr8": (2, 1, 0),
    "8UC3": (2, 1, 0),
    "rgba8": (0, 1, 2, 3),
    "bgra8": (2, 1, 0, 3),
}
MICROSECOND_NS = 1000


def open_frames(path: Path, options: Options) -> FrameRecording:
    """Look at every image of one topic, and keep their times; pictures are read when wanted.

    Raises:
        InputError: no images, several topics of them and none chosen, or damaged content.
    """
    with opened(path) as (reader, cdr):
        stream = choose_stream(topics(reader), options.stream, "frames")
        stamps, size = [], None
        for kind, raw in messages(reader, stream.name):
            time_ns = Cursor(raw, cdr=cdr).header()
            stamps.append(FrameStamp((time_ns + MICROSECOND_NS // 2) // MICROSECOND_NS))
            size = size or _picture(kind, raw, cdr=cdr).shape[1::-1]
    if size is None:
        raise InputError(f"no image of topic {stream.name}", hint="choose another with --stream")
    return FrameRecording(
        path=path,
        stream=stream,
        size=(int(size[0]), int(size[1])),
        stamps=tuple(stamps),
        pictures=lambda: _pictures(path, stream.name),
    )


def _pictures(path: Path, topic: str) -> Iterator[NDArray[np.uint8]]:
    with opened(path) as (reader, cdr):
        for kind, raw in messages(reader, topic):
            yield _picture(kind, raw, cdr=cdr)


def _picture(kind: str, raw: bytes, *, cdr: bool) -> NDArray[np.uint8]:
    """Return RGB ``[height, width, 3]``."""
    try:
        cursor = Cursor(raw, cdr=cdr)
        cursor.header()
        return _decoded(cursor) if kind == COMPRESSED else _raw(cursor)
    except (struct.error, ValueError) as error:
        raise InputError(f"a damaged image ({error})", hint="copy the bag again") from None


def _decoded(cursor: Cursor) -> NDArray[np.uint8]:
    cv2 = need("cv2", "reading compressed frames")

    cursor.text()
    picture = cv2.imdecode(np.frombuffer(cursor.bytes(), np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("it cannot be decoded")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _raw(cursor: Cursor) -> NDArray[np.uint8]:
    height, width = cursor.number("I"), cursor.number("I")
    encoding = cursor.text()
    cursor.number("B")
    step = cursor.number("I")
    data = np.frombuffer(cursor.bytes(), np.uint8)
    if encoding not in CHANNELS:
        raise InputError(
            f"images encoded as {encoding!r}", hint=f"record one of {', '.join(CHANNELS)}"
        )
    places = CHANNELS[encoding]
    channels = max(places) + 1
    if data.size < step * height or step < width * channels:
        raise ValueError(f"{data.size} bytes for {height} rows of {step}")
    rows = data[: step * height].reshape(height, step)[:, : width * channels]
    return np.ascontiguousarray(rows.reshape(height, width, channels)[..., list(places[:3])])
