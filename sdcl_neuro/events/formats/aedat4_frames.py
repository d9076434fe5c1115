"""Frames of an AEDAT 4 file: pictures of the same camera, on the events' own clock."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from ..columns import Options
from ..frames import FrameRecording, FrameStamp
from ..streams import choose_stream
from .aedat4_container import COPY, Container, open_container
from .flatbuffers import Table

# Fields of a frame: its time, start and end of the frame, start and end of the exposure, format,
# width, height, position, pixels.
TIME, EXPOSURE_START, EXPOSURE_END, FORMAT, WIDTH, HEIGHT, PIXELS = 0, 3, 4, 5, 6, 7, 10
# Formats as OpenCV numbers its 8-bit types: grey, BGR, BGRA.
CHANNELS = {0: 1, 16: 3, 24: 4}


def open_frames(path: Path, options: Options) -> FrameRecording:
    """Look at every frame of one stream, and keep their times; pictures are read when wanted.

    Raises:
        InputError: no frames, several streams of them and none chosen, or damaged content.
    """
    container = open_container(path, options)
    stream = choose_stream(container.streams, options.stream, "frames")
    stamps, size = [], stream.size
    for place, body in container.packets(stream.number):
        table = _table(body, place)
        stamps.append(_stamp(table))
        size = size or (table.number(WIDTH, "h", 0), table.number(HEIGHT, "h", 0))
    if not stamps or size is None:
        raise InputError(f"no frame in stream {stream}", hint="give a recording with frames")
    return FrameRecording(
        path=path,
        stream=stream,
        size=size,
        stamps=tuple(stamps),
        pictures=lambda: _pictures(container, stream.number, size),
        tail=container.tail,
    )


def _pictures(
    container: Container, number: int, size: tuple[int, int]
) -> Iterator[NDArray[np.uint8]]:
    for place, body in container.packets(number):
        table = _table(body, place)
        try:
            yield _rgb(table, size)
        except (struct.error, ValueError) as error:
            raise InputError(f"a damaged frame at byte {place} ({error})", hint=COPY) from None


def _table(body: bytes, place: int) -> Table:
    try:
        return Table.root(body, prefixed=True)
    except struct.error:
        raise InputError(f"a damaged packet at byte {place}", hint=COPY) from None


def _stamp(table: Table) -> FrameStamp:
    time_us = table.number(TIME, "q", 0)
    start, end = table.number(EXPOSURE_START, "q", 0), table.number(EXPOSURE_END, "q", 0)
    known = 0 < start <= end
    return FrameStamp(time_us, start if known else None, end if known else None)


def _rgb(table: Table, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the picture as RGB ``[height, width, 3]``; ValueError unless it is one of that
    size.
    """
    width, height = table.number(WIDTH, "h", 0), table.number(HEIGHT, "h", 0)
    kind = table.number(FORMAT, "b", 0)
    if kind not in CHANNELS:
        raise ValueError(f"format {kind} is not 8-bit grey, BGR or BGRA")
    channels = CHANNELS[kind]
    pixels = table.vector(PIXELS, np.dtype("u1"))
    if (width, height) != size or pixels.size != width * height * channels:
        raise ValueError(
            f"{pixels.size} bytes for {width}x{height} pixels of {channels}, expected "
            f"{size[0]}x{size[1]}"
        )
    picture = pixels.reshape(height, width, channels)
    return np.ascontiguousarray(picture[..., [0, 0, 0] if channels == 1 else [2, 1, 0]])
