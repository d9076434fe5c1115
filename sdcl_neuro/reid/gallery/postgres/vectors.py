"""pgvector as an engine of the exact search: it proposes, float64 here decides."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..engines import Found, Vectors, prepared
from ..entries import Metric

if TYPE_CHECKING:
    import psycopg

EF_SEARCH = 200
"""Candidates that an HNSW search keeps, for recall (pgvector README, "Query Options")."""


class TableEngine:
    """The rows of a gallery that meet a condition; positions are their ids.

    Args:
        cursor: in a transaction that sees one state.
        table: its name, quoted.
        condition: of ``WHERE``, and its values.
        metric: what is compared.
        approximate: whether an HNSW index may propose, for ``cosine``.
    """

    # The product and both norms are summed in float32, and two of them divided.
    roundings = 4

    def __init__(
        self,
        cursor: psycopg.Cursor[Any],
        table: str,
        condition: tuple[str, Sequence[Any]],
        *,
        metric: Metric,
        approximate: bool = False,
    ) -> None:
        self._cursor, self._table, self._metric = cursor, table, metric
        self._condition, self._values = condition
        # An expression around the operator keeps the index out, and gives zero vectors their 1.
        near = "embedding <=> %s::vector"
        if metric == "euclidean":
            near = "embedding <-> %s::vector"
        elif not approximate:
            near = f"coalesce(nullif({near}, 'NaN'), 1)"
        tie = "" if approximate else ", id"
        # Converted to text outside: PostgreSQL converts what it selects before it sorts, of every
        # row, which is most of the time (50,000 rows of 128 numbers: 93 ms, and 15 ms this way).
        self._query = (
            f"SELECT id, embedding::text, far FROM (SELECT id, embedding, {near} AS far "
            f"FROM {table} WHERE {self._condition} ORDER BY {near}{tie} LIMIT %s) AS found"
        )
        self._known: dict[int, Vectors] = {}

    def at_most(self, limit: int) -> int:
        """See `Engine`: rows that meet the condition, of which no more are counted."""
        query = f"SELECT 1 FROM {self._table} WHERE {self._condition} LIMIT %s"
        self._cursor.execute(f"SELECT count(*) FROM ({query}) AS counted", [*self._values, limit])
        (count,) = self._cursor.fetchone() or (0,)
        return int(count)

    def nearest(self, queries: Vectors, count: int, allowed: NDArray[np.bool_] | None) -> Found:
        """See `Engine`; `allowed` is the condition's part."""
        scores = np.full((len(queries), count), -np.inf)
        places = np.full((len(queries), count), -1, np.int64)
        for number, query in enumerate(queries):
            text = vector_text(query)
            self._cursor.execute(self._query, [text, *self._values, text, count])
            rows = self._cursor.fetchall()
            ids = [int(row[0]) for row in rows]
            far = np.array([row[2] for row in rows], dtype=np.float64)
            places[number, : len(ids)] = ids
            scores[number, : len(ids)] = 1 - far if self._metric == "cosine" else -(far**2)
            held = prepared(parsed([row[1] for row in rows], len(query)), self._metric)
            self._known.update(zip(ids, held, strict=True))
        return scores, places

    def vectors(self, positions: NDArray[np.int64]) -> Vectors:
        """See `Engine`; of rows that `nearest` has just given."""
        return np.array([self._known[number] for number in positions.tolist()], np.float32)


def vector_text(vector: NDArray[np.floating[Any]]) -> str:
    """Spell a vector as pgvector reads it; float32 comes back to the bit."""
    return "[" + ",".join(map(str, vector.tolist())) + "]"


def parsed(texts: Sequence[str], dimension: int) -> Vectors:
    """Read vectors as pgvector spells them, ``[n, D]``."""
    rows = [json.loads(text) for text in texts]
    return np.array(rows, dtype=np.float32).reshape(len(rows), dimension)
