"""What Prophesee's text headers say, and whether a body of fixed records is whole."""

from __future__ import annotations

import re
from pathlib import Path

from sdcl_neuro.errors import InputError

from ..columns import Options, Size

HEADER_MAX_BYTES = 1 << 16


def percent_header(path: Path) -> bytes:
    """Return the lines at the top that begin with a percent sign, up to and with ``% end``."""
    header = b""
    with path.open("rb") as stream:
        while len(header) < HEADER_MAX_BYTES and stream.peek(2)[:2] == b"% ":
            line = stream.readline(HEADER_MAX_BYTES)
            header += line
            if line.strip() == b"% end":
                break
    return header


def stated_size(header: bytes) -> Size | None:
    """Return width and height, as ``geometry 640x480``, ``width=640`` or ``Width 640``."""
    found = re.search(rb"^% geometry (\d{1,5})x(\d{1,5})\s*$", header, re.MULTILINE)
    if found:
        return int(found.group(1)), int(found.group(2))
    sides = [
        re.search(rb"^%% (?:.*;)?%s[ =](\d{1,5})\s*(?:;|$)" % side, header, re.M | re.I)
        for side in (b"width", b"height")
    ]
    return (int(sides[0].group(1)), int(sides[1].group(1))) if sides[0] and sides[1] else None


def body_records(path: Path, start: int, record: int, options: Options) -> tuple[int, bool]:
    """Return number of whole records after the header, and whether the file ends within one.

    Raises:
        InputError: nothing after the header, or an end within a record that may not be mended.
    """
    body = path.stat().st_size - start
    if body <= 0:
        raise InputError("no events after the header", hint="copy it again")
    tail = body % record > 0
    if tail and not options.allows("drop-tail"):
        raise InputError(
            f"{body} bytes after the header are not a whole number of {record}-byte records",
            hint="the file is truncated: copy it again, or give mend=['drop-tail'] "
            "(--mend drop-tail)",
        )
    return body // record, tail
