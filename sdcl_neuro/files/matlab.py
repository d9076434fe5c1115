"""MATLAB's level 5 files, their tags walked before SciPy allocates what they claim.

Layout (MAT-File Format, MathWorks, R2022a, chapter 1): a header of 128 bytes; elements of a tag,
type and size in 4 bytes each, and data padded to 8; a matrix (type 14) holds elements; a
compressed one (type 15) holds one element as a zlib stream. A tag whose upper two bytes are not
zero holds its data itself, in 4 bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from sdcl_neuro.errors import InputError

from .reading import claim_limit, regular_file

HEADER_BYTES, TAG_BYTES = 128, 8
MATRIX, COMPRESSED = 14, 15
MAX_DEPTH = 16
ORDERS = {b"IM": "<", b"MI": ">"}


def check_matlab(path: Path) -> None:
    """See that every element of a file lies within the one around it, and unpacks within bounds.

    Raises:
        InputError: a damaged or truncated file, nesting beyond `MAX_DEPTH`, or too much inside;
            `where` is the file.
    """
    regular_file(path, what="a .mat file")
    left = claim_limit(path)
    with path.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
        order = ORDERS.get(header[126:128])
        if len(header) < HEADER_BYTES or order is None:
            raise _wrong(path, "a damaged .mat header")
        there = path.stat().st_size - HEADER_BYTES
        while len(tag := stream.read(TAG_BYTES)) == TAG_BYTES:
            kind, size = struct.unpack(f"{order}II", tag)
            there -= TAG_BYTES
            if size > there:
                raise _wrong(path, "the file is truncated")
            there -= size
            if kind == COMPRESSED:
                body = _inflated(path, stream.read(size), left)
            elif size > left:
                raise _large(path)
            else:
                body = tag + stream.read(size)
            left -= len(body)
            _walk(path, memoryview(body), order, 0)


def _walk(path: Path, body: memoryview, order: str, depth: int) -> None:
    """Check the elements within a matrix, whose own tag `body` begins with."""
    if depth > MAX_DEPTH:
        raise _wrong(path, f"a .mat file nested deeper than {MAX_DEPTH}")
    if len(body) < TAG_BYTES:
        raise _wrong(path, "a damaged .mat file (an element without a tag)")
    kind, size = struct.unpack_from(f"{order}II", body)
    if size > len(body) - TAG_BYTES:
        raise _wrong(
            path, f"a damaged .mat file (an element of {size:,} bytes in one of {len(body):,})"
        )
    if kind != MATRIX:
        return
    for start, stop in _elements(path, body[TAG_BYTES : TAG_BYTES + size], order):
        inner = body[TAG_BYTES + start : TAG_BYTES + stop]
        if struct.unpack_from(f"{order}I", inner)[0] == MATRIX:
            _walk(path, inner, order, depth + 1)


def _elements(path: Path, body: memoryview, order: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each element of a matrix's data."""
    place = 0
    while place + TAG_BYTES <= len(body):
        kind, size = struct.unpack_from(f"{order}II", body, place)
        if kind >> 16:  # the data lie in the tag itself
            if kind >> 16 > 4:
                raise _wrong(path, "a damaged .mat file (a small element of more than 4 bytes)")
            step = TAG_BYTES
        else:
            step = TAG_BYTES + -(-size // 8) * 8
        if kind >> 16 == 0 and size > len(body) - place - TAG_BYTES:
            raise _wrong(
                path, f"a damaged .mat file (an element of {size:,} bytes in one of {len(body):,})"
            )
        yield place, min(place + step, len(body))
        place += step


def _inflated(path: Path, body: bytes, limit: int) -> bytes:
    machine = zlib.decompressobj()
    try:
        found = machine.decompress(body, limit + 1)
    except zlib.error as error:
        raise _wrong(path, f"a damaged .mat file ({error})") from None
    if len(found) > limit:
        raise _large(path)
    return found


def _large(path: Path) -> InputError:
    limit = claim_limit(path) >> 20
    return InputError(
        f"it unpacks to more than {limit:,} MiB",
        where=str(path),
        hint="check where it comes from; SDCL_NEURO_MAX_INPUT_GIB=N in the environment allows more",
    )


def _wrong(path: Path, what: str) -> InputError:
    return InputError(what, where=str(path), hint="copy it again")
