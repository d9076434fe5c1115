"""From a configuration to a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro.errors import InputError

from ..datasets import DataSet
from ..datasets.degraded import Degraded
from .checks import clip_format
from .data_tables import DataTable
from .tables import Configuration

if TYPE_CHECKING:
    from ..datasets.cache import CacheReport, Progress
    from ..datasets.folder import FolderData

FROM_FOLDERS = ("prid2011", "ilidsvid", "mars")
NEEDS_NO_ROOT = ("generated",)


def build_data(configuration: Configuration, root: Path | str | None = None) -> DataSet:
    """The data set that a configuration names.

    Args:
        configuration: its data and clip.
        root: where the data set lies; None for the generated one.

    Raises:
        InputError: everything that is missing or does not pair, in one list.
    """
    table = configuration.data
    folder = _root(table, root)
    match table.kind:
        case "generated":
            from ..datasets import Generated, Kept

            walkers = Generated(table.generated)
            # Not into whichever folder one stands in.
            keep = bool(table.cache) and root is not None
            data: DataSet = Kept(walkers, folder / table.cache) if keep else walkers
        case "event-reid":
            data = _event_reid(table, folder)
        case "mot":
            data = _mot(configuration, folder)
        case _:
            data = _folder_data(table, folder)
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
) -> CacheReport | None:
    """Simulate the events that `data.cache` still lacks; None if the configuration names none.

    Args:
        configuration: its data.
        root: where the data set lies.
        workers, progress: see `datasets.cache_events`.

    Raises:
        InputError: see `build_data` and `datasets.cache_events`.
    """
    table, folder = configuration.data, Path(root)
    if not table.cache or table.kind not in FROM_FOLDERS:
        return None
    from ..datasets import cache_events

    data = _frames(table, folder)
    return cache_events(
        data, folder / table.cache, config=table.simulator, workers=workers, progress=progress
    )


def _root(table: DataTable, root: Path | str | None) -> Path:
    if root is None and table.kind not in NEEDS_NO_ROOT:
        raise InputError(f"{table.kind} lies in a folder", mend="give it with --root DIR")
    return Path(root or ".")


def _below(root: Path, name: str) -> Path | None:
    """A path of a file, which starts at the root unless it is absolute; None if it is empty."""
    return root / name if name else None


def _folder_data(table: DataTable, root: Path) -> DataSet:
    """With events of their own, of a cache, or none."""
    found = _frames(table, root)
    if not table.cache:
        return found
    from ..datasets import with_cached_events

    return with_cached_events(found, root / table.cache)


def _frames(table: DataTable, root: Path) -> FolderData:
    """PRID-2011, iLIDS-VID or MARS; without events where they come from a cache."""
    from .. import datasets

    alone = table.events == "none" or bool(table.cache)
    if table.kind == "mars":
        return datasets.read_mars(
            root,
            events=None if alone else root / table.events,
            queries_in_gallery=table.queries_in_gallery,
            event_files=table.event_files,
        )
    read = datasets.read_prid2011 if table.kind == "prid2011" else datasets.read_ilidsvid
    own = table.events if table.events == "auto" else root / table.events
    return read(
        root,
        split=table.split,
        splits=_below(root, table.splits),
        events=None if alone else own,
        event_files=table.event_files,
    )


def _event_reid(table: DataTable, root: Path) -> DataSet:
    from ..datasets import leave_persons_out, read_event_reid

    own = table.event_reid
    lists = [_below(root, name) for name in (own.train, own.query, own.gallery)]
    data = read_event_reid(root, train=lists[0], query=lists[1], gallery=lists[2])
    if any(lists):
        return data
    folds = leave_persons_out(data, folds=own.folds, seed=own.seed)
    if table.split >= len(folds):
        raise InputError(
            f"split {table.split} of {len(folds)} folds",
            where="data.split",
            mend=f"give 0 to {len(folds) - 1}",
        )
    return folds[table.split]


def _mot(configuration: Configuration, root: Path) -> DataSet:
    """Tracklets of a video, all of them held; who leaves is asked of who arrived."""
    from sdcl_neuro.events.tracklets import cut_tracklets, open_video, read_mot

    from ..datasets import hold_segments

    table, clip = configuration.data, configuration.clip
    own, alignment = table.mot, table.alignment.build(root)
    video = open_video(root / own.video, alignment)
    events = table.reading.options(root).read(root / own.events) if own.events else table.simulator
    found = cut_tracklets(
        video,
        read_mot(root / own.tracks),
        events,
        frames=clip.frames,
        bins=clip.bins,
        size=clip.size,
        stride=own.stride,
        sensor=clip_format(configuration).sensor(video.size),
        alignment=alignment,
    )
    return hold_segments(found)
