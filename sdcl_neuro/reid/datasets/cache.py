"""Events simulated once from a data set's frames, into a folder of one HDF5 file per tracklet.

A file appears under its own name only when it is whole, so whatever is there is done: a run that
was killed resumes where it stopped. ``cache.json`` says how the events were simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.files import write_json
from sdcl_neuro.files.reading import read_json
from sdcl_neuro.jobs import Shard
from sdcl_neuro.network.arguments import public

from .cached import CachedEvents, cached_path, is_cached, simulate_entry
from .faults import Faults
from .folder import FolderData
from .workers import follow_parent

SCHEMA = {"name": "sdcl_neuro.event_cache", "version": 1}
DESCRIPTION, LOCK = "cache.json", "lock"

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress bar, given a title and a total; the function it yields advances it."""


@dataclass(frozen=True)
class CacheReport:
    """What a run of `cache_events` did: tracklets simulated now, and found done."""

    simulated: int
    found: int

    def __str__(self) -> str:
        return f"{self.simulated:,} tracklets simulated, {self.found:,} were there"


@public
def cache_events(
    data: FolderData,
    folder: Path | str,
    *,
    config: SimulatorConfig | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    part: Shard | None = None,
) -> CacheReport:
    """Simulate the events of all entries that are not in the cache yet.

    Args:
        data: a data set with frames.
        folder: of the cache; made if it is not there.
        config: the simulated pixels, the same for every tracklet.
        workers: processes beside this one; 0 simulates here.
        progress: makes a progress bar.
        part: of the entries; several processes may fill the cache at once, each with a part of
            its own. None does all, alone.

    Raises:
        InputError: a folder that holds something else or events of another simulator, one that
            another process is filling, or a frame that cannot be read.
        EnvironmentFault: a worker that died.
    """
    folder, config = Path(folder), config or SimulatorConfig()
    entries = data.entries if part is None else part.of(data.entries)
    with _locked(folder, shared=part is not None):
        _describe(folder, config, data)
        todo = [entry for entry in entries if not is_cached(folder, entry)]
        tasks = [(entry, folder, config, data.fps) for entry in todo]
        found = len(entries) - len(todo)
        if progress is None:
            _run(tasks, workers, lambda count: None)
        else:
            with progress("simulating events", len(entries)) as advance:
                advance(found)
                _run(tasks, workers, advance)
    return CacheReport(len(todo), found)


def with_cached_events(data: FolderData, folder: Path | str) -> FolderData:
    """Return the data set with events from a cache instead of its own.

    Raises:
        InputError: no cache there, one made at another frame rate, or tracklets missing in it.
    """
    folder = Path(folder)
    made = _description(folder)
    for key, value in (("data", data.name), ("fps", data.fps)):
        if made.get(key) != value:
            raise InputError(
                f"its {key} is {made.get(key)}, not {value}",
                where=str(folder / DESCRIPTION),
                hint="give the cache that was made from this data set",
            )
    faults = Faults(folder)
    absent = [entry.name for entry in data.entries if not cached_path(folder, entry).is_file()]
    faults.missing(f"{len(absent):,} of {len(data.entries):,} tracklets", absent)
    faults.check("run the simulation again: it resumes where it stopped")
    return replace(data, source=CachedEvents(folder, data.fps))


def _describe(folder: Path, config: SimulatorConfig, data: FolderData) -> None:
    """Write what the cache holds, or check that it holds the same."""
    wanted = {
        "schema": SCHEMA, "data": data.name, "fps": data.fps, "simulator": asdict(config)
    }  # fmt: skip
    # Listed before it is looked for: another part that begins in between describes first.
    found = [path.name for path in folder.iterdir() if path.name != LOCK]
    if not (folder / DESCRIPTION).exists():
        if any(not name.startswith(".") for name in found):
            raise InputError(
                "holds other things than a cache", where=str(folder), hint="give a new folder"
            )
        write_json(folder / DESCRIPTION, wanted)
        return
    made = _description(folder)
    for key, value in wanted.items():
        if made.get(key) != value:
            raise InputError(
                f"its {key} is {made.get(key)}, not {value}",
                where=str(folder / DESCRIPTION),
                hint="give another folder for these",
            )


def _description(folder: Path) -> dict[str, Any]:
    try:
        made = read_json(folder / DESCRIPTION)
    except (OSError, InputError):
        raise InputError(
            f"no cache of events: {DESCRIPTION} is missing or damaged",
            where=str(folder),
            hint="simulate the events first",
        ) from None
    if not isinstance(made, dict) or made.get("schema") != SCHEMA:
        raise InputError("no cache of events of this version", where=str(folder / DESCRIPTION))
    return made


@contextmanager
def _locked(folder: Path, *, shared: bool) -> Iterator[None]:
    """Let one process at a time fill a cache, or several that share the work.

    A killed one leaves only temporary files; the next that is alone removes them.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as stream:
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                "another process is filling this cache", where=str(folder), hint="wait for it"
            ) from None
        if not shared:
            for path in folder.glob(".*.h5.*"):
                path.unlink(missing_ok=True)
        yield


def _run(tasks: list[Any], workers: int, advance: Callable[[int], None]) -> None:
    if not workers:
        for task in tasks:
            simulate_entry(*task)
            advance(1)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=follow_parent) as pool:
        waiting = [pool.submit(simulate_entry, *task) for task in tasks]
        try:
            for done in as_completed(waiting):
                done.result()
                advance(1)
        except BrokenProcessPool:
            raise EnvironmentFault(
                "a worker died while it simulated events",
                hint="run it again with fewer workers: it resumes where it stopped",
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)
