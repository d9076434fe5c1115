"""From a configuration to a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public

from ..datasets import DataSet
from ..datasets.controls import Controlled
from ..datasets.degraded import Degraded
from ..datasets.table import Choices, kind_named
from .data_tables import DataTable
from .tables import Configuration

if TYPE_CHECKING:
    from sdcl_neuro.jobs import Shard

    from ..datasets.cache import CacheReport, Progress


@public
def build_data(configuration: Configuration, root: Path | str | None = None) -> DataSet:
    """Return the data set that a configuration names.

    Args:
        configuration: its data and clip.
        root: where the data set lies; None for the generated one.

    Raises:
        InputError: everything that is missing or does not pair, in one list.
    """
    table = configuration.data
    folder = _root(table, root)
    data = kind_named(table.kind).open_data(folder, _choices(configuration, folder))
    if table.cache:
        data = _with_cache(table, data, folder, root is not None)
    control = table.control
    if control.events != "right":
        training = control.part == "all"
        data = Controlled(data, control.events, seed=control.seed, training=training)
    worse = table.degradation
    if worse.kind == "none":
        return data
    return Degraded(data, worse.kind, worse.severity, seed=worse.seed, training=worse.part == "all")


def fill_cache(
    configuration: Configuration,
    root: Path | str,
    *,
    workers: int = 0,
    progress: Progress | None = None,
    part: Shard | None = None,
) -> CacheReport | None:
    """Simulate the events that `data.cache` still lacks; None if the configuration names none.

    Args:
        configuration: its data.
        root: where the data set lies.
        workers, progress, part: see `datasets.cache_events`.

    Raises:
        InputError: see `build_data` and `datasets.cache_events`.
    """
    table, folder = configuration.data, Path(root)
    kind = kind_named(table.kind)
    if not table.cache or not kind.events_of_frames:
        return None
    from ..datasets import FolderData, cache_events

    data = kind.open_data(folder, _choices(configuration, folder))
    if not isinstance(data, FolderData):
        raise TypeError(f"{table.kind} has no frames to simulate events from")
    return cache_events(
        data,
        folder / table.cache,
        config=table.simulator,
        workers=workers,
        progress=progress,
        part=part,
    )


def _choices(configuration: Configuration, root: Path) -> Choices:
    """Return what the configuration says about the data set."""
    table = configuration.data
    kind = kind_named(table.kind)
    alone = bool(table.cache) and kind.events_of_frames
    return Choices(
        split=table.split,
        splits=table.splits,
        events="none" if alone else table.events,
        queries_in_gallery=table.queries_in_gallery,
        protocol=table.protocol,
        interval_ms=table.interval_ms,
        event_files=table.event_files,
        clip=configuration.clip,
        reading=table.reading.options(root),
        alignment=table.alignment.build(root) if kind.takes_alignment else None,
        simulator=table.simulator,
        own=getattr(table, kind.own) if kind.own else None,
    )


def _root(table: DataTable, root: Path | str | None) -> Path:
    if root is None and kind_named(table.kind).needs_root:
        raise InputError(f"{table.kind} is read from a folder", hint="give it with --root DIR")
    return Path(root or ".")


def _with_cache(table: DataTable, data: DataSet, folder: Path, given: bool) -> DataSet:
    """Return events of a cache, or rendered tracklets that are kept: not in whichever folder one is
    in.
    """
    from ..datasets import FolderData, Generated, RenderedOnDisk, with_cached_events

    if isinstance(data, Generated):
        return RenderedOnDisk(data, folder / table.cache) if given else data
    if isinstance(data, FolderData):
        return with_cached_events(data, folder / table.cache)
    return data
