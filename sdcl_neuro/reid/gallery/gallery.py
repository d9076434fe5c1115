"""`Gallery`: enrol, search, remove, list, copy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdcl_neuro.errors import InputError

from .engines import Engine, FaissEngine, empty_engine, engine_name, prepared
from .entries import LARGEST, METRICS, Enrolled, Enrolment, Entry, Hit, Metric, Where
from .index_file import read_index, write_index
from .search import search
from .store import Cache, Store

KEPT_FROM = 10_000
"""Entries from which an index is kept on disk: fewer are read from the rows as fast."""
_STALE = 0.1  # share of entries that may be missing from the index on disk before it is rewritten
_EVERYTHING = Where()


@dataclass
class _Held:
    """What of the gallery is in memory, for one metric; grows, or is thrown away.

    Attributes:
        engine: the vectors, in the order of their ids.
        ids: int64 ``[N]``, ascending.
        revision: of the rows it was made from.
        kept: how many vectors the index on disk has.
    """

    engine: Engine
    ids: NDArray[np.int64]
    revision: int
    kept: int = 0


class Gallery:
    """Embeddings with who, where and when, in one SQLite file.

    Every call that changes it returns when the change is on disk; a process killed at any moment
    loses nothing that was returned and leaves nothing by halves. Several processes may use one
    file; each sees the others' changes at its next call. Not to be shared between threads.

    Args:
        path: of the file; ``PATH.cosine.faiss`` may appear beside it, which can be deleted.
        model: says which model made the embeddings, for example the checkpoint's hash.
        dimension: D of an embedding.
        create: make the file if there is none.
        engine: ``faiss`` or ``numpy``, which answer alike; None takes FAISS where installed.

    Raises:
        InputError: no such gallery, or one of another model or dimension.
        EnvironmentFault: FAISS is asked for and not installed.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        model: str,
        dimension: int,
        create: bool = True,
        engine: str | None = None,
    ) -> None:
        self.engine = engine_name(engine)
        self._store = Store(Path(path), model=model, dimension=dimension, create=create)
        self.path, self.model, self.dimension = Path(path), model, dimension
        self._held: dict[Metric, _Held] = {}

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        with self._store.snapshot():
            return self._store.state()[1]

    def __str__(self) -> str:
        return f"{self.path}: {len(self)} entries, {self.dimension} dimensions"

    def enrol(self, tracklets: Sequence[Enrolment]) -> Enrolled:
        """Add tracklets, all or none of them; those whose key is there already are left out.

        Raises:
            InputError: an embedding of another size or not finite, metadata that is no JSON.
        """
        return self._store.add(tracklets)

    def remove(self, ids: Sequence[int]) -> int:
        """Remove entries for good; how many there were."""
        return self._store.remove(ids)

    def relabel(self, ids: Sequence[int], label: str | None) -> int:
        """Say who entries are, once it is known; how many there were."""
        return self._store.relabel(ids, label)

    def entries(self, where: Where = _EVERYTHING) -> list[Entry]:
        """All entries that meet a condition, by id."""
        with self._store.snapshot():
            return self._store.all_entries(where)

    def copy(self, target: Path | str) -> None:
        """Save a copy of one moment's state, whole or not at all, while others may be enrolling.

        Raises:
            InputError: `target` is there: a journal beside it would be taken for the copy's.
        """
        if Path(target).exists():
            raise InputError("is there already", where=str(target), hint="name a new file")
        self._store.copy(Path(target))

    def search(
        self,
        queries: ArrayLike,
        *,
        k: int = 10,
        metric: Metric = "cosine",
        where: Where = _EVERYTHING,
    ) -> list[list[Hit]]:
        """The k nearest entries of each query, nearest first, equally near ones by id.

        Exact: every entry is compared, the answer's distances are computed in float64, and both
        engines give the same answer.

        Args:
            queries: ``[Q, D]``.
            k: how many; fewer come back where fewer meet the condition.
            metric: ``cosine`` (1 - cosine, a zero vector has 1 to all) or ``euclidean``.
            where: which entries count.

        Raises:
            InputError: queries of another size or not finite, k below 1, another metric.
        """
        vectors = self._checked(queries, k, metric)
        with self._store.snapshot():
            held = self._up_to_date(metric)
            allowed = None if where == _EVERYTHING else self._allowed(held, where)
            answers = search(
                held.engine, prepared(vectors, metric), k, metric=metric, allowed=allowed
            )
            ids = [held.ids[places].tolist() for _, places in answers]
            entries = self._store.entries([number for row in ids for number in row])
        return [
            [Hit(entries[number], distance) for number, distance in zip(row, far, strict=True)]
            for row, far in zip(ids, (distances.tolist() for distances, _ in answers), strict=True)
        ]

    def close(self) -> None:
        """Keep a large index for the next time, and close the file."""
        for metric, held in self._held.items():
            count = len(held.ids)
            if count >= KEPT_FROM and count - held.kept > _STALE * count:
                # Only a cache, and the disk may be full or the folder read-only.
                with suppress(OSError, InputError):
                    self._keep(metric, held)
        self._held.clear()
        self._store.close()

    def _keep(self, metric: Metric, held: _Held) -> None:
        if not isinstance(held.engine, FaissEngine):
            return
        digest = write_index(self.path, metric, held.engine)
        cache = Cache(digest, len(held.ids), int(held.ids[-1]), held.revision)
        self._store.set_cache(metric, cache)

    def _up_to_date(self, metric: Metric) -> _Held:
        """The index in memory, grown by the rows that are new, or made anew; in a snapshot."""
        revision, count, last = self._store.state()
        held = self._held.pop(metric, None)  # put back whole, or not at all
        if held is None or held.revision != revision:
            held = self._from_disk(metric, revision) or _Held(
                empty_engine(self.engine, self.dimension, metric), np.empty(0, np.int64), revision
            )
        known = int(held.ids[-1]) if len(held.ids) else 0
        if last > known:
            new = [held.ids]
            for ids, vectors in self._store.vectors(known):
                held.engine.add(prepared(vectors, metric))
                new.append(ids)
            held.ids = np.concatenate(new)
        if not len(held.ids) == len(held.engine) == count:
            raise InputError("its rows are inconsistent", where=str(self.path))
        self._held[metric] = held
        return held

    def _from_disk(self, metric: Metric, revision: int) -> _Held | None:
        cache = self._store.cache(metric) if self.engine == "faiss" else None
        if cache is None or cache.revision != revision:
            return None
        ids = self._store.ids(_EVERYTHING, last=cache.last)
        if len(ids) != cache.count:
            return None
        engine = read_index(self.path, metric, cache)
        return None if engine is None else _Held(engine, ids, revision, kept=cache.count)

    def _allowed(self, held: _Held, where: Where) -> NDArray[np.bool_]:
        """Which positions meet a condition, bool ``[N]``."""
        allowed = np.zeros(len(held.ids), dtype=np.bool_)
        allowed[np.searchsorted(held.ids, self._store.ids(where))] = True
        return allowed

    def _checked(self, queries: ArrayLike, k: int, metric: str) -> NDArray[np.float32]:
        vectors = np.asarray(queries)
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension or vectors.dtype.kind != "f":
            raise InputError(
                f"queries {vectors.dtype} {vectors.shape}",
                where="Gallery.search",
                hint=f"give floats [Q, {self.dimension}]",
            )
        with np.errstate(over="ignore"):
            single: NDArray[Any] = vectors.astype(np.float32)
        if not (np.abs(single) <= LARGEST).all():
            raise InputError("queries that are not finite, or past 1e15", where="Gallery.search")
        if not isinstance(k, int) or k < 1:
            raise InputError(f"k is {k!r}", where="Gallery.search", hint="give 1 or more")
        if metric not in METRICS:
            raise InputError(f"metric {metric!r}", hint=f"choose {' or '.join(METRICS)}")
        return single
