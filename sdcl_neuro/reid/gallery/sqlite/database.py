"""A gallery's SQLite file: opened, checked, and changed whole or not at all."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path
from sdcl_neuro.files.reading import reason_of, regular_file

from ..checks import check_model

APPLICATION_ID = 0x53444731  # "SDG1": what makes an SQLite file a gallery
_POLLED_MS = 3
PATIENCE_S = 60.0  # how long one process waits for another's transaction
# The revision counts whatever makes an index wrong, also where another program did it; new rows do
# not: ids only grow, so they are found by their id.
_FIRST = """
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
"""
# Rows of the first version count as enrolled when the file is brought to the second.
_SECOND = """
ALTER TABLE gallery ADD COLUMN retain_us INTEGER;
ALTER TABLE entry ADD COLUMN enrolled_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entry ADD COLUMN crop BLOB;
UPDATE entry SET enrolled_us = 1000000 * CAST(strftime('%s', 'now') AS INTEGER);
CREATE INDEX entry_enrolled ON entry (enrolled_us);
CREATE INDEX entry_label ON entry (label);
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time_us INTEGER NOT NULL, user TEXT NOT NULL,
    action TEXT NOT NULL, entries INTEGER NOT NULL, detail TEXT NOT NULL);
"""
# Without them a search of one camera or one day reads every row.
_THIRD = """
CREATE INDEX entry_camera ON entry (camera);
CREATE INDEX entry_time ON entry (time_us);
"""
MIGRATIONS = (_FIRST, _SECOND, _THIRD)
"""What brings a file from each version to the next; an older file is brought up when opened."""
VERSION = len(MIGRATIONS)


class Database:
    """A gallery's file. Every reading and writing lies in a `snapshot` or a `change`.

    Args:
        path: of the file.
        model: hash of the model whose embeddings it holds; None accepts any.
        dimension: of an embedding; None accepts any.
        create: make the file if there is none.

    Raises:
        InputError: no such file, not a gallery, or one of another model or dimension.
    """

    def __init__(
        self, path: Path, *, model: str | None, dimension: int | None, create: bool
    ) -> None:
        self.path = path
        if dimension is not None and dimension < 1:
            raise InputError(f"dimension {dimension}", where=str(path), hint="give 1 or more")
        hint = "enrol something first, or name another"
        if path.exists():
            regular_file(path, what="a gallery", hint=hint)
        elif not create:
            raise InputError("no such gallery", where=str(path), hint=hint)
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
                # What is deleted is overwritten with zeros.
                self.base.execute("PRAGMA secure_delete = ON")
                # What a stranger's file declares may not run anything: triggers are checked, too.
                self.base.execute("PRAGMA trusted_schema = OFF")
            if create:
                self._make(model, dimension)
            self._migrate()
            self.model, self.dimension = self._whose(model, dimension)
        except BaseException:
            self.base.close()
            raise

    def _make(self, model: str | None, dimension: int | None) -> None:
        with self.change():
            if not self.value("SELECT count(*) FROM sqlite_master"):
                for script in MIGRATIONS:
                    self._run(script)
                self.base.execute(
                    "INSERT INTO gallery (one, model, dimension) VALUES (1, ?, ?)",
                    (model, dimension),
                )
                self.base.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self.base.execute(f"PRAGMA user_version = {VERSION}")

    def _migrate(self) -> None:
        """Bring an older file to this version, whole or not at all."""
        with self.snapshot():
            version = self._version()
            self._check_schema()
            if version == VERSION:
                return
        with self.change():
            for script in MIGRATIONS[self._version() :]:
                self._run(script)
            self.base.execute(f"PRAGMA user_version = {VERSION}")

    def _version(self) -> int:
        """Return the version of the file's tables.

        Raises:
            InputError: not a gallery, or one of a later version.
        """
        found = self.value("PRAGMA application_id"), self.value("PRAGMA user_version")
        if found[0] != APPLICATION_ID or not 1 <= found[1] <= VERSION:
            raise InputError(
                "not a gallery" if found[0] != APPLICATION_ID else f"gallery version {found[1]}",
                where=str(self.path),
                hint=f"give a gallery of version 1 to {VERSION}, or the name of a new file",
            )
        return int(found[1])

    def _whose(self, model: str | None, dimension: int | None) -> tuple[str, int]:
        with self.snapshot():
            row = self.base.execute("SELECT model, dimension FROM gallery").fetchone()
        made, size = row or ("", 0)
        if not isinstance(made, str) or not isinstance(size, int):
            raise InputError(
                "its table gallery is damaged", where=str(self.path), hint="restore a copy of it"
            )
        check_model(str(self.path), (made, size), (model, dimension))
        return made, size

    def _run(self, script: str) -> None:
        for statement in _statements(script):
            self.base.execute(statement)

    def _check_schema(self) -> None:
        """See that tables are tables, not views without end, and that no trigger is foreign."""
        rows = self.base.execute("SELECT type, name, sql FROM sqlite_master LIMIT 1000").fetchall()
        tables = {name for kind, name, _ in rows if kind == "table"}
        own = {
            " ".join(text.split()).rstrip(";")
            for script in MIGRATIONS
            for text in _statements(script)
        }
        wrong = [name for name in ("gallery", "entry", "cache") if name not in tables]
        wrong += [
            str(name)
            for kind, name, text in rows
            if kind in ("view", "trigger") and " ".join(str(text).split()) not in own
        ]
        if wrong:
            raise InputError(
                f"{wrong[0]!r} in it is not what a gallery has there",
                where=str(self.path),
                hint="give a gallery that this program made",
            )

    def close(self) -> None:
        """Close the file; nothing waits to be written."""
        self.base.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Open a transaction: all of the block on disk, or nothing of it."""
        with self._transaction("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read several times from one and the same state."""
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
        """Begin a transaction once no other connection holds the lock.

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
        """Write a copy of one state of the file, whole or not at all."""
        with _told(target), atomic_path(target) as temporary:
            copy = sqlite3.connect(temporary)
            try:
                self.base.backup(copy)
            finally:
                copy.close()

    def rewrite(self) -> None:
        """Write the whole file again: nothing of a deleted row stays in it."""
        with _told(self.path):
            self.base.execute("VACUUM")

    def value(self, query: str, *values: Any) -> Any:
        """Return the one value a query gives."""
        (value,) = self.base.execute(query, values).fetchone()
        return value


def _statements(script: str) -> Iterator[str]:
    """Yield statements one by one: ``executescript`` would commit before it begins."""
    held = ""
    for line in script.splitlines():
        held += f"{line}\n"
        if sqlite3.complete_statement(held):
            yield held
            held = ""


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell SQLite's faults in one line."""
    try:
        yield
    except (sqlite3.Error, OverflowError, ValueError, RecursionError) as error:
        raise InputError(
            f"not a gallery that can be used: {reason_of(error)}",
            where=str(path),
            hint="see that it is a whole gallery, no process blocks it, and there is room",
        ) from None
