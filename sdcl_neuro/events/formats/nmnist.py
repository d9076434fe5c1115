"""N-MNIST and N-Caltech101: records of five bytes, without a header."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sdcl_neuro.errors import InputError

from ..columns import Columns, Options, Size

RECORD_BYTES = 5
# Sizes of Orchard et al., Frontiers in Neuroscience 9:437 (2015): N-MNIST, then N-Caltech101.
NMNIST_SIZE, NCALTECH_SIZE = (34, 34), (240, 180)
# In that format a record at this row carries no event: it says that 2**13 us have gone by.
OVERFLOW_ROW, OVERFLOW_US = 240, 1 << 13


def read(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    """Yield the events in parts: x, y, then one bit of polarity and 23 bits of time in us.

    The size is N-MNIST's 34x34 unless `sensor` says otherwise, or the file's events lie outside.
    """
    count, rest = divmod(path.stat().st_size, RECORD_BYTES)
    if rest and not options.allows("drop-tail"):
        raise InputError(
            f"{path.stat().st_size} bytes are not a whole number of five-byte N-MNIST records",
            hint="the file is truncated or of another kind; else give mend=['drop-tail'] "
            "(--mend drop-tail)",
        )
    size: Size | None = options.sensor or (NMNIST_SIZE if _small(path, count) else None)
    overflows = 0
    for first in range(0, max(1, count), part_events):
        part = min(part_events, count - first)
        raw = np.fromfile(path, np.uint8, part * RECORD_BYTES, offset=first * RECORD_BYTES)
        record = raw.reshape(-1, RECORD_BYTES).astype(np.int64)
        t = (record[:, 2] & 127) << 16 | record[:, 3] << 8 | record[:, 4]
        overflow = record[:, 1] == OVERFLOW_ROW
        t += (np.cumsum(overflow) + overflows) * OVERFLOW_US
        overflows += int(np.count_nonzero(overflow))
        t, record = t[~overflow], record[~overflow]
        last = first + part_events >= count
        yield Columns(
            t,
            record[:, 0],
            record[:, 1],
            record[:, 2] >> 7,
            size,
            "nmnist",
            usual=NCALTECH_SIZE,
            tail=bool(rest) and last,
            off=0,
        )


def _small(path: Path, count: int) -> bool:
    """Return whether all events lie within N-MNIST's sensor."""
    records = np.memmap(path, np.uint8, mode="r", shape=(count, RECORD_BYTES)) if count else None
    if records is None:
        return True
    x, y = records[:, 0], records[:, 1]
    real = y != OVERFLOW_ROW
    return bool(((x < NMNIST_SIZE[0]) & (y < NMNIST_SIZE[1]) | ~real).all())
