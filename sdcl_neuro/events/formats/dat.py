"""DAT, Prophesee's older files: ``cd`` events, and the ``2d`` events of N-Cars."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of

from ..columns import Columns, Options
from .headers import body_records, percent_header, stated_size

RECORD_BYTES = 8
KIND_2D, KIND_CD = 0x00, 0x0C
# Version 2: 14 bits of x, 14 of y, 4 of polarity, from the low end.
Y_SHIFT, P_SHIFT, ADDRESS_MASK = 14, 28, (1 << 14) - 1
TIME_BITS = 32
# A step back of up to four minutes and a half is one; a longer one is the clock wrapping.
BACK_US = 1 << 28
N_CARS = (120, 100)


def read(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    """Yield the events in parts of `part_events`; times continue where their 32 bits wrap."""
    from .evt_kernels import STATE_SIZE, WRAPS, unwrap_times

    header = percent_header(path)
    kind = _kind(path, header)
    start = len(header) + 2
    count, tail = body_records(path, start, RECORD_BYTES, options)
    size, state = stated_size(header), np.zeros(STATE_SIZE, np.int64)
    name, usual = ("dat-2d", N_CARS) if kind == KIND_2D else ("dat", None)
    if not count:
        raise InputError("a recording without events", hint="check that it is complete")
    for first in range(0, count, part_events):
        raw: NDArray[np.uint32] = np.fromfile(
            path, "<u4", 2 * min(part_events, count - first), offset=start + first * RECORD_BYTES
        )
        stamps, word = raw[0::2], raw[1::2]
        t = np.empty(len(stamps), np.int64)
        unwrap_times(stamps, state, TIME_BITS, BACK_US, t)
        last = first + part_events >= count
        wraps = int(state[WRAPS])
        notes = (f"the 32-bit clock wrapped {number_of(wraps, 'time')}",) if last and wraps else ()
        yield Columns(
            t,
            word & ADDRESS_MASK,
            word >> Y_SHIFT & ADDRESS_MASK,
            word >> P_SHIFT,
            size,
            name,
            usual=usual,
            tail=tail and last,
            off=0,
            notes=notes,
        )


def _kind(path: Path, header: bytes) -> int:
    version = re.search(rb"^% Version (\d+)", header, re.MULTILINE)
    if version and version.group(1) != b"2":
        raise InputError(
            f"DAT version {version.group(1).decode()} is not read", hint="convert it to version 2"
        )
    with path.open("rb") as stream:
        stream.seek(len(header))
        kind = stream.read(2)
    if len(kind) < 2 or kind[0] not in (KIND_2D, KIND_CD) or kind[1] != RECORD_BYTES:
        raise InputError(
            f"DAT records of kind {kind.hex(' ') or 'none'}",
            hint="give DAT files of 2d (00 08) or cd (0c 08) events",
        )
    return kind[0]
