"""What an HDF5 data set would take to read, looked at before anything of it is read."""

from __future__ import annotations

import zlib
from math import prod
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError

from .reading import check_claim

MAX_CHUNK_BYTES = 256 << 20
"""The library reads whole chunks, so larger ones cannot be read in bounded memory."""
SUSPECT_BYTES = 256 << 10
"""Stored size from which a compressed chunk is looked into: deflate unpacks to at most 1,032 times
as much (zlib, Technical Details), and the library lets it, whatever the chunk declares."""
DEFLATE = 1


def check_dataset(path: Path, data: Any, *, whole: bool, before: int = 0) -> int:
    """See that a data set can be read from this very file, in bounded memory.

    Args:
        path: of the file.
        data: an `h5py.Dataset`.
        whole: whether it is read whole, else in parts.
        before: bytes that were declared by what was read before.

    Returns:
        `before`, and the bytes of this data set if it is read whole.

    Raises:
        InputError: its bytes lie in other files, or it declares too much.
    """
    where = f"{path}, {data.name}"
    if data.shape is None:
        raise InputError("an empty data set", where=where, hint="write the file again")
    if data.is_virtual or data.external:
        raise InputError(
            "keeps its data in another file", where=where, hint="store the data in this one"
        )
    chunk = prod(data.chunks or (0,)) * data.dtype.itemsize
    if chunk > MAX_CHUNK_BYTES:
        raise InputError(
            f"chunks of {chunk >> 20} MiB",
            where=where,
            hint=f"write it in chunks of at most {MAX_CHUNK_BYTES >> 20} MiB",
        )
    claimed = prod(data.shape) * data.dtype.itemsize
    if whole:
        check_claim(path, before + claimed, "data", where=where)
    elif data.id.get_storage_size() == 0:
        # Nothing is stored: what would be read are fill values without end.
        check_claim(path, claimed, "data, none of it stored", where=where)
    _check_inflated(data, chunk, where)
    return before + claimed if whole else before


def _check_inflated(data: Any, chunk: int, where: str) -> None:
    """Refuse chunks that unpack to more than they declare."""
    if not chunk or DEFLATE not in _filters(data):
        return
    suspects: list[tuple[int, ...]] = []

    def look(found: Any) -> None:
        if found.size > SUSPECT_BYTES and found.size * 1032 > 2 * MAX_CHUNK_BYTES:
            suspects.append(found.chunk_offset)

    data.id.chunk_iter(look)
    for place in suspects:
        _, stored = data.id.read_direct_chunk(place)
        if len(stored) > chunk + (chunk >> 3) + 1024 or _unpacks_beyond(stored, chunk):
            raise InputError(
                f"its chunk at {place} unpacks to more than the {chunk:,} bytes of a chunk",
                where=where,
                hint="check where it comes from",
            )


def _unpacks_beyond(stored: bytes, chunk: int) -> bool:
    """Return whether a deflated chunk grows beyond its declared size; what is not deflate does
    not.
    """
    machine = zlib.decompressobj()
    try:
        # A checksum filter below may add a few bytes.
        return len(machine.decompress(stored, chunk + 65)) > chunk + 64
    except zlib.error:
        return False


def _filters(data: Any) -> list[int]:
    plist = data.id.get_create_plist()
    return [int(plist.get_filter(k)[0]) for k in range(plist.get_nfilters())]
