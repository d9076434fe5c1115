"""numpy's .npy: a structured array with fields by name, or N x 4 numbers (PEDRo: t, x, y, p)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from ..columns import MAX_EVENTS, Columns, Options, Size
from .names import ORDER, by_meaning


def read(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    """Yield the events in parts of `part_events`; an array in Fortran's order comes whole."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        shape, dtype, stated = head_of(stream)
        begin, there = stream.tell(), size - stream.tell()
        if not shape or (stated != there and not (stated > there and options.allows("drop-tail"))):
            stream.seek(0)
            load_npy(stream, size)  # says what is wrong
            raise InputError(f"an array of shape {shape}", hint="give one row an event")
        if len(shape) > 1 and _in_columns(stream):
            stream.seek(0)
            yield table_columns(load_npy(stream, size), options.order, None, "npy")
            return
    row = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
    count, tail = (there // row if row else 0), stated > there
    for first in range(0, max(1, count), part_events):
        part = min(part_events, count - first)
        flat = np.fromfile(path, dtype, part * row // dtype.itemsize, offset=begin + first * row)
        last = first + part_events >= count
        array = flat.reshape(part, *shape[1:])
        yield table_columns(array, options.order, None, "npy", tail=tail and last)


def _in_columns(stream: IO[bytes]) -> bool:
    """Return whether the array lies in Fortran's order: then its rows are not one after another."""
    stream.seek(0)
    version = np.lib.format.read_magic(stream)
    head = np.lib.format.read_array_header_1_0
    return bool((head if version == (1, 0) else np.lib.format.read_array_header_2_0)(stream)[1])


def table_columns(
    array: NDArray[Any],
    order: str | None,
    size: Size | None,
    source: str,
    *,
    unit_us: float | None = None,
    tail: bool = False,
) -> Columns:
    """Return the columns of a structured array, or of N x 4 numbers in `order`.

    Raises:
        InputError: neither of the two.
    """
    if array.dtype.names is None:
        if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "iuf":
            raise InputError(
                f"a table of {array.dtype} and shape {array.shape}",
                hint="give N rows of four numbers, t x y p, or a structured array",
            )
        order = order or ORDER
        t, x, y, p = (array[:, order.index(name)] for name in ORDER)
        return Columns(t, x, y, p, size, source, unit_us=unit_us, order=order, tail=tail)
    found, stated_us = by_meaning(array.dtype.names)
    if len(found) < len(ORDER) or array.ndim != 1:
        raise InputError(
            f"fields {list(array.dtype.names)} of shape {array.shape}",
            hint="give one dimension with the fields t, x, y and p",
        )
    t, x, y, p = (array[found[key]] for key in ORDER)
    return Columns(t, x, y, p, size, source, unit_us=unit_us or stated_us, tail=tail)


def load_npy(stream: IO[bytes], size: int) -> NDArray[Any]:
    """Return an array of at most `MAX_EVENTS` events; its header must agree with `size` bytes."""
    shape, _, stated = head_of(stream)
    if stated > MAX_EVENTS * 64:
        raise InputError(f"an array of shape {shape} is too large", hint="cut the file")
    if stated != size - stream.tell():
        raise InputError(
            f"the header promises {stated} bytes, the file holds {size - stream.tell()}",
            hint="the file is truncated: copy it again",
        )
    stream.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def head_of(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return shape, type and bytes of an array, its stream left where they begin."""
    try:
        version = np.lib.format.read_magic(stream)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = header(stream)
    # Its parser of literals raises what it trips over: tokenizer, syntax and type errors.
    except Exception as error:
        raise InputError(f"not a numpy array ({_brief(error)})", hint="save it again") from None
    if dtype.hasobject:
        raise InputError("an array of Python objects", hint="save numbers")
    stated = int(np.prod([float(n) for n in shape])) * dtype.itemsize
    return tuple(int(n) for n in shape), dtype, stated


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
