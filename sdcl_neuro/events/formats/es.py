"""Event Stream (.es), DVS and ATIS; its rows count from below, ours from above."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sdcl_neuro.errors import InputError

from ..columns import Columns, Options

# Signature (12 bytes), version (3), kind (1: DVS, 2: ATIS), width and height.
HEADER_BYTES, KIND_AT, SIZE_AT = 20, 15, 16
KINDS = {1: "es", 2: "es-atis"}
LONGEST_EVENT_BYTES = 5


def read(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    """Yield the events in parts of at most `part_events` times five bytes."""
    from .es_kernels import decode

    with path.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES or header[KIND_AT] not in KINDS:
            raise InputError("an Event Stream of another kind than DVS and ATIS", hint="convert it")
        size = (
            int.from_bytes(header[SIZE_AT : SIZE_AT + 2], "little"),
            int.from_bytes(header[SIZE_AT + 2 : SIZE_AT + 4], "little"),
        )
        kind, rest, time_us, total, crossings = header[KIND_AT], b"", 0, 0, 0
        ended = False
        while not ended:
            block = stream.read(part_events * LONGEST_EVENT_BYTES)
            ended = not block
            body = np.frombuffer(rest + block, np.uint8)
            room = len(body) // LONGEST_EVENT_BYTES
            t, p = np.empty(room, np.int64), np.empty(room, np.uint8)
            x, y = np.empty(room, np.int32), np.empty(room, np.int32)
            count, used, time_us, left_out = decode(body, kind == 2, time_us, t, x, y, p)
            rest, crossings, total = body[used:].tobytes(), crossings + left_out, total + count
            tail = ended and bool(rest)
            if tail and not options.allows("drop-tail"):
                raise InputError(
                    "the file ends within an event",
                    hint="copy it again, or give mend=['drop-tail'] (--mend drop-tail)",
                )
            if ended and not total:
                raise InputError("a recording without events", hint="check that it is complete")
            said = f"{crossings} threshold crossings (exposure measurements) were left out"
            yield Columns(
                t[:count],
                x[:count],
                size[1] - 1 - y[:count],
                p[:count],
                size,
                KINDS[kind],
                tail=tail,
                off=0,
                notes=(said,) if ended and crossings else (),
            )
