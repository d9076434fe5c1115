"""The durable side: rows in SQLite; what a call has returned from is on disk, whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from .database import Database
from .entries import LARGEST, Enrolled, Enrolment, Entry, Where

_FETCHED = 4096  # rows held as Python objects at a time
_COLUMNS = "id, label, camera, time_us, source, key, metadata"


@dataclass(frozen=True)
class Cache:
    """What an index on disk must be to be trusted; see `index_file`."""

    sha256: str
    count: int
    last: int
    revision: int


class Store(Database):
    """A gallery's rows. What reads alone is called inside a `snapshot`."""

    def add(self, tracklets: Sequence[Enrolment]) -> Enrolled:
        """Add rows in one transaction; see `Gallery.enrol`."""
        rows = [self._row(number, tracklet) for number, tracklet in enumerate(tracklets)]
        ids, added = [], 0
        with self.change():
            for row in rows:
                done = self.base.execute(
                    "INSERT INTO entry (embedding, label, camera, time_us, source, key, metadata) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                    row,
                )
                added += done.rowcount
                ids.append(
                    int(done.lastrowid or 0)
                    if done.rowcount
                    else self.value("SELECT id FROM entry WHERE key = ?", row[5])
                )
        return Enrolled(tuple(ids), added)

    def remove(self, ids: Sequence[int]) -> int:
        """Delete rows; how many there were."""
        with self.change():
            done = self.base.executemany("DELETE FROM entry WHERE id = ?", [(n,) for n in ids])
            return done.rowcount

    def relabel(self, ids: Sequence[int], label: str | None) -> int:
        """Set the label of rows; how many there were."""
        with self.change():
            rows = [(label, n) for n in ids]
            return self.base.executemany("UPDATE entry SET label = ? WHERE id = ?", rows).rowcount

    def state(self) -> tuple[int, int, int]:
        """The revision, the number of rows, and the last id (0 without rows)."""
        return (
            self.value("SELECT revision FROM gallery"),
            self.value("SELECT count(*) FROM entry"),
            self.value("SELECT coalesce(max(id), 0) FROM entry"),
        )

    def ids(self, where: Where, *, last: int | None = None) -> NDArray[np.int64]:
        """Ids of rows in order, up to `last`."""
        condition, values = where.sql()
        if last is not None:
            condition, values = f"({condition}) AND id <= ?", [*values, last]
        rows = self.base.execute(f"SELECT id FROM entry WHERE {condition} ORDER BY id", values)
        return np.array([row[0] for row in rows], dtype=np.int64)

    def vectors(self, after: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Ids ``[n]`` and embeddings ``[n, D]`` of the rows past an id, in order, in pieces."""
        rows = self.base.execute(
            "SELECT id, embedding FROM entry WHERE id > ? ORDER BY id", (after,)
        )
        while piece := rows.fetchmany(_FETCHED):
            for number, blob in piece:
                if not isinstance(blob, bytes) or len(blob) != 4 * self.dimension:
                    raise InputError(f"entry {number} is damaged", where=str(self.path))
            joined = np.frombuffer(b"".join(blob for _, blob in piece), "<f4")
            yield (
                np.array([number for number, _ in piece], dtype=np.int64),
                joined.reshape(len(piece), -1).astype(np.float32, copy=False),
            )

    def entries(self, ids: Sequence[int]) -> dict[int, Entry]:
        """Rows by id; those that are not there are left out."""
        found = {}
        for number in dict.fromkeys(ids):
            row = self.base.execute(
                f"SELECT {_COLUMNS} FROM entry WHERE id = ?", (number,)
            ).fetchone()
            if row is not None:
                found[number] = _entry(row)
        return found

    def all_entries(self, where: Where) -> list[Entry]:
        """Rows in the order of their ids."""
        condition, values = where.sql()
        rows = self.base.execute(
            f"SELECT {_COLUMNS} FROM entry WHERE {condition} ORDER BY id", values
        )
        return [_entry(row) for row in rows]

    def cache(self, metric: str) -> Cache | None:
        """What the index of a metric on disk must be."""
        row = self.base.execute(
            "SELECT sha256, count, last, revision FROM cache WHERE metric = ?", (metric,)
        ).fetchone()
        return None if row is None else Cache(*row)

    def set_cache(self, metric: str, cache: Cache) -> None:
        """Remember the index that was just written."""
        with self.change():
            self.base.execute(
                "INSERT OR REPLACE INTO cache VALUES (?, ?, ?, ?, ?)",
                (metric, cache.sha256, cache.count, cache.last, cache.revision),
            )

    def _row(self, number: int, tracklet: Enrolment) -> tuple[Any, ...]:
        where = f"tracklet {number} to enrol"
        vector = np.asarray(tracklet.embedding)
        if vector.shape != (self.dimension,) or not np.issubdtype(vector.dtype, np.floating):
            raise InputError(
                f"an embedding {vector.dtype} {vector.shape}",
                where=where,
                hint=f"give floats [{self.dimension}]",
            )
        with np.errstate(over="ignore"):  # past float32's range is refused, as infinity is
            stored = np.ascontiguousarray(vector, dtype="<f4")
        if not (np.abs(stored) <= LARGEST).all():
            raise InputError("an embedding that is not finite, or past 1e15", where=where)
        try:
            metadata = json.dumps(dict(tracklet.metadata), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"metadata that is no JSON ({error})", where=where) from None
        texts = (tracklet.label, tracklet.camera, tracklet.source, tracklet.key)
        whole = tracklet.time_us is None or isinstance(tracklet.time_us, int | np.integer)
        if not whole or not all(value is None or isinstance(value, str) for value in texts):
            hint = "label, camera, source and key are text, time_us is a whole number"
            raise InputError("a field of another type", where=where, hint=hint)
        time_us = None if tracklet.time_us is None else int(tracklet.time_us)
        label, camera, source, key = texts
        return stored.tobytes(), label, camera, time_us, source, key, metadata


def _entry(row: Sequence[Any]) -> Entry:
    number, label, camera, time_us, source, key, metadata = row
    return Entry(
        id=number, label=label, camera=camera, time_us=time_us, source=source, key=key,
        metadata=json.loads(metadata),
    )  # fmt: skip
