"""Bytes of ROS messages, in ROS 1's serialisation and in ROS 2's CDR, with bounds checked.

ROS 1 packs fields one behind the other. CDR begins with four bytes that state the byte order and
aligns every number to its own size; strings end with a zero that their length counts.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

NS = 1_000_000_000
# x, y, seconds, nanoseconds, polarity of one event of an EventArray; in CDR two bytes of padding
# precede the seconds of every event but the first.
PACKED = {"x": 0, "y": 2, "sec": 4, "nsec": 8, "p": 12}
PADDED = {"x": 0, "y": 2, "sec": 6, "nsec": 10, "p": 14}
PACKED_BYTES, PADDED_BYTES, FIRST_BYTES = 13, 16, 14


class Cursor:
    """Reads one field after another.

    Args:
        raw: the message.
        cdr: whether it is CDR.

    Raises:
        struct.error: the message ends early (from every method).
    """

    def __init__(self, raw: bytes, *, cdr: bool) -> None:
        self.raw, self.cdr = raw, cdr
        self.origin = self.place = 4 if cdr else 0
        self.order = "<"
        if cdr:
            self.order = "<" if self._at("<B", 1) & 1 else ">"

    def number(self, form: str) -> int:
        """Return a whole number in the form of `struct`."""
        size = struct.calcsize(f"={form}")
        self._align(size)
        value = self._at(f"{self.order}{form}", self.place)
        self.place += size
        return value

    def text(self) -> str:
        """Return a string."""
        return self.bytes().rstrip(b"\0").decode("utf-8", "replace")

    def bytes(self) -> bytes:
        """Return a sequence of bytes."""
        length = self.number("I")
        if self.place + length > len(self.raw):
            raise struct.error("it ends early")
        self.place += length
        return self.raw[self.place - length : self.place]

    def header(self) -> int:
        """Return a std_msgs/Header; returns its time in nanoseconds."""
        if not self.cdr:
            self.number("I")
        seconds = self.number("i" if self.cdr else "I")
        nanoseconds = self.number("I")
        self.text()
        return seconds * NS + nanoseconds

    def events(self) -> NDArray[Any]:
        """Return a sequence of dvs_msgs/Event: fields t (nanoseconds), x, y, p."""
        count = self.number("I")
        begin, size = self.place, self._events_bytes(count)
        if begin + size > len(self.raw):
            raise struct.error("it ends early")
        self.place += size
        out = np.empty(count, [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
        if not self.cdr:
            self._fill(out, begin, PACKED, PACKED_BYTES)
        elif count:
            self._fill(out[:1], begin, PACKED, PACKED_BYTES)
            self._fill(out[1:], begin + FIRST_BYTES, PADDED, PADDED_BYTES)
        return out

    def _events_bytes(self, count: int) -> int:
        if not self.cdr:
            return PACKED_BYTES * count
        # The last event's polarity is the end: what pads the next one is not there.
        return 0 if not count else PACKED_BYTES + PADDED_BYTES * (count - 1)

    def _fill(self, out: NDArray[Any], begin: int, offsets: dict[str, int], stride: int) -> None:
        if not len(out):
            return
        kinds = {"x": "u2", "y": "u2", "sec": "u4", "nsec": "u4", "p": "u1"}
        dtype = np.dtype(
            {
                "names": list(offsets),
                "formats": [f"{self.order}{kinds[name]}" for name in offsets],
                "offsets": list(offsets.values()),
                "itemsize": stride,
            }
        )
        # The last event may lack its padding.
        part = self.raw[begin : begin + stride * len(out)].ljust(stride * len(out), b"\0")
        found = np.frombuffer(part, dtype, len(out))
        out["t"] = found["sec"].astype(np.int64) * NS + found["nsec"]
        for name in "xyp":
            out[name] = found[name]

    def _align(self, size: int) -> None:
        if self.cdr:
            self.place += -(self.place - self.origin) % size

    def _at(self, form: str, place: int) -> int:
        return int(struct.unpack_from(form, self.raw, place)[0])
