"""The store of one file: SQLite keeps the rows, an index in memory searches them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from ..engines import FaissEngine, MemoryEngine, empty_engine, engine_name, prepared
from ..entries import METRICS, Entry, Hit, Metric, Where
from ..search import search
from .index_file import drop_index, read_index, write_index
from .store import Cache, Rows

KEPT_FROM = 10_000
"""Entries from which an index is kept on disk: fewer are read from the rows as fast."""
_STALE = 0.1  # share of entries that may be missing from the index on disk before it is rewritten
_EVERYTHING = Where()


@dataclass
class _Embeddings:
    """Embeddings of the gallery in memory, for one metric; extended, or discarded as a whole.

    Attributes:
        engine: the vectors, in the order of their ids.
        ids: int64 ``[N]``, ascending.
        revision: of the rows it was made from.
        kept: how many vectors the index on disk has.
    """

    engine: MemoryEngine
    ids: NDArray[np.int64]
    revision: int
    kept: int = 0


class EmbeddedStore(Rows):
    """See `GalleryStore`. ``FILE.cosine.faiss`` may appear beside the file; it can be deleted.

    Args:
        path: of the file.
        model, dimension, create: see `Database`.
        engine: ``faiss`` or ``numpy``, which answer alike; None takes FAISS where installed.
    """

    def __init__(
        self,
        path: Path,
        *,
        model: str | None,
        dimension: int | None,
        create: bool,
        engine: str | None = None,
    ) -> None:
        self.engine = engine_name(engine)
        super().__init__(path, model=model, dimension=dimension, create=create)
        self.address = str(path)
        self._held: dict[Metric, _Embeddings] = {}

    def count(self) -> int:
        """See `GalleryStore`."""
        with self.snapshot():
            return self.state()[1]

    def entries(self, where: Where) -> list[Entry]:
        """See `GalleryStore`."""
        with self.snapshot():
            return self.all_entries(where)

    def nearest(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        metric: Metric,
        where: Where,
        approximate: bool,
    ) -> list[list[Hit]]:
        """See `GalleryStore`; exact also where `approximate` would do."""
        with self.snapshot():
            held = self._up_to_date(metric)
            allowed = None if where == _EVERYTHING else self._allowed(held, where)
            answers = search(
                held.engine, prepared(queries, metric), k, metric=metric, allowed=allowed
            )
            ids = [held.ids[places].tolist() for _, places in answers]
            entries = self.by_id([number for row in ids for number in row])
        return [
            [Hit(entries[number], distance) for number, distance in zip(row, far, strict=True)]
            for row, far in zip(ids, (distances.tolist() for distances, _ in answers), strict=True)
        ]

    def build_index(self) -> None:
        """See `GalleryStore`."""
        raise InputError(
            "a file is always searched exactly",
            where=self.address,
            hint="copy it to postgresql://HOST/DATABASE for an approximate index",
        )

    def clone(self, target: str) -> int:
        """See `GalleryStore`."""
        self.copy(Path(target))
        return self.count()

    def vacuum(self) -> None:
        """See `GalleryStore`; the index on disk goes, too, and comes back when it is needed."""
        self._held.clear()
        for metric in METRICS:
            drop_index(self.path, metric)
        self.rewrite()

    def close(self) -> None:
        """Keep a large index for the next time, and close the file."""
        for metric, held in self._held.items():
            count = len(held.ids)
            if count >= KEPT_FROM and count - held.kept > _STALE * count:
                # Only a cache, and the disk may be full or the folder read-only.
                with suppress(OSError, InputError):
                    self._keep(metric, held)
        self._held.clear()
        super().close()

    def _keep(self, metric: Metric, held: _Embeddings) -> None:
        if not isinstance(held.engine, FaissEngine):
            return
        digest = write_index(self.path, metric, held.engine)
        cache = Cache(digest, len(held.ids), int(held.ids[-1]), held.revision)
        self.set_cache(metric, cache)

    def _up_to_date(self, metric: Metric) -> _Embeddings:
        """Return the index in memory, grown by the rows that are new, or made again; in a
        snapshot.
        """
        revision, count, last = self.state()
        held = self._held.pop(metric, None)  # put back whole, or not at all
        if held is None or held.revision != revision:
            held = self._from_disk(metric, revision) or _Embeddings(
                empty_engine(self.engine, self.dimension, metric), np.empty(0, np.int64), revision
            )
        known = int(held.ids[-1]) if len(held.ids) else 0
        if last > known:
            new = [held.ids]
            for ids, vectors in self.vectors(known):
                held.engine.add(prepared(vectors, metric))
                new.append(ids)
            held.ids = np.concatenate(new)
        if not len(held.ids) == len(held.engine) == count:
            raise InputError("its rows are inconsistent", where=str(self.path))
        self._held[metric] = held
        return held

    def _from_disk(self, metric: Metric, revision: int) -> _Embeddings | None:
        cache = self.cache(metric) if self.engine == "faiss" else None
        if cache is None or cache.revision != revision:
            return None
        ids = self.ids(_EVERYTHING, last=cache.last)
        if len(ids) != cache.count:
            return None
        engine = read_index(self.path, metric, cache, self.dimension)
        return None if engine is None else _Embeddings(engine, ids, revision, kept=cache.count)

    def _allowed(self, held: _Embeddings, where: Where) -> NDArray[np.bool_]:
        """Return which positions meet a condition, bool ``[N]``."""
        allowed = np.zeros(len(held.ids), dtype=np.bool_)
        allowed[np.searchsorted(held.ids, self.ids(where))] = True
        return allowed


def open_store(
    address: str, *, model: str | None, dimension: int | None, create: bool, engine: str | None
) -> EmbeddedStore:
    """Open or make a gallery's file; see `stores.open_store`."""
    return EmbeddedStore(
        Path(address), model=model, dimension=dimension, create=create, engine=engine
    )
