"""A guard against files on which the HDF5 library itself never returns.

Texts of variable length stand in global heap collections. HDF5 (seen in 2.0.0) walks the objects
of one by their sizes and, where a damaged file has an object of size zero in the place of the
free space, stays there, beyond the reach of Python's signals.

Layout of a collection (HDF5 File Format Specification 3.0, III.E): ``GCOL``, version 1, three
zero bytes, its size in 8 bytes; then objects: index 2, count 2, reserved 4, size 8 bytes, data
padded to 8. Index 0 is the free space, and its size includes its header.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from sdcl_neuro.errors import InputError

_HEAD = b"GCOL\x01\x00\x00\x00"
_OBJECT = struct.Struct("<HHIQ")


def check_heaps(path: Path) -> None:
    """Raise InputError if a heap collection of the file would be walked without end."""
    if not path.stat().st_size:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = data.find(_HEAD)
        while place >= 0:
            if not _ends(data, place):
                raise InputError(
                    f"its text heap at byte {place} is damaged",
                    where=str(path),
                    hint="write the file again",
                )
            place = data.find(_HEAD, place + 1)


def _ends(data: mmap.mmap, start: int) -> bool:
    """Return whether walking a collection comes to its end, or to that of the file."""
    position = start + len(_HEAD)
    if position + 8 > len(data):
        return True
    end = min(start + int.from_bytes(data[position : position + 8], "little"), len(data))
    position += 8
    while position + _OBJECT.size <= end:
        index, _, _, size = _OBJECT.unpack_from(data, position)
        step = size if index == 0 else _OBJECT.size + (size + 7) // 8 * 8
        # The library counts in 64 bits: a step beyond the collection may wrap to none at all.
        if not 0 < step <= end - position:
            return False
        position += step
    return True
