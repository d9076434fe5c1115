"""ROS bags of both versions, opened by `rosbags`: every topic of events is a stream.

Read are dvs_msgs/EventArray and prophesee_event_msgs/EventArray, whose stamps are nanoseconds, and
event_camera_msgs/EventPacket in its encodings ``evt3`` and ``evt2``, on the camera's own clock.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, SdclNeuroError
from sdcl_neuro.extras import need

from ..columns import Columns, Options, Size
from ..streams import StreamInfo, choose_stream
from .evt import EvtDecoder
from .ros_messages import Cursor

EVENT_ARRAYS = ("dvs_msgs/msg/EventArray", "prophesee_event_msgs/msg/EventArray")
EVENT_PACKETS = ("event_camera_msgs/msg/EventPacket",)
IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
ENCODINGS = {"evt3": "<u2", "evt2": "<u4"}
NANOSECOND_US = 1e-3


def streams(path: Path) -> tuple[StreamInfo, ...]:
    """Return every topic, those of events and of images under these names; see `table`."""
    with opened(path) as (reader, _):
        return topics(reader)


def topics(reader: Any) -> tuple[StreamInfo, ...]:
    """Return topics of an open bag in the order of their names."""
    kinds = dict.fromkeys((*EVENT_ARRAYS, *EVENT_PACKETS), "events")
    kinds |= dict.fromkeys(IMAGES, "frames")
    found = sorted({(one.topic, one.msgtype) for one in reader.connections})
    return tuple(
        StreamInfo(k, topic, kinds.get(kind, kind), camera=_camera(topic))
        for k, (topic, kind) in enumerate(found)
    )


def _camera(topic: str) -> str:
    """Return a topic's namespace: frames and events of a DAVIS share it."""
    return topic.rpartition("/")[0].strip("/")


def read(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    """Yield the events of one topic in parts of about `part_events`; see `table`."""
    with opened(path) as (reader, cdr):
        stream = choose_stream(topics(reader), options.stream, "events")
        held: list[Columns] = []
        size: Size | None = None
        decoder: EvtDecoder | None = None
        waiting = seen = 0
        for kind, raw in messages(reader, stream.name):
            cursor = Cursor(raw, cdr=cdr)
            try:
                if kind in EVENT_PACKETS:
                    part, size, decoder = _packet(cursor, decoder)
                else:
                    part, size = _array(cursor)
            except struct.error as error:
                raise InputError(f"a damaged message of {stream.name} ({error})") from None
            held.append(part)
            waiting += len(part.t)
            if waiting >= part_events:
                yield _merged(held, size)
                seen, held, waiting = seen + waiting, [], 0
        if not seen + waiting:
            raise InputError("a recording without events", hint="check that it is complete")
        notes = decoder.notes() if decoder is not None else ()
        yield replace(_merged(held, size), notes=notes)


def _array(cursor: Cursor) -> tuple[Columns, Size]:
    """Return the events of an EventArray."""
    cursor.header()
    height, width = cursor.number("I"), cursor.number("I")
    found = cursor.events()
    t, x, y, p = (found[name] for name in "txyp")
    return Columns(t, x, y, p, None, "rosbag", NANOSECOND_US, off=0), (width, height)


def _packet(cursor: Cursor, decoder: EvtDecoder | None) -> tuple[Columns, Size, EvtDecoder]:
    """Return the events of an EventPacket; the decoder goes on where the packet before ended."""
    cursor.header()
    height, width = cursor.number("I"), cursor.number("I")
    cursor.number("Q")  # its sequence number
    cursor.number("Q")  # a base of time that EVT does not use
    encoding = cursor.text()
    cursor.number("B")
    if encoding not in ENCODINGS:
        raise InputError(
            f"event packets encoded as {encoding!r}", hint="record evt3 or evt2, or convert the bag"
        )
    decoder = decoder or EvtDecoder(encoding)
    body = cursor.bytes()
    words: NDArray[Any] = np.frombuffer(
        body, ENCODINGS[encoding], len(body) // np.dtype(ENCODINGS[encoding]).itemsize
    )
    part = replace(decoder.decode(words), source=f"rosbag-{encoding}")
    return part, (width, height), decoder


def _merged(held: list[Columns], size: Size | None) -> Columns:
    if not held:
        none = np.empty(0, np.int64)
        return Columns(none, none, none, none, size, "rosbag", off=0)
    t, x, y, p = (np.concatenate([getattr(one, name) for one in held]) for name in "txyp")
    return replace(held[0], t=t, x=x, y=y, p=p, size=size)


def messages(reader: Any, topic: str) -> Iterator[tuple[str, bytes]]:
    """Yield type and bytes of each message of a topic, in the bag's order."""
    chosen = [one for one in reader.connections if one.topic == topic]
    for connection, _, raw in reader.messages(connections=chosen):
        yield connection.msgtype, bytes(raw)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, bool]]:
    """Yield an open bag, and whether its messages are CDR.

    Raises:
        EnvironmentFault: `rosbags` is not installed.
        InputError: a damaged bag.
    """
    version_1 = path.is_file() and _begin(path).startswith(b"#ROSBAG")
    module = need("rosbags.rosbag1" if version_1 else "rosbags.rosbag2", "reading a ROS bag")
    try:
        with nullcontext() if version_1 else _tables_alone(), module.Reader(path) as reader:
            yield reader, not version_1
    except SdclNeuroError:
        raise
    # rosbags raises errors of its own and of sqlite, lz4 and zstd.
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise InputError(
            f"a damaged or unfinished ROS bag ({reason})",
            hint="copy it again; a bag that was not closed is completed by 'rosbag reindex' or "
            "'ros2 bag reindex'",
        ) from None


@contextmanager
def _tables_alone() -> Iterator[None]:
    """Let SQLite files opened in this block give tables alone; a view may have rows without end."""
    apsw = need("apsw", "reading a ROS 2 bag")

    def denied(action: int, one: Any, two: Any, database: Any, view: str | None) -> int:
        return int(apsw.SQLITE_OK if view is None else apsw.SQLITE_DENY)

    def guarded(connection: Any) -> None:
        connection.set_authorizer(denied)

    apsw.connection_hooks.append(guarded)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(guarded)


def _begin(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(8)
