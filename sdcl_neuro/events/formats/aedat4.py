"""AEDAT 4 events; its frames are in `aedat4_frames`.

Decoded here: faery takes the first event stream without a word and aborts its process on some
damaged files, and `aedat` gives up at the first packet that is not whole. Tests compare with both
and with dv-processing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from ..columns import Columns, Options
from ..streams import StreamInfo, choose_stream
from .aedat4_container import COPY, examine, open_container
from .flatbuffers import Table

# An event as a flatbuffer struct: 16 bytes, the last three of them without a meaning.
EVENT = np.dtype(
    {
        "names": ["t", "x", "y", "p"],
        "formats": ["<i8", "<i2", "<i2", "u1"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)


def streams(path: Path) -> tuple[StreamInfo, ...]:
    """Return everything that was recorded; see `table`."""
    return examine(path).streams


def read(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    """Yield the events of one stream in parts of about `part_events`; see `table`."""
    container = open_container(path, options)
    stream = choose_stream(container.streams, options.stream, "events")
    held: list[NDArray[np.void]] = []
    count, tail, seen = 0, bool(container.tail), 0
    for place, body in container.packets(stream.number):
        held.append(_events(body, place))
        count += len(held[-1])
        if count >= part_events:
            yield _columns(held, stream, tail=False)
            seen, held, count = seen + count, [], 0
    if not seen and not count:
        raise InputError("a recording without events", hint="check that it is complete")
    yield _columns(held, stream, tail=tail)


def _events(body: bytes, place: int) -> NDArray[np.void]:
    try:
        return Table.root(body, prefixed=True).vector(0, EVENT)
    except struct.error:
        raise InputError(f"a damaged packet at byte {place}", hint=COPY) from None


def _columns(held: list[NDArray[np.void]], stream: StreamInfo, *, tail: bool) -> Columns:
    array = np.concatenate(held) if held else np.empty(0, EVENT)
    x, y = array["x"], array["y"]
    return Columns(array["t"], x, y, array["p"], stream.size, "aedat4", tail=tail, off=0)
