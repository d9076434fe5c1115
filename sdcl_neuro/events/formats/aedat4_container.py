"""AEDAT 4: its header, its streams, and its packets, as far as the file is whole.

``#!AER-DAT4.0\\r\\n``, the length of a flatbuffer IOHeader (compression, position of the packet
table or -1, a description in XML), then packets: stream, length, body; then the packet table.
A recorder that was killed leaves no table and, mostly, an incomplete last packet.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.extras import need

from ..columns import Options
from ..streams import StreamInfo
from .flatbuffers import Table

MAGIC_BYTES = 14
HEADER_MAX_BYTES = 1 << 26
PACKET_MAX_BYTES = 1 << 30
"""Bytes of an unpacked packet; DV writes some ten milliseconds in each."""
COMPRESSIONS = ("none", "lz4", "lz4", "zstd", "zstd")
HOLDS = {"EVTS": "events", "FRME": "frames", "IMUS": "imu", "TRIG": "triggers"}
COPY = "copy it again"
TAIL_MEND = "copy it again, or give mend=['drop-tail'] (--mend drop-tail) to read what is whole"


@dataclass(frozen=True)
class Container:
    """An AEDAT 4 file that was looked at from its beginning to its end.

    Attributes:
        path: the file.
        compression: of every packet: ``none``, ``lz4`` or ``zstd``.
        streams: what it holds.
        begin: where the first packet begins.
        end: where the last whole packet ends.
        tail: in words, what follows that is not whole; empty if the file is.
    """

    path: Path
    compression: str
    streams: tuple[StreamInfo, ...]
    begin: int
    end: int
    tail: str = ""

    def packets(self, stream: int) -> Iterator[tuple[int, bytes]]:
        """Yield place and unpacked body of every packet of a stream.

        Raises:
            InputError: a packet that cannot be unpacked.
        """
        with self.path.open("rb") as file:
            for place, number, size in _heads(file, self.begin, self.end):
                if number == stream:
                    file.seek(place + 8)
                    yield place, self._unpacked(file.read(size), place)

    def _unpacked(self, body: bytes, place: int) -> bytes:
        try:
            return _UNPACKERS[self.compression](body)
        except EnvironmentFault:
            raise
        # lz4 raises RuntimeError, zstd its own ZstdError, both for damaged content.
        except Exception as error:
            reason = " ".join(str(error).split())[:120]
            raise InputError(f"a damaged packet at byte {place} ({reason})", hint=COPY) from None


def open_container(path: Path, options: Options) -> Container:
    """Look at the whole file's frame.

    Raises:
        InputError: a damaged header, or a truncated file whose tail may not be left out.
    """
    found = examine(path)
    if found.tail and not options.allows("drop-tail"):
        raise InputError(found.tail, hint=TAIL_MEND)
    return found


def examine(path: Path) -> Container:
    """Open as `open_container` does, whatever the state of the tail.

    Raises:
        InputError: a damaged header.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            file.seek(MAGIC_BYTES)
            (length,) = struct.unpack("<I", file.read(4))
            header = file.read(length) if length <= HEADER_MAX_BYTES else b""
            if len(header) < length or not length:
                raise struct.error("the header")
            table = Table.root(header, prefixed=False)
            compression, position = table.number(0, "i", 0), table.number(1, "q", -1)
            description = table.text(2)
        except struct.error:
            raise InputError("a damaged AEDAT 4 header", hint=COPY) from None
        if not 0 <= compression < len(COMPRESSIONS):
            raise InputError(f"AEDAT 4 compression {compression} is not known", hint="convert it")
        streams = _described(description)
        begin = MAGIC_BYTES + 4 + length
        known = {stream.number for stream in streams}
        end, fault = _whole(file, begin, size if position == -1 else min(position, size), known)
    found = Container(path, COMPRESSIONS[compression], streams, begin, end)
    if position != -1 and position > size:
        return replace(
            found, tail=f"the file is truncated: it has {size} bytes and promises {position}"
        )
    if fault:
        closed = "the recording was not closed: " if position == -1 else ""
        return replace(found, tail=f"{closed}{fault} at byte {end} of {size}")
    return found


def _whole(file: BinaryIO, begin: int, end: int, known: set[int]) -> tuple[int, str]:
    """Return where the last whole packet ends, and what is wrong with the next, if anything is."""
    place = begin
    for head, number, size in _heads(file, begin, end):
        if number not in known or not size:
            return head, "what follows is not a packet"
        if head + 8 + size > end:
            return head, "the file is truncated within a packet"
        place = head + 8 + size
    return place, "" if place == end else "the file is truncated within a packet"


def _heads(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield place, stream and length of each packet, also of one that reaches beyond `end`."""
    place = begin
    while place + 8 <= end:
        file.seek(place)
        number, size = struct.unpack("<iI", file.read(8))
        yield place, number, size
        place += 8 + size


def _described(xml: str) -> tuple[StreamInfo, ...]:
    """Return streams of the description, in the order of their numbers."""
    try:
        root = ElementTree.fromstring(xml.strip().strip("\0"))
    except ElementTree.ParseError as error:
        raise InputError(f"a damaged description of the streams ({error})", hint=COPY) from None
    streams = []
    for node in root.iterfind("./node[@name='outInfo']/node"):
        number = node.get("name", "")
        own, info = _attributes(node), _attributes(node.find("./node[@name='info']"))
        if not number.isdecimal():
            continue
        sides = [info.get(key, "") for key in ("sizeX", "sizeY")]
        size = (int(sides[0]), int(sides[1])) if all(side.isdecimal() for side in sides) else None
        kind = own.get("typeIdentifier", "?")
        streams.append(
            StreamInfo(
                int(number),
                own.get("originalOutputName") or HOLDS.get(kind, kind),
                HOLDS.get(kind, kind),
                camera=info.get("source", ""),
                size=size,
            )
        )
    return tuple(sorted(streams, key=lambda stream: stream.number))


def _attributes(node: ElementTree.Element | None) -> dict[str, str]:
    if node is None:
        return {}
    return {one.get("key", ""): one.text or "" for one in node.iterfind("./attr")}


def _lz4(body: bytes) -> bytes:
    machine = need("lz4.frame", "reading packets compressed by lz4").LZ4FrameDecompressor()
    return _complete(machine.decompress(body, max_length=PACKET_MAX_BYTES), machine.eof)


def _zstd(body: bytes) -> bytes:
    try:
        zstd = import_module("compression.zstd")  # Python 3.14 and later
    except ImportError:
        zstd = need("backports.zstd", "reading packets compressed by zstd")
    machine = zstd.ZstdDecompressor()
    return _complete(machine.decompress(body, max_length=PACKET_MAX_BYTES), machine.eof)


def _complete(unpacked: bytes, complete: bool) -> bytes:
    if not complete:
        raise ValueError("it ends early, or is larger than 1 GiB")
    return unpacked


_UNPACKERS: dict[str, Callable[[bytes], bytes]] = {"none": bytes, "lz4": _lz4, "zstd": _zstd}
