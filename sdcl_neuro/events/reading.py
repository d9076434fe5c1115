"""Event files of every kind, whole or in parts: the kind is found in the content."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sdcl_neuro.errors import EnvironmentFault, InputError, SdclNeuroError
from sdcl_neuro.files.reading import reading
from sdcl_neuro.network.arguments import check_arguments, kind_of, need_path, public

from .array import Events
from .checks import Checker, joined, sensor_size
from .columns import Columns, Options, Size
from .formats.table import KINDS, Kind, find_kind
from .streams import StreamInfo

if TYPE_CHECKING:
    from .denoising import Denoise

PART_EVENTS = 1 << 19


@public
def read_events(
    path: Path | str,
    *,
    sensor: Size | None = None,
    mend: Collection[str] = (),
    columns: str | None = None,
    time_unit_us: float | None = None,
    stream: str | None = None,
    between_us: tuple[int, int] | None = None,
    denoise: Denoise | None = None,
    rectify: Path | str | None = None,
) -> Events:
    """Read one event file of any kind in `formats.table.KINDS`.

    Args:
        path: the file; its kind is found by its content.
        sensor: width and height in pixels, where the file does not state them.
        mend: names from `columns.MENDS`: what may be repaired. Without a name, its fault is an
            error; with it, the number of events it touched is in `Events.mended`.
        columns: order of the columns of text and N x 4 files; ``txyp`` if left out.
        time_unit_us: microseconds per unit of time, where the format does not fix it (text,
            .npy, .npz, HDF5, .mat); needed if the file's times are not whole numbers. Times are
            then rounded to the nearest microsecond.
        stream: which recording of a file that holds several: number, name, camera or camera/name.
        between_us: keep events with ``start < t <= end`` only.
        denoise: filters to apply; what each takes out is counted in `Events.removed`.
        rectify: a rectification map as DSEC has it; see `rectification`.

    Raises:
        InputError: no such file, an unknown kind, damaged or truncated content, an unknown sensor
            size, several streams and none chosen, or an event outside the sensor, out of time
            order or without a polarity, with the index and value of the first.
        EnvironmentFault: a package that this format needs is not installed.
    """
    path = need_path(path, "events", "give the path of a file")
    options = _options(
        path, sensor, mend, columns, time_unit_us, stream, between_us, denoise, rectify
    )
    with _placed(path):
        found = joined(list(_found(path, options, PART_EVENTS)))
        return _checked(Checker(options), found)


def read_parts(
    path: Path | str,
    *,
    sensor: Size | None = None,
    mend: Collection[str] = (),
    columns: str | None = None,
    time_unit_us: float | None = None,
    stream: str | None = None,
    between_us: tuple[int, int] | None = None,
    denoise: Denoise | None = None,
    rectify: Path | str | None = None,
    part_events: int = PART_EVENTS,
) -> Iterator[Events]:
    """Yield the events of one file in order, in parts; put together, they are `read_events`'s.

    Memory is bounded by the part, but for .mat, .npz of others and text whose columns have to be
    guessed; a file that is to be sorted is read whole and comes as one part.

    Args:
        path, sensor, mend, columns, time_unit_us, stream, between_us, denoise, rectify: as for
            `read_events`. `Events.mended` and `Events.removed` count what was done in the part.
        part_events: events in a part, about.

    Raises:
        InputError: as `read_events` does, as soon as the fault is reached.
    """
    path = need_path(path, "events", "give the path of a file")
    options = _options(
        path, sensor, mend, columns, time_unit_us, stream, between_us, denoise, rectify
    )
    checker = Checker(options)
    with _placed(path):
        parts = _found(path, options, part_events)
        if options.allows("sort") or (options.denoise and options.denoise.needs_whole):
            parts = iter([joined(list(parts))])
        for part in parts:
            yield _checked(checker, part)


@public
def list_streams(path: Path | str) -> tuple[StreamInfo, ...]:
    """Return all recordings within a file; none where its kind holds a single one.

    Raises:
        InputError: no such file, an unknown kind, or damaged content.
    """
    path = need_path(path, "events", "give the path of a file")
    with _placed(path):
        kind = KINDS[find_kind(path)]
        return kind.lister()(path) if kind.streams else ()


def _options(
    path: Path,
    sensor: Size | None,
    mend: Collection[str],
    columns: str | None,
    time_unit_us: float | None,
    stream: str | None,
    between_us: tuple[int, int] | None,
    denoise: Denoise | None,
    rectify: Path | str | None,
) -> Options:
    given = {
        "sensor": sensor,
        "mend": mend,
        "columns": columns,
        "time_unit_us": time_unit_us,
        "stream": stream,
        "between_us": between_us,
        "denoise": denoise,
        "rectify": rectify,
    }
    check_arguments(read_events, {"path": path, **given})
    # Its class is not loaded for a file that is read as it is.
    if denoise is not None and not hasattr(denoise, "needs_whole"):
        what = f"expected a Denoise as denoise, got {kind_of(denoise)}"
        raise InputError(what, where="read_events", hint="give events.Denoise(hot_factor=10)")
    with _placed(path):
        return Options(
            None if sensor is None else (sensor[0], sensor[1]),  # a list does, too
            tuple(mend),
            columns,
            time_unit_us,
            stream,
            None if between_us is None else (between_us[0], between_us[1]),
            None if rectify is None else Path(rectify),
            denoise,
        )


def _found(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    """Yield what the kind's reader finds; options that the kind cannot have are refused."""
    name = find_kind(path)
    kind = KINDS[name]
    if options.stream is not None and not kind.streams:
        raise InputError(
            f"{kind.text} holds a single recording, not a stream {options.stream!r}",
            hint="leave --stream out",
        )
    for part in _explained(kind, kind.reader()(path, options, part_events), options):
        if options.order is not None and not part.order:
            raise InputError(f"{kind.text} names its fields", hint="leave --columns out")
        yield part


def _explained(kind: Kind, parts: Iterator[Columns], options: Options) -> Iterator[Columns]:
    """Yield the parts; where `drop-tail` cannot help, the error says why."""
    try:
        yield from parts
    except InputError as error:
        damaged = any(word in error.what for word in ("damaged", "truncated", "not a readable"))
        if not (damaged and kind.no_tail and options.allows("drop-tail")):
            raise
        remedy = f"copy it again; drop-tail cannot help: {kind.no_tail}"
        raise InputError(error.what, where=error.where, hint=remedy) from error


def _checked(checker: Checker, found: Columns) -> Events:
    sensor_size(found, checker.options)
    try:
        return checker.check(found)
    except InputError as error:
        raise _with_order(error, found) from None


class _placed:
    """Names the file in errors that do not say where they come from."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, SdclNeuroError):
            # Whatever a format's library stumbles over that its reader did not foresee.
            with reading(self.path, "an event file"):
                raise error
        if isinstance(error, InputError | EnvironmentFault) and not error.where:
            placed: type[SdclNeuroError] = type(error)
            raise placed(error.what, where=str(self.path), hint=error.hint) from error


def _with_order(error: InputError, found: Columns) -> InputError:
    """Say so if the columns look as if they were in another order."""
    order = _likely_order(found) if found.order else None
    if order is None or order == found.order:
        return error
    return InputError(
        error.what,
        hint=f"the columns look like {order!r}, not {found.order!r}: give columns={order!r} "
        f"(--columns {order}) if so",
    )


def _likely_order(found: Columns) -> str | None:
    """Return the order the columns seem to have, where exactly one fits; None if none or several
    do.

    Polarity is the column of two values, time the one column that never falls and does not fit
    a sensor; x is taken to come before y.
    """
    table = {place: getattr(found, name) for place, name in enumerate(found.order)}
    two = [i for i, column in table.items() if {0, 1} >= set(np.unique(column[:1000]).tolist()) or
           {-1, 1} >= set(np.unique(column[:1000]).tolist())]  # fmt: skip
    rising = [
        i
        for i, column in table.items()
        if i not in two and not (np.diff(column) < 0).any() and column.max(initial=0) >= 1 << 16
    ]
    if len(two) != 1 or len(rising) != 1:
        return None
    names = iter("xy")
    return "".join(
        "p" if i in two else "t" if i in rising else next(names) for i in range(len(table))
    )
