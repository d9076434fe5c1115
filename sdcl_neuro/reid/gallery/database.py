"""A gallery's SQLite file: opened, checked, and changed whole or not at all."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path

APPLICATION_ID = 0x53444731  # "SDG1": what makes an SQLite file a gallery
VERSION = 1
_POLLED_MS = 3
PATIENCE_S = 60.0  # how long one process waits for another's transaction
# The revision counts whatever makes an index wrong, also where another program did it; new rows do
# not: ids only grow, so they are found by their id.
_TABLES = f"""
CREATE TABLE gallery (
    one INTEGER PRIMARY KEY CHECK (one = 1), model TEXT NOT NULL, dimension INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0);
CREATE TABLE entry (
    id INTEGER PRIMARY KEY AUTOINCREMENT, embedding BLOB NOT NULL, label TEXT, camera TEXT,
    time_us INTEGER, source TEXT, key TEXT UNIQUE, metadata TEXT NOT NULL);
CREATE TABLE cache (
    metric TEXT PRIMARY KEY, sha256 TEXT NOT NULL, count INTEGER NOT NULL, last INTEGER NOT NULL,
    revision INTEGER NOT NULL);
CREATE TRIGGER removed AFTER DELETE ON entry BEGIN UPDATE gallery SET revision = revision + 1; END;
CREATE TRIGGER changed AFTER UPDATE OF id, embedding ON entry
    BEGIN UPDATE gallery SET revision = revision + 1; END;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""


class Database:
    """A gallery's file. Every reading and writing lies in a `snapshot` or a `change`.

    Args:
        path: of the file.
        model: hash of the model whose embeddings it holds.
        dimension: of an embedding.
        create: make the file if there is none.

    Raises:
        InputError: no such file, no gallery, or one of another model or dimension.
    """

    def __init__(self, path: Path, *, model: str, dimension: int, create: bool) -> None:
        self.path, self.dimension = path, dimension
        if dimension < 1:
            raise InputError(f"dimension {dimension}", where=str(path), hint="give 1 or more")
        if path.is_dir() or not (create or path.exists()):
            what = "a folder" if path.is_dir() else "no such gallery"
            raise InputError(what, where=str(path), hint="enrol something first, or name another")
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        with _told(path):
            # Autocommit: transactions begin and end where `change` and `snapshot` say.
            self.base = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode={'rwc' if create else 'rw'}",
                uri=True,
                timeout=PATIENCE_S,
                isolation_level=None,
            )
        try:
            with _told(path):
                # A transaction that returned has to outlast the power too, not only the process.
                self.base.execute("PRAGMA synchronous = EXTRA")
            self._open(model, create=create)
        except BaseException:
            self.base.close()
            raise

    def _open(self, model: str, *, create: bool) -> None:
        if create:
            with self.change():
                if not self.value("SELECT count(*) FROM sqlite_master"):
                    for statement in _statements(_TABLES):
                        self.base.execute(statement)
                    self.base.execute(
                        "INSERT INTO gallery (one, model, dimension) VALUES (1, ?, ?)",
                        (model, self.dimension),
                    )
        with self.snapshot():
            found = self.value("PRAGMA application_id"), self.value("PRAGMA user_version")
            if found != (APPLICATION_ID, VERSION):
                raise InputError(
                    "no gallery" if found[0] != APPLICATION_ID else f"gallery version {found[1]}",
                    where=str(self.path),
                    hint=f"give a gallery of version {VERSION}, or the name of a new file",
                )
            row = self.base.execute("SELECT model, dimension FROM gallery").fetchone()
        made, size = row or ("", 0)
        if (made, size) != (model, self.dimension):
            raise InputError(
                f"embeddings of model {made[:12]} in {size} dimensions; this model is "
                f"{model[:12]} in {self.dimension}",
                where=str(self.path),
                hint="use the model that made the gallery, or another file",
            )

    def close(self) -> None:
        """Close the file; nothing waits to be written."""
        self.base.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """A transaction: all of the block on disk, or nothing of it."""
        with self._transaction("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several readings of one and the same state."""
        with self._transaction("BEGIN"):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with _told(self.path):
            self._begin(begin)
            try:
                yield
                self.base.execute("COMMIT")
            except BaseException:
                if self.base.in_transaction:
                    self.base.execute("ROLLBACK")
                raise

    def _begin(self, begin: str) -> None:
        """Begin when nobody else is in the way.

        SQLite waits by longer and longer sleeps, and so may never meet the short moment between
        two transactions of a busy neighbour: here they stay short.
        """
        deadline = time.monotonic() + PATIENCE_S
        self.base.execute(f"PRAGMA busy_timeout = {_POLLED_MS}")
        try:
            while True:
                try:
                    self.base.execute(begin)
                    self.value("SELECT count(*) FROM sqlite_master")  # takes a reader's lock, too
                    return
                except sqlite3.OperationalError as error:
                    if self.base.in_transaction:
                        self.base.execute("ROLLBACK")
                    if (
                        error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY
                        or time.monotonic() > deadline
                    ):
                        raise
        finally:
            self.base.execute(f"PRAGMA busy_timeout = {int(1000 * PATIENCE_S)}")

    def copy(self, target: Path) -> None:
        """A copy of one state of the file, whole or not at all."""
        with _told(target), atomic_path(target) as temporary:
            copy = sqlite3.connect(temporary)
            try:
                self.base.backup(copy)
            finally:
                copy.close()

    def value(self, query: str, *values: Any) -> Any:
        """The one value a query gives."""
        (value,) = self.base.execute(query, values).fetchone()
        return value


def _statements(script: str) -> Iterator[str]:
    """Statements one by one: ``executescript`` would commit before it begins."""
    held = ""
    for line in script.splitlines():
        held += f"{line}\n"
        if sqlite3.complete_statement(held):
            yield held
            held = ""


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's faults in one line."""
    try:
        yield
    except (sqlite3.Error, OverflowError, json.JSONDecodeError) as error:
        raise InputError(
            f"no gallery that can be used: {error}",
            where=str(path),
            hint="see that it is a whole gallery, that nobody blocks it, and that there is room",
        ) from None
