"""A gallery in a database opened, made, or brought to this version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdcl_neuro.errors import EnvironmentFault, InputError

from ..checks import check_model
from ..contract import now_us
from .address import Address
from .connection import Server
from .schema import MIGRATIONS

if TYPE_CHECKING:
    import psycopg

_KEPT_US = 86_400_000_000  # answers of committed changes, a day
_LARGEST = 16_000  # dimensions of pgvector's ``vector`` (pgvector README, "Vector Type")


def opened(
    address: Address, *, model: str | None, dimension: int | None, create: bool
) -> tuple[Server, tuple[str, int]]:
    """Open a gallery.

    Args:
        address: of the gallery.
        model, dimension: of its embeddings; None accepts what is there.
        create: make it if there is none.

    Returns:
        The server, and the gallery's model and dimension.

    Raises:
        InputError: no such gallery, one of a later version, another model or dimension.
        EnvironmentFault: the database does not answer, or lacks pgvector.
    """
    if dimension is not None and not 1 <= dimension <= _LARGEST:
        hint = f"give 1 to {_LARGEST:,}, as pgvector stores"
        raise InputError(f"dimension {dimension}", where=address.shown, hint=hint)
    server = Server(address)
    schema = f'"{address.name}"'

    def work(cursor: psycopg.Cursor[Any]) -> tuple[str, int]:
        # Two that make the same gallery wait for one another.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (address.name,))
        _extension(cursor, address, create=create)
        cursor.execute("SELECT to_regclass(%s)", (f"{schema}.gallery",))
        version = 0
        if (cursor.fetchone() or (None,))[0] is not None:
            cursor.execute(f"SELECT version FROM {schema}.gallery")
            (version,) = cursor.fetchone() or (0,)
        elif not create:
            raise InputError(
                "no such gallery",
                where=address.shown,
                hint="enrol something first, or name another",
            )
        _migrate(cursor, address, schema, version, (model, dimension))
        cursor.execute(f"SELECT model, dimension FROM {schema}.gallery")
        made, size = cursor.fetchone() or ("", 0)
        check_model(address.shown, (made, size), (model, dimension))
        cursor.execute(f"DELETE FROM {schema}.done WHERE time_us < %s", (now_us() - _KEPT_US,))
        return made, size

    try:
        return server, server.read(work, begin="")
    except BaseException:
        server.close()
        raise


def _extension(cursor: psycopg.Cursor[Any], address: Address, *, create: bool) -> None:
    """See that pgvector is there; it is installed where it may be."""
    query = "SELECT 1 FROM pg_extension WHERE extname = 'vector'"
    if cursor.execute(query).fetchone() is not None:
        return
    available = "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
    if not create or cursor.execute(available).fetchone() is None:
        raise EnvironmentFault(
            "pgvector is not installed in the database",
            where=address.shown,
            hint="install pgvector on the server, then CREATE EXTENSION vector",
        )
    cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")


def _migrate(
    cursor: psycopg.Cursor[Any],
    address: Address,
    schema: str,
    version: int,
    wanted: tuple[str | None, int | None],
) -> None:
    if version == len(MIGRATIONS):
        return
    if version > len(MIGRATIONS):
        raise InputError(
            f"gallery version {version}",
            where=address.shown,
            hint=f"give a gallery of version 1 to {len(MIGRATIONS)}, or another name",
        )
    model, dimension = wanted
    if version == 0:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    else:
        cursor.execute(f"SELECT model, dimension FROM {schema}.gallery")
        model, dimension = cursor.fetchone() or ("", 0)
    for script in MIGRATIONS[version:]:
        for statement in script.format(schema=schema, dimension=dimension).split(";"):
            if statement.strip():
                cursor.execute(statement)
    if version == 0:
        cursor.execute(
            f"INSERT INTO {schema}.gallery (version, model, dimension) VALUES (%s, %s, %s)",
            (len(MIGRATIONS), model, dimension),
        )
    else:
        cursor.execute(f"UPDATE {schema}.gallery SET version = %s", (len(MIGRATIONS),))
