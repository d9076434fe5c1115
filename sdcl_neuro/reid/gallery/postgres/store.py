"""`PostgresStore`: a gallery's rows in a schema of a database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from ..contract import AuditEntry, StoredRow, now_us, user_name
from ..engines import prepared
from ..entries import Enrolled, Entry, Hit, Metric, Where
from ..search import search
from .address import parse_address
from .memory import ASK, Settings, settings_to_try
from .opening import opened
from .rows import ENTRY, STORED, entry_of, insert, row_of
from .schema import HNSW, LARGEST_HNSW
from .vectors import EF_SEARCH, TableEngine, parsed

if TYPE_CHECKING:
    import psycopg

_FETCHED = 4096  # rows held as Python objects at a time


class PostgresStore:
    """See `GalleryStore`; opened by `open_store`."""

    engine = "pgvector"

    def __init__(
        self, address: str, *, model: str | None, dimension: int | None, create: bool
    ) -> None:
        parsed_address = parse_address(address)
        self.address, self._schema = parsed_address.shown, f'"{parsed_address.name}"'
        self._server, found = opened(
            parsed_address, model=model, dimension=dimension, create=create
        )
        self.model, self.dimension = found

    def add(self, rows: Sequence[StoredRow]) -> Enrolled:
        """See `GalleryStore`."""

        def work(cursor: psycopg.Cursor[Any]) -> Any:
            ids, added = insert(cursor, self._schema, rows)
            self._note(cursor, "enrol", added, {"given": len(rows)})
            return [ids, added]

        ids, added = self._server.change(self._schema, work)
        return Enrolled(tuple(ids), added)

    def remove(self, ids: Sequence[int], *, action: str = "remove") -> int:
        """See `GalleryStore`."""

        def work(cursor: psycopg.Cursor[Any]) -> int:
            query = f"DELETE FROM {self._schema}.entry WHERE id = ANY(%s)"
            gone = cursor.execute(query, (list(ids),)).rowcount
            self._note(cursor, action, gone, {"ids": list(ids)})
            return gone

        return int(self._server.change(self._schema, work))

    def relabel(self, ids: Sequence[int], label: str | None, *, action: str = "relabel") -> int:
        """See `GalleryStore`."""

        def work(cursor: psycopg.Cursor[Any]) -> int:
            query = f"UPDATE {self._schema}.entry SET label = %s WHERE id = ANY(%s)"
            changed = cursor.execute(query, (label, list(ids))).rowcount
            self._note(cursor, action, changed, {"ids": list(ids)})
            return changed

        return int(self._server.change(self._schema, work))

    def count(self) -> int:
        """See `GalleryStore`."""
        ((count,),) = self._select(f"SELECT count(*) FROM {self._schema}.entry")
        return int(count)

    def entries(self, where: Where) -> list[Entry]:
        """See `GalleryStore`."""
        condition, values = where.sql("%s")
        query = f"SELECT {ENTRY} FROM {self._schema}.entry WHERE {condition} ORDER BY id"
        return [entry_of(row) for row in self._select(query, values)]

    def crop(self, number: int) -> bytes | None:
        """See `GalleryStore`."""
        query = f"SELECT crop FROM {self._schema}.entry WHERE id = %s"
        rows = self._select(query, [number])
        return bytes(rows[0][0]) if rows and rows[0][0] is not None else None

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """See `GalleryStore`."""
        query = f"SELECT id, embedding::text FROM {self._schema}.entry WHERE id = ANY(%s)"
        found = dict(self._select(query, [list(ids)]))
        return parsed([found[number] for number in ids if number in found], self.dimension)

    def nearest(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        metric: Metric,
        where: Where,
        approximate: bool,
    ) -> list[list[Hit]]:
        """See `GalleryStore`."""
        if approximate and metric != "cosine":
            raise InputError(
                f"no approximate search by {metric}", where=self.address, hint="use cosine"
            )

        def work(cursor: psycopg.Cursor[Any]) -> list[list[Hit]]:
            return self._nearest(cursor, prepared(queries, metric), k, metric, where, approximate)

        hits: list[list[Hit]] = self._server.read(work)
        return hits

    def _nearest(
        self,
        cursor: psycopg.Cursor[Any],
        queries: NDArray[np.float32],
        k: int,
        metric: Metric,
        where: Where,
        approximate: bool,
    ) -> list[list[Hit]]:
        if approximate:
            cursor.execute(f"SET LOCAL hnsw.ef_search = {EF_SEARCH}")
            # With a filter, go on until enough rows meet it (pgvector 0.8).
            cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
            cursor.execute("SET LOCAL enable_seqscan = off")
        engine = TableEngine(
            cursor,
            f"{self._schema}.entry",
            where.sql("%s"),
            metric=metric,
            approximate=approximate,
        )
        answers = search(engine, queries, k, metric=metric, settle=not approximate)
        wanted = sorted({number for _, places in answers for number in places.tolist()})
        cursor.execute(f"SELECT {ENTRY} FROM {self._schema}.entry WHERE id = ANY(%s)", (wanted,))
        entries = {row[0]: entry_of(row) for row in cursor.fetchall()}
        return [
            [Hit(entries[number], far) for far, number in zip(*answer, strict=True)]
            for answer in ((far.tolist(), places.tolist()) for far, places in answers)
        ]

    def build_index(self) -> None:
        """Build the HNSW index for approximate searches by cosine; it follows later changes.

        The server is asked to hold it in memory while it is built, see `memory`.

        Raises:
            InputError: more dimensions than pgvector can index.
        """
        if self.dimension > LARGEST_HNSW:
            raise InputError(
                f"{self.dimension} dimensions, of which pgvector indexes {LARGEST_HNSW}",
                where=self.address,
                hint="search exactly",
            )
        self._server.alone(HNSW.format(schema=self._schema), self._memory())

    def _memory(self) -> tuple[Settings, ...]:
        """Return settings for a build of the index, see `settings_to_try`."""

        def work(cursor: psycopg.Cursor[Any]) -> tuple[Settings, ...]:
            asked = cursor.execute(ASK).fetchone() or ("unknown", 0)
            cursor.execute(f"SELECT count(*) FROM {self._schema}.entry")
            (entries,) = cursor.fetchone() or (0,)
            return settings_to_try((str(asked[0]), int(asked[1])), entries, self.dimension)

        tries: tuple[Settings, ...] = self._server.read(work)
        return tries

    def retention(self) -> int | None:
        """See `GalleryStore`."""
        ((found,),) = self._select(f"SELECT retain_us FROM {self._schema}.gallery")
        return None if found is None else int(found)

    def set_retention(self, retain_us: int | None) -> None:
        """See `GalleryStore`."""

        def work(cursor: psycopg.Cursor[Any]) -> None:
            cursor.execute(f"UPDATE {self._schema}.gallery SET retain_us = %s", (retain_us,))
            self._note(cursor, "retain", 0, {"retain_us": retain_us})

        self._server.change(self._schema, work)

    def expire(self, moment_us: int) -> int:
        """See `GalleryStore`; nothing is written where nothing is too old."""
        # The least is at the end of an index; asked for one that is older, PostgreSQL may read
        # all rows, and every search asks.
        first = f"(SELECT min(enrolled_us) FROM {self._schema}.entry)"
        ((retain, oldest),) = self._select(f"SELECT retain_us, {first} FROM {self._schema}.gallery")
        if retain is None or oldest is None or oldest >= moment_us - retain:
            return 0
        old = f"enrolled_us < %s - (SELECT retain_us FROM {self._schema}.gallery)"

        def work(cursor: psycopg.Cursor[Any]) -> int:
            gone = cursor.execute(
                f"DELETE FROM {self._schema}.entry WHERE {old}", (moment_us,)
            ).rowcount
            self._note(cursor, "expire", gone, {})
            return gone

        return int(self._server.change(self._schema, work))

    def note(self, action: str, entries: int, detail: Mapping[str, Any]) -> None:
        """See `GalleryStore`."""
        self._server.change(
            self._schema, lambda cursor: self._note(cursor, action, entries, detail)
        )

    def _note(
        self, cursor: psycopg.Cursor[Any], action: str, entries: int, detail: Mapping[str, Any]
    ) -> None:
        cursor.execute(
            f'INSERT INTO {self._schema}.audit (time_us, "user", action, entries, detail) '
            "VALUES (%s, %s, %s, %s, %s)",
            (now_us(), user_name(), action, entries, json.dumps(detail)),
        )

    def audit(self, limit: int) -> list[AuditEntry]:
        """See `GalleryStore`."""
        rows = self._select(
            f'SELECT time_us, "user", action, entries, detail FROM {self._schema}.audit '
            "ORDER BY id DESC LIMIT %s",
            [limit],
        )
        return [AuditEntry(*row) for row in reversed(rows)]

    def vacuum(self) -> None:
        """See `GalleryStore`; the server's log of changes (WAL) is recycled in its own time.

        It builds the indexes again, the HNSW index as `build_index` does.
        """
        ((indexed,),) = self._select("SELECT to_regclass(%s)", [f"{self._schema}.entry_hnsw"])
        tries = self._memory() if indexed is not None else ({},)
        self._server.alone(f"VACUUM (FULL) {self._schema}.entry", tries)
        self._server.alone(f"VACUUM (FULL) {self._schema}.done")

    def clone(self, target: str) -> int | None:
        """See `GalleryStore`: a database makes no file."""
        return None

    def rows(self) -> Iterator[StoredRow]:
        """See `GalleryStore`; a piece at a time."""
        after = 0
        query = f"SELECT id, {STORED} FROM {self._schema}.entry WHERE id > %s ORDER BY id LIMIT %s"
        while found := self._select(query, [after, _FETCHED]):
            for number, *rest in found:
                yield row_of(rest, self.dimension)
                after = number

    def receive(self, rows: Iterable[StoredRow], retain_us: int | None) -> int:
        """See `GalleryStore`; a lost connection ends it, since `rows` can be read only once."""

        def work(cursor: psycopg.Cursor[Any]) -> int:
            left, taken = iter(rows), 0
            while some := list(islice(left, _FETCHED)):
                insert(cursor, self._schema, some)
                taken += len(some)
            cursor.execute(f"UPDATE {self._schema}.gallery SET retain_us = %s", (retain_us,))
            self._note(cursor, "receive", taken, {})
            return taken

        return int(self._server.change(self._schema, work, repeat=False))

    def close(self) -> None:
        """See `GalleryStore`."""
        self._server.close()

    def _select(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        def work(cursor: psycopg.Cursor[Any]) -> list[Any]:
            return cursor.execute(query, values).fetchall()

        rows: list[Any] = self._server.read(work)
        return rows


def open_store(
    address: str, *, model: str | None, dimension: int | None, create: bool, engine: str | None
) -> PostgresStore:
    """Open or make a gallery in a database; see `stores.open_store`.

    Raises:
        InputError: an engine is asked for: pgvector searches here.
    """
    if engine is not None:
        raise InputError(f"engine {engine!r}", where=address, hint="pgvector searches a database")
    return PostgresStore(address, model=model, dimension=dimension, create=create)
