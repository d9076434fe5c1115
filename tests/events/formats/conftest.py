"""Writers of AEDAT 4 and ROS bags, for tests: what the format's own text says, no more."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Packet = tuple[int, bytes]


def vector(rows: Any, identifier: bytes) -> bytes:
    """A flatbuffer with a size before it, whose one field is a vector of 16-byte structs."""
    import flatbuffers

    builder = flatbuffers.Builder(64)
    builder.StartVector(16, len(rows), 8)
    for t, x, y, p in reversed(rows):
        builder.Prep(8, 16)
        builder.Pad(3)
        builder.PrependBool(bool(p))
        builder.PrependInt16(y)
        builder.PrependInt16(x)
        builder.PrependInt64(t)
    elements = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, elements, 0)
    builder.FinishSizePrefixed(builder.EndObject(), file_identifier=identifier)
    return bytes(builder.Output())


def frame(time_us: int, picture: Any, *, exposure_us: int = 0, kind: int | None = None) -> bytes:
    """A frame: grey ``[H, W]``, BGR or BGRA."""
    import flatbuffers

    builder = flatbuffers.Builder(64)
    pixels = builder.CreateByteVector(np.ascontiguousarray(picture).tobytes())
    builder.StartObject(11)
    builder.PrependUOffsetTRelativeSlot(10, pixels, 0)
    builder.PrependInt64Slot(0, time_us, 0)
    if exposure_us:
        builder.PrependInt64Slot(3, time_us, 0)
        builder.PrependInt64Slot(4, time_us + exposure_us, 0)
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    builder.PrependInt8Slot(5, {1: 0, 3: 16, 4: 24}[channels] if kind is None else kind, 0)
    builder.PrependInt16Slot(6, picture.shape[1], 0)
    builder.PrependInt16Slot(7, picture.shape[0], 0)
    builder.FinishSizePrefixed(builder.EndObject(), file_identifier=b"FRME")
    return bytes(builder.Output())


def header(streams: list[tuple[str, str, str, int, int]], compression: int, table: int) -> bytes:
    """An IOHeader: streams as (identifier, name, camera, width, height)."""
    import flatbuffers

    nodes = "".join(
        f'<node name="{k}" path="/{k}/"><attr key="originalOutputName" type="string">{name}</attr>'
        f'<attr key="typeIdentifier" type="string">{kind}</attr><node name="info" path="/i/">'
        f'<attr key="sizeX" type="int">{width}</attr><attr key="sizeY" type="int">{height}</attr>'
        f'<attr key="source" type="string">{camera}</attr></node></node>'
        for k, (kind, name, camera, width, height) in enumerate(streams)
    )
    builder = flatbuffers.Builder(64)
    text = builder.CreateString(
        f'<dv version="2.0"><node name="outInfo" path="/outInfo/">{nodes}</node></dv>'
    )
    builder.StartObject(3)
    builder.PrependInt32Slot(0, compression, 0)
    builder.PrependInt64Slot(1, table, -1)
    builder.PrependUOffsetTRelativeSlot(2, text, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"IOHE")
    return bytes(builder.Output())


def write_aedat4(
    path: Path,
    streams: list[tuple[str, str, str, int, int]],
    packets: list[Packet],
    *,
    compression: int = 0,
    pack: Callable[[bytes], bytes] = bytes,
    closed: bool = False,
) -> None:
    """A recording; one that is not closed has no table of packets, as after a crash."""
    body = b"".join(
        struct.pack("<iI", number, len(packed)) + packed
        for number, packed in ((number, pack(content)) for number, content in packets)
    )
    begin = 18 + len(header(streams, compression, 1))
    table = begin + len(body) if closed else -1
    first = header(streams, compression, table)
    if not closed:
        begin = 18 + len(first)
    content = b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(first)) + first + body
    path.write_bytes(content + (b"\x04\0\0\0FTAB" if closed else b""))


@pytest.fixture(scope="session")
def aedat4() -> Any:
    """The writers of AEDAT 4."""
    pytest.importorskip("flatbuffers", reason="flatbuffers is not installed: run make again")

    class Writers:
        pass

    for one in (vector, frame, write_aedat4):
        setattr(Writers, one.__name__, staticmethod(one))
    return Writers
