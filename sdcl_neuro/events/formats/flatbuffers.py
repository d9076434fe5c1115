"""The few parts of Google's flatbuffers that AEDAT 4 is made of, every access within bounds."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE_PREFIX = 4


class Table:
    """A table in a buffer; fields are numbered from 0 in the order of their schema.

    Args:
        buffer: the whole of it.
        start: where the table begins.

    Raises:
        struct.error: it does not lie within the buffer (also from every method).
    """

    def __init__(self, buffer: bytes, start: int) -> None:
        self.buffer, self.start = buffer, start
        self._fields = start - int(self._read("<i", start))
        self._size = int(self._read("<H", self._fields))

    @classmethod
    def root(cls, buffer: bytes, *, prefixed: bool) -> Table:
        """Return the table that a buffer holds, after its size if `prefixed`."""
        begin = SIZE_PREFIX if prefixed else 0
        (offset,) = struct.unpack_from("<I", buffer, begin)
        return cls(buffer, begin + offset)

    def number(self, field: int, form: str, default: int) -> int:
        """Return a number in the form of `struct`, or `default` where the table leaves it out."""
        place = self._place(field)
        return default if place is None else int(self._read(f"<{form}", place))

    def text(self, field: int) -> str:
        """Return a string; empty where there is none."""
        return bytes(self.vector(field, np.dtype("u1"))).decode("utf-8", "replace")

    def vector(self, field: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return a vector of numbers or structs, as a view."""
        place = self._place(field)
        if place is None:
            return np.empty(0, dtype)
        begin = place + int(self._read("<I", place))
        count = int(self._read("<I", begin))
        if begin + 4 + count * dtype.itemsize > len(self.buffer):
            raise struct.error("a vector beyond its buffer")
        return np.frombuffer(self.buffer, dtype, count, begin + 4)

    def _place(self, field: int) -> int | None:
        at = 4 + 2 * field
        if at + 2 > self._size:
            return None
        offset = int(self._read("<H", self._fields + at))
        return self.start + offset if offset else None

    def _read(self, form: str, place: int) -> Any:
        # struct takes negative places from the end, which would be another part of the buffer.
        if place < 0:
            raise struct.error("a place before the buffer")
        return struct.unpack_from(form, self.buffer, place)[0]
