"""Rows between Python and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..contract import StoredRow
from ..entries import Entry
from .vectors import parsed, vector_text

if TYPE_CHECKING:
    import psycopg

ENTRY = "id, label, camera, time_us, source, key, metadata, enrolled_us"
STORED = "embedding::text, label, camera, time_us, source, key, metadata::text, enrolled_us, crop"
_TYPES = "bigint[], text[], text[], text[], bigint[], text[], text[], text[], bigint[], bytea[]"
_BATCH = 1000  # rows of one statement


def insert(
    cursor: psycopg.Cursor[Any], schema: str, rows: Sequence[StoredRow]
) -> tuple[list[int], int]:
    """Insert rows whose key is new.

    Returns:
        The id of each row, of the older one where its key was there; how many are new.
    """
    ids: list[int] = []
    added = 0
    for start in range(0, len(rows), _BATCH):
        some = rows[start : start + _BATCH]
        given = _new_ids(cursor, schema, len(some))
        new = _inserted(cursor, schema, given, some)
        added += len(new)
        older = _ids_by_key(
            cursor, schema, [row.key for n, row in zip(given, some, strict=True) if n not in new]
        )
        ids += [
            number if number in new else older[str(row.key)]
            for number, row in zip(given, some, strict=True)
        ]
    return ids, added


def entry_of(row: Sequence[Any]) -> Entry:
    """Make an entry of the columns `ENTRY`."""
    number, label, camera, time_us, source, key, metadata, enrolled_us = row
    return Entry(
        id=number, label=label, camera=camera, time_us=time_us, source=source, key=key,
        metadata=metadata, enrolled_us=enrolled_us,
    )  # fmt: skip


def row_of(stored: Sequence[Any], dimension: int) -> StoredRow:
    """Make a row of the columns `STORED`."""
    text, label, camera, time_us, source, key, metadata, enrolled_us, crop = stored
    return StoredRow(
        embedding=parsed([text], dimension)[0], label=label, camera=camera, time_us=time_us,
        source=source, key=key, metadata=metadata, enrolled_us=enrolled_us,
        crop=None if crop is None else bytes(crop),
    )  # fmt: skip


def _new_ids(cursor: psycopg.Cursor[Any], schema: str, count: int) -> list[int]:
    cursor.execute(
        "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
        (f"{schema}.entry", count),
    )
    return [int(row[0]) for row in cursor.fetchall()]


def _inserted(
    cursor: psycopg.Cursor[Any], schema: str, ids: Sequence[int], rows: Sequence[StoredRow]
) -> set[int]:
    marks = ", ".join(f"%s::{kind.strip()}" for kind in _TYPES.split(","))
    cursor.execute(
        f"INSERT INTO {schema}.entry (id, embedding, label, camera, time_us, source, key, "
        "metadata, enrolled_us, crop) SELECT id, embedding::vector, label, camera, time_us, "
        f"source, key, metadata::json, enrolled_us, crop FROM unnest({marks}) AS given "
        "(id, embedding, label, camera, time_us, source, key, metadata, enrolled_us, crop) "
        "ORDER BY id ON CONFLICT (key) DO NOTHING RETURNING id",
        (
            list(ids),
            [vector_text(row.embedding) for row in rows],
            [row.label for row in rows],
            [row.camera for row in rows],
            [row.time_us for row in rows],
            [row.source for row in rows],
            [row.key for row in rows],
            [row.metadata for row in rows],
            [row.enrolled_us for row in rows],
            [row.crop for row in rows],
        ),
    )
    return {int(row[0]) for row in cursor.fetchall()}


def _ids_by_key(
    cursor: psycopg.Cursor[Any], schema: str, keys: Sequence[str | None]
) -> dict[str, int]:
    if not keys:
        return {}
    cursor.execute(f"SELECT key, id FROM {schema}.entry WHERE key = ANY(%s)", (list(keys),))
    return {str(key): int(number) for key, number in cursor.fetchall()}
