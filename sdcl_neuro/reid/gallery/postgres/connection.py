"""A connection that is made again when it is lost, with every change made exactly once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.extras import need

from ..contract import now_us
from .address import Address
from .memory import refused

if TYPE_CHECKING:
    import psycopg

PATIENCE_S = 60.0  # how long a lost server is waited for, once it had been reached
OPENING_S = 10.0  # the same at the first connection: a server may be starting
_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)
# pgvector may lie in a schema that is not on the path.
_REACH_VECTORS = (
    "SELECT set_config('search_path', current_setting('search_path') || ', ' || "
    "quote_ident(n.nspname), false) FROM pg_extension e "
    "JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
)
_STARTING = ("57P03", "53300")  # the server is starting up; too many connections


class Server:
    """One connection to a database, made when it is needed.

    Args:
        address: of the gallery.
    """

    def __init__(self, address: Address) -> None:
        self._psycopg = need("psycopg", "a gallery in postgres")
        self._address = address
        self._connection: psycopg.Connection[Any] | None = None
        self._reached = False

    def change(
        self, schema: str, work: Callable[[psycopg.Cursor[Any]], Any], *, repeat: bool = True
    ) -> Any:
        """Do `work` in one transaction, exactly once also where the connection is lost.

        Its answer is stored in the same transaction under a token of this call. After a loss the
        token says whether the transaction had been committed.

        Args:
            schema: of the gallery, quoted.
            work: returns plain JSON values.
            repeat: whether `work` may be done again where nothing was committed.
        """
        token = uuid4()

        def once(cursor: psycopg.Cursor[Any]) -> Any:
            cursor.execute(f"SELECT answer FROM {schema}.done WHERE token = %s", (token,))
            row = cursor.fetchone()
            if row is not None:
                return row[0]
            answer = work(cursor)
            cursor.execute(
                f"INSERT INTO {schema}.done VALUES (%s, %s, %s)",
                (token, json.dumps(answer), now_us()),
            )
            return answer

        return self.read(once, begin="", repeat=repeat)

    def read(
        self,
        work: Callable[[psycopg.Cursor[Any]], Any],
        *,
        begin: str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
        repeat: bool = True,
    ) -> Any:
        """Do `work` in one transaction, again where the connection is lost."""

        def within(connection: psycopg.Connection[Any]) -> Any:
            with connection.transaction(), connection.cursor() as cursor:
                if begin:
                    cursor.execute(begin)
                return work(cursor)

        return self._repeated(within, repeat=repeat)

    def alone(self, statement: str, tries: Sequence[Mapping[str, str]] = ({},)) -> None:
        """Run a statement that cannot be part of a transaction.

        Args:
            statement: done twice, it leaves the same as done once.
            tries: settings of the server for this statement alone, the next ones where it refuses
                the first or lacks the memory for them.
        """

        def work(connection: psycopg.Connection[Any]) -> None:
            for left, settings in zip(reversed(range(len(tries))), tries, strict=True):
                try:
                    with self._set(connection, settings):
                        connection.execute(statement)
                except self._psycopg.Error as error:
                    if not (left and refused(error, self._psycopg.errors)):
                        raise
                else:
                    return

        self._repeated(work)

    @contextmanager
    def _set(
        self, connection: psycopg.Connection[Any], settings: Mapping[str, str]
    ) -> Iterator[None]:
        """Change settings of the session, and put them back; a lost session takes them along."""
        changed: list[str] = []
        try:
            for name, value in settings.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
                changed.append(name)
            yield
        finally:
            with suppress(self._psycopg.OperationalError):
                for name in changed:
                    connection.execute(f"RESET {name}")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _repeated(
        self, work: Callable[[psycopg.Connection[Any]], Any], *, repeat: bool = True
    ) -> Any:
        deadline = time.monotonic() + (PATIENCE_S if self._reached else OPENING_S)
        pauses = _endless(_PAUSES)
        while True:
            with self._told():
                try:
                    return work(self._connected())
                except self._psycopg.Error as error:
                    if not (repeat and self._passing(error)) or time.monotonic() > deadline:
                        raise
            time.sleep(next(pauses))

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = self._psycopg.connect(
                self._address.conninfo,
                autocommit=True,  # transactions begin and end where `read` and `change` say
                application_name="sdcl-neuro",
                connect_timeout=10,
            )
            self._connection.execute(_REACH_VECTORS)
            self._reached = True
        return self._connection

    def _passing(self, error: psycopg.Error) -> bool:
        """Return whether the same work may succeed later."""
        errors = self._psycopg.errors
        conflicts = (errors.SerializationFailure, errors.DeadlockDetected)
        stopped = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)
        if isinstance(error, conflicts + stopped) or error.sqlstate in _STARTING:
            return True
        lost = self._connection is None or self._connection.closed
        connecting = isinstance(error, self._psycopg.OperationalError) and error.sqlstate is None
        # Before the server was reached once, only "starting up" is waited for: an address that is
        # wrong is said at once.
        return bool(lost and connecting and (self._reached or "starting up" in str(error)))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn the driver's errors into one line each."""
        try:
            yield
        except self._psycopg.OperationalError as error:
            raise EnvironmentFault(
                f"no answer from the database: {_line(error)}",
                where=self._address.shown,
                hint="see that the server runs and lets this account in",
            ) from None
        except self._psycopg.errors.InsufficientPrivilege as error:
            raise EnvironmentFault(
                f"not allowed: {_line(error)}",
                where=self._address.shown,
                hint="ask the database's administrator for the right",
            ) from None
        except (self._psycopg.Error, UnicodeEncodeError) as error:
            raise InputError(
                f"the database refuses it: {_line(error)}", where=self._address.shown
            ) from None


def _endless(pauses: tuple[float, ...]) -> Iterator[float]:
    yield from pauses
    while True:
        yield pauses[-1]


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
