"""HDF5: the layouts of `hdf5_layouts`, read in parts, and MATLAB 7.3 with SDCL's variables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files.hdf5_guard import Guard, open_guarded

from ..columns import Columns, Options, check_lengths
from ..streams import StreamInfo, choose_stream
from .hdf5_layouts import RecordingLayout, check_filters, find_layouts, listed
from .mat import is_sdcl, variables
from .names import ORDER

MS_US = 1000
WHAT = "an event file"


def streams(path: Path) -> tuple[StreamInfo, ...]:
    """Return every recording of the file; none for MATLAB's, which hold one; see `table`."""
    with open_guarded(path, what=WHAT) as (file, guard):
        return _streams(find_layouts(file, guard))


def _streams(layouts: list[RecordingLayout]) -> tuple[StreamInfo, ...]:
    return tuple(
        StreamInfo(k, one.path or "/", "events", size=one.size) for k, one in enumerate(layouts)
    )


def read(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    """Yield the events of one recording in parts of `part_events`; see `table`."""
    with open_guarded(path, what=WHAT) as (file, guard):
        if is_sdcl(list(file)):
            yield _matlab(file, guard)
            return
        layouts = find_layouts(file, guard)
        if not layouts:
            raise InputError(
                f"no events among its data sets: {listed(file)}",
                hint="give t, x, y and p in one group, one data set of these fields, or an N x 4 "
                "data set called events",
            )
        stream = choose_stream(_streams(layouts), options.stream, "events")
        yield from _parts(file, guard, layouts[stream.number], options, part_events)


def _parts(
    file: Any, guard: Guard, layout: RecordingLayout, options: Options, part_events: int
) -> Iterator[Columns]:
    item = guard.at(file, layout.path) if layout.path else file
    order = "".join(layout.names) if layout.form == "table" else ""
    own_order = layout.form == "table" and layout.source != "hdf5-mvsec"
    if own_order and options.order:
        order = options.order
    fields: dict[str, Any] = {}
    if layout.form == "columns":
        fields = {key: guard.member(item, layout.names[key]) for key in ORDER}
        check_lengths({key: len(field) for key, field in fields.items()})
    for data in fields.values() or [item]:
        check_filters(guard.large(data, whole=False))
    count = len(fields["t"]) if fields else len(item)
    begin, end = _span(file, guard, layout, options, count)
    notes = (f"t_offset of {layout.offset_us} us was added to the times",)
    for first in range(begin, max(begin + 1, end), part_events):
        rows = slice(first, min(first + part_events, end))
        t, x, y, p = _rows(item, fields, layout, order, rows)
        if layout.offset_us:
            t = t.astype(np.int64) + layout.offset_us
        yield Columns(
            t,
            x,
            y,
            p,
            layout.size,
            layout.source,
            unit_us=layout.unit_us,
            order=order if own_order else "",
            usual=layout.usual,
            notes=notes if layout.offset_us and first + part_events >= end else (),
        )


def _rows(
    item: Any, fields: dict[str, Any], layout: RecordingLayout, order: str, rows: slice
) -> tuple[NDArray[Any], ...]:
    if fields:
        return tuple(np.asarray(fields[key][rows]).reshape(-1) for key in ORDER)
    array = np.asarray(item[rows])
    if layout.form == "records":
        return tuple(array[layout.names[key]] for key in ORDER)
    return tuple(array[:, order.index(key)] for key in ORDER)


def _span(
    file: Any, guard: Guard, layout: RecordingLayout, options: Options, count: int
) -> tuple[int, int]:
    """Return first and last event to read, by the index of milliseconds where a time span is asked
    for.

    Raises:
        InputError: an index that does not lie within the events.
    """
    if options.between_us is None or not layout.index:
        return 0, count
    index = np.asarray(guard.large(guard.at(file, layout.index))[()]).astype(np.int64).reshape(-1)
    if len(index) and (index.min() < 0 or index.max() > count or (np.diff(index) < 0).any()):
        raise InputError(
            f"{layout.index} does not ascend from 0 to the {count} events", hint="copy it again"
        )
    # Entry m is the first event at m milliseconds or later, before the offset.
    low, high = (edge - layout.offset_us for edge in options.between_us)
    first, last = low // MS_US, -(-high // MS_US) + 1
    begin = int(index[min(max(first, 0), len(index) - 1)]) if len(index) and first >= 0 else 0
    end = int(index[last]) if 0 <= last < len(index) else count
    return (begin, max(begin, end)) if high > 0 else (0, 0)


def _matlab(file: Any, guard: Guard) -> Columns:
    here = {name: guard.member(file, name) for name in guard.names(file)}
    shapes = {name: tuple(data.shape or ()) for name, data in here.items()}
    return variables(shapes, lambda name: np.asarray(guard.large(here[name])[()]))
