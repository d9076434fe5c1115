"""Text: one event a line, four numbers, or more where a first line names them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from ..columns import MAX_EVENTS, Columns, Options, Size
from .names import ORDER, by_meaning, meaning
from .table import UTF8_MARK

LINE_BYTES = 32
"""About so many bytes a line has; blocks are read by it."""
LINE_MAX_BYTES = 1 << 16
LINES_MEND = "give lines of four numbers, t x y p, or a first line that names the columns"


@dataclass(frozen=True)
class TextLayout:
    """What the first lines say.

    Attributes:
        order: t, x, y, p in the order of the file, if its columns have no names.
        places: of each column, its place in `ORDER`, or -1.
        unit_us: of t, if its name says.
        size: of the sensor, if a line says.
        skip: bytes before the first event.
        lines: lines before the first event.
        notes: what is left out.
    """

    order: str
    places: tuple[int, ...]
    unit_us: float | None
    size: Size | None
    skip: int
    lines: int
    notes: tuple[str, ...] = ()


def read(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    """Yield the events in parts; blanks, commas or semicolons split, # and % begin remarks.

    The first line may name the columns (``t,x,y,p``, ``timestamp [us]; x; y; polarity``) or give
    the sensor's width and height; a byte order mark is passed over.
    """
    layout = _layout(path, options)
    lines, rest, total, ended = layout.lines, b"", 0, False
    with path.open("rb") as stream:
        stream.seek(layout.skip)
        while not ended:
            block = stream.read(max(LINE_MAX_BYTES, part_events * LINE_BYTES))
            ended = not block
            body = rest + block
            # At its end the last line may lack its own.
            whole = len(body) if ended else body.rfind(b"\n") + 1
            rest = body[whole:]
            if len(rest) > LINE_MAX_BYTES:
                raise InputError(
                    f"line {lines + 1} has more than {LINE_MAX_BYTES} bytes", hint=LINES_MEND
                )
            part, lines, tail = _parsed(body[:whole], layout, options, lines, ended)
            total += len(part[0])
            if total > MAX_EVENTS and ended and total == len(part[0]):
                raise InputError(f"more than {MAX_EVENTS:,} events", hint="cut the file")
            t, x, y, p = part
            yield Columns(
                t,
                x,
                y,
                p,
                layout.size,
                "text",
                unit_us=layout.unit_us,
                order=layout.order,
                tail=tail,
                notes=layout.notes if ended else (),
            )


def _parsed(
    body: bytes, layout: TextLayout, options: Options, before: int, ended: bool
) -> tuple[tuple[NDArray[np.generic], ...], int, bool]:
    """Return the columns t, x, y, p of some lines, the number of lines passed, whether a tail was
    cut.
    """
    from .text_kernels import parse

    data = np.frombuffer(body, np.uint8)
    room = int(np.count_nonzero(data == 10)) + 1
    mantissa, exponent = np.zeros((room, 4), np.int64), np.zeros((room, 4), np.int64)
    lines = np.array([before], np.int64)
    places = np.array(layout.places, np.int64)
    rows, fault, numbers = parse(data, places, len(places), mantissa, exponent, lines)
    tail = False
    if fault >= 0:
        line = body[fault:].split(b"\n", 1)[0]
        last = ended and fault + len(line) == len(body)
        tail = last and options.allows("drop-tail")
        if not tail:
            raise _not_four(line, int(lines[0]) + 1, numbers, len(places), last)
    columns = tuple(_values(mantissa[:rows, k], exponent[:rows, k]) for k in range(4))
    return columns, int(lines[0]), tail


def _not_four(line: bytes, number: int, found: int, wanted: int, last: bool) -> InputError:
    shown = line[:60].decode("utf-8", "replace").strip()
    many = f"{found} numbers" if found >= 0 else "something else than numbers"
    mend = LINES_MEND
    if last:
        mend += ", or give mend=['drop-tail'] (--mend drop-tail) if the file is cut there"
    return InputError(f"line {number} has {many}, expected {wanted}: {shown!r}", hint=mend)


def _values(mantissa: NDArray[np.int64], exponent: NDArray[np.int64]) -> NDArray[np.generic]:
    """Return whole numbers as they are, others as floats."""
    if not exponent.any():
        return mantissa
    down = np.minimum(exponent, 0)
    with np.errstate(over="ignore"):
        raised = mantissa.astype(np.float64) * 10.0 ** np.maximum(exponent, 0)
        return np.asarray(raised / 10.0 ** (-down))


def _layout(path: Path, options: Options) -> TextLayout:
    """Return what the lines before the first event say."""
    skip, lines, named = 0, 0, ""
    line = ""
    with path.open("rb") as stream:
        if stream.peek(3)[:3] == UTF8_MARK:
            skip = len(stream.read(3))
        while raw := stream.readline(LINE_MAX_BYTES):
            line = raw.decode("utf-8", "replace").strip()
            if line and line[0] not in "#%":
                break
            if line and by_names(line.strip("#% ")):
                named = line.strip("#% ")
            skip, lines, line = skip + len(raw), lines + 1, ""
    names = by_names(line)
    if names:
        skip, lines = skip + len(raw), lines + 1
    elif named:
        names = by_names(named)
    words = line.replace(",", " ").replace(";", " ").split()
    size = None
    if not names and len(words) == 2 and all(w.isdecimal() and len(w) < 6 for w in words):
        size, skip, lines = (int(words[0]), int(words[1])), skip + len(raw), lines + 1
    if not names:
        order = options.order or ORDER
        return TextLayout(order, tuple(ORDER.index(key) for key in order), None, size, skip, lines)
    return _named(names, options, skip, lines)


def by_names(line: str) -> list[str]:
    """Return the names of a line of names; empty unless t, x, y and p are all among them."""
    split = next((mark for mark in ",;\t" if mark in line), None)
    names = [name.strip() for name in line.split(split)]
    return names if len(by_meaning(names)[0]) == len(ORDER) else []


def _named(names: list[str], options: Options, skip: int, lines: int) -> TextLayout:
    found, unit_us = by_meaning(names)
    order = "".join(key for key in (meaning(name)[0] for name in names) if key)
    if options.order is not None and options.order != order:
        raise InputError(
            f"the file names its columns {order!r}, not {options.order!r}",
            hint="leave --columns out",
        )
    place_of = {name: ORDER.index(key) for key, name in found.items()}
    left_out = [name for name in names if name not in place_of]
    notes = (f"columns {', '.join(left_out)} were left out",) if left_out else ()
    places = tuple(place_of.get(name, -1) for name in names)
    return TextLayout(order, places, unit_us, None, skip, lines, notes)
