"""AEDAT 4: the frame of the file, checked here; and the child process that lets faery decode it.

Run as a script, ``aedat4.py FILE OUT BYTES`` writes the events to OUT and says on standard output
how to read them, within BYTES of address space. It imports nothing of this package.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

# "#!AER-DAT4.0\r\n", then the length of a flatbuffer IOHeader, then packets: stream, length, body;
# then the table of packets, at the position that the IOHeader gives (-1: the file has none).
MAGIC_BYTES = 14
HEADER_MAX_BYTES = 1 << 26
TABLE_FIELD = 1


def check_frames(path: Path) -> None:
    """Raise InputError unless the packets fill the file up to its table of packets."""
    from sdcl_neuro.errors import InputError

    size = path.stat().st_size
    with path.open("rb") as stream:
        try:
            stream.seek(MAGIC_BYTES)
            (length,) = struct.unpack("<I", stream.read(4))
            header = stream.read(length) if length <= HEADER_MAX_BYTES else b""
            end = _table_position(header)
            place = MAGIC_BYTES + 4 + length
            end = size if end == -1 else end
            while place < end <= size:
                stream.seek(place)
                _, body = struct.unpack("<iI", stream.read(8))
                place += 8 + body
        except struct.error:
            raise InputError("a damaged AEDAT 4 header or packet", mend="copy it again") from None
    if end > size or place > size:
        raise InputError(
            f"the file is truncated: it has {size} bytes and promises {max(end, place)}",
            mend="copy it again",
        )
    if place != end:
        raise InputError("its packets do not fill the file", mend="copy it again")


def _table_position(header: bytes) -> int:
    """Field `TABLE_FIELD` of a flatbuffer's root table; struct.error if it is damaged."""
    (root,) = struct.unpack_from("<I", header)
    (back,) = struct.unpack_from("<i", header, root)
    table = root - back
    if table < 0:
        raise struct.error("a table before the buffer")
    (size,) = struct.unpack_from("<H", header, table)
    if size < 6 + 2 * TABLE_FIELD:
        return -1
    (offset,) = struct.unpack_from("<H", header, table + 4 + 2 * TABLE_FIELD)
    if not offset:
        return -1
    (position,) = struct.unpack_from("<q", header, root + offset)
    return int(position)


def decode_to(path: str, out: str) -> dict[str, object]:
    """Write the events of the first event stream to `out`; return their type and the size."""
    import faery
    import numpy as np

    # Fields without faery's titles, which JSON and NumPy's plain form have no place for.
    plain = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
    stream = faery.file_decoder.Decoder(path, file_type="aedat", time_range_cache=None)
    with Path(out).open("wb") as target:
        for part in stream:
            array = np.empty(len(part), plain)
            for name in plain.fields or ():
                array[name] = part[name]
            array.tofile(target)
    width, height = stream.dimensions()
    return {"dtype": plain.descr, "width": int(width), "height": int(height)}


def _child(path: str, out: str, limit_bytes: str) -> int:
    import json
    import resource

    limit = int(limit_bytes)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        print(json.dumps(decode_to(path, out)))
    # Also Rust's panics, which do not derive from Exception.
    except BaseException as error:
        print(" ".join(str(error).split())[:160] or type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_child(*sys.argv[1:]))
