"""The durable side: rows in SQLite; what a call has returned from is on disk, whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from ..contract import AuditEntry, StoredRow, now_us, user_name
from ..entries import Enrolled, Entry, Where
from .database import Database

_FETCHED = 4096  # rows held as Python objects at a time
_COLUMNS = "id, label, camera, time_us, source, key, metadata, enrolled_us"
_STORED = "embedding, label, camera, time_us, source, key, metadata, enrolled_us, crop"


@dataclass(frozen=True)
class Cache:
    """What an index on disk must be to be trusted; see `index_file`."""

    sha256: str
    count: int
    last: int
    revision: int


class Rows(Database):
    """A gallery's rows. What reads alone is called inside a `snapshot`."""

    def add(self, rows: Sequence[StoredRow]) -> Enrolled:
        """Add rows in one transaction; see `GalleryStore.add`."""
        ids, added = [], 0
        with self.change():
            for row in rows:
                done = self._insert(row)
                added += done is not None
                ids.append(
                    self.value("SELECT id FROM entry WHERE key = ?", row.key)
                    if done is None
                    else done
                )
            self._note("enrol", added, {"given": len(rows)})
        return Enrolled(tuple(ids), added)

    def _insert(self, row: StoredRow) -> int | None:
        """Return the new row's id; None where its key was there already."""
        done = self.base.execute(
            f"INSERT INTO entry ({_STORED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (key) DO NOTHING",
            (
                *(row.embedding.tobytes(), row.label, row.camera, row.time_us, row.source),
                *(row.key, row.metadata, row.enrolled_us, row.crop),
            ),
        )
        return int(done.lastrowid or 0) if done.rowcount else None

    def remove(self, ids: Sequence[int], *, action: str = "remove") -> int:
        """Delete rows; how many there were."""
        with self.change():
            done = self.base.executemany("DELETE FROM entry WHERE id = ?", [(n,) for n in ids])
            self._note(action, done.rowcount, {"ids": list(ids)})
            return done.rowcount

    def relabel(self, ids: Sequence[int], label: str | None, *, action: str = "relabel") -> int:
        """Set the label of rows; how many there were."""
        with self.change():
            rows = [(label, n) for n in ids]
            done = self.base.executemany("UPDATE entry SET label = ? WHERE id = ?", rows)
            self._note(action, done.rowcount, {"ids": list(ids)})
            return done.rowcount

    def retention(self) -> int | None:
        """See `GalleryStore`."""
        with self.snapshot():
            found: int | None = self.value("SELECT retain_us FROM gallery")
            return found

    def set_retention(self, retain_us: int | None) -> None:
        """See `GalleryStore`."""
        with self.change():
            self.base.execute("UPDATE gallery SET retain_us = ?", (retain_us,))
            self._note("retain", 0, {"retain_us": retain_us})

    def expire(self, moment_us: int) -> int:
        """See `GalleryStore`; nothing is written where nothing is too old."""
        with self.snapshot():
            condition = "enrolled_us < ? - (SELECT retain_us FROM gallery)"
            found = self.base.execute(
                f"SELECT 1 FROM entry WHERE {condition} LIMIT 1", (moment_us,)
            )
            if found.fetchone() is None:
                return 0
        with self.change():
            gone = self.base.execute(f"DELETE FROM entry WHERE {condition}", (moment_us,)).rowcount
            self._note("expire", gone, {})
            return gone

    def note(self, action: str, entries: int, detail: Mapping[str, Any]) -> None:
        """See `GalleryStore`."""
        with self.change():
            self._note(action, entries, detail)

    def _note(self, action: str, entries: int, detail: Mapping[str, Any]) -> None:
        self.base.execute(
            "INSERT INTO audit (time_us, user, action, entries, detail) VALUES (?, ?, ?, ?, ?)",
            (now_us(), user_name(), action, entries, json.dumps(detail)),
        )

    def audit(self, limit: int) -> list[AuditEntry]:
        """See `GalleryStore`."""
        with self.snapshot():
            rows = self.base.execute(
                "SELECT time_us, user, action, entries, detail FROM audit ORDER BY id DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [
            AuditEntry(moment, user, action, entries, json.loads(detail))
            for moment, user, action, entries, detail in reversed(rows)
        ]

    def rows(self) -> Iterator[StoredRow]:
        """See `GalleryStore`; a piece at a time, each of one moment."""
        after = 0
        while True:
            with self.snapshot():
                found = self.base.execute(
                    f"SELECT id, {_STORED} FROM entry WHERE id > ? ORDER BY id LIMIT {_FETCHED}",
                    (after,),
                ).fetchall()
            if not found:
                return
            for number, blob, *rest in found:
                yield StoredRow(self._vector(number, blob), *rest)
                after = number

    def receive(self, rows: Iterable[StoredRow], retain_us: int | None) -> int:
        """See `GalleryStore`."""
        taken = 0
        with self.change():
            for row in rows:
                self._insert(row)
                taken += 1
            self.base.execute("UPDATE gallery SET retain_us = ?", (retain_us,))
            self._note("receive", taken, {})
        return taken

    def crop(self, number: int) -> bytes | None:
        """See `GalleryStore`."""
        with self.snapshot():
            row = self.base.execute("SELECT crop FROM entry WHERE id = ?", (number,)).fetchone()
        return None if row is None else row[0]

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """See `GalleryStore`."""
        found = []
        with self.snapshot():
            for number in ids:
                query = "SELECT embedding FROM entry WHERE id = ?"
                row = self.base.execute(query, (number,)).fetchone()
                if row is not None:
                    found.append(self._vector(number, row[0]))
        return np.array(found, dtype=np.float32).reshape(len(found), self.dimension)

    def _vector(self, number: int, blob: Any) -> NDArray[np.float32]:
        if not isinstance(blob, bytes) or len(blob) != 4 * self.dimension:
            raise InputError(f"entry {number} is damaged", where=str(self.path))
        return np.frombuffer(blob, "<f4")

    def state(self) -> tuple[int, int, int]:
        """Return the revision, the number of rows, and the last id (0 without rows)."""
        return (
            self.value("SELECT revision FROM gallery"),
            self.value("SELECT count(*) FROM entry"),
            self.value("SELECT coalesce(max(id), 0) FROM entry"),
        )

    def ids(self, where: Where, *, last: int | None = None) -> NDArray[np.int64]:
        """Return ids of rows in order, up to `last`."""
        condition, values = where.sql()
        if last is not None:
            condition, values = f"({condition}) AND id <= ?", [*values, last]
        # Sorted here: asked for an order, SQLite reads all rows in it rather than an index.
        rows = self.base.execute(f"SELECT id FROM entry WHERE {condition}", values)
        return np.sort(np.fromiter((row[0] for row in rows), dtype=np.int64))

    def vectors(self, after: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield ids ``[n]`` and embeddings ``[n, D]`` of the rows past an id, in order, in
        pieces.
        """
        rows = self.base.execute(
            "SELECT id, embedding FROM entry WHERE id > ? ORDER BY id", (after,)
        )
        while piece := rows.fetchmany(_FETCHED):
            yield (
                np.array([number for number, _ in piece], dtype=np.int64),
                np.stack([self._vector(*row) for row in piece]).astype(np.float32, copy=False),
            )

    def by_id(self, ids: Sequence[int]) -> dict[int, Entry]:
        """Return rows by id; those that are not there are left out."""
        found = {}
        for number in dict.fromkeys(ids):
            row = self.base.execute(
                f"SELECT {_COLUMNS} FROM entry WHERE id = ?", (number,)
            ).fetchone()
            if row is not None:
                found[number] = _entry(row)
        return found

    def all_entries(self, where: Where) -> list[Entry]:
        """Return rows in the order of their ids."""
        condition, values = where.sql()
        rows = self.base.execute(
            f"SELECT {_COLUMNS} FROM entry WHERE {condition} ORDER BY id", values
        )
        return [_entry(row) for row in rows]

    def cache(self, metric: str) -> Cache | None:
        """Return what the index of a metric on disk must be."""
        row = self.base.execute(
            "SELECT sha256, count, last, revision FROM cache WHERE metric = ?", (metric,)
        ).fetchone()
        whole = row is not None and isinstance(row[0], str)
        if not whole or not all(isinstance(value, int) for value in row[1:]):
            return None  # damaged: the index is made again
        return Cache(*row)

    def set_cache(self, metric: str, cache: Cache) -> None:
        """Remember the index that was just written."""
        with self.change():
            self.base.execute(
                "INSERT OR REPLACE INTO cache VALUES (?, ?, ?, ?, ?)",
                (metric, cache.sha256, cache.count, cache.last, cache.revision),
            )


def _entry(row: Sequence[Any]) -> Entry:
    """Return a row as an entry; another program may have written it.

    Raises:
        ValueError: a column of another type, which `Database` reports with the file's name.
    """
    number, label, camera, time_us, source, key, metadata, enrolled_us = row
    texts = {"label": label, "camera": camera, "source": source, "key": key}
    wrong = [name for name, value in texts.items() if not isinstance(value, str | None)]
    if not isinstance(time_us, int | None):
        wrong.append("time_us")
    if not isinstance(enrolled_us, int):
        wrong.append("enrolled_us")
    held = json.loads(metadata) if isinstance(metadata, str) else None
    if wrong or not isinstance(held, dict):
        wrong.append("metadata")
        raise ValueError(f"entry {number} is damaged: its {wrong[0]} is of another type")
    return Entry(
        id=number, label=label, camera=camera, time_us=time_us, source=source, key=key,
        metadata=held, enrolled_us=enrolled_us,
    )  # fmt: skip
