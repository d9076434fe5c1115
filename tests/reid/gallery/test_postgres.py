"""PostgreSQL: addresses, lost connections, killed writers, its index, its versions."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.reid.gallery import Enrolment, Gallery, Where
from sdcl_neuro.reid.gallery.postgres import memory, opening, schema
from sdcl_neuro.reid.gallery.postgres.address import parse_address
from sdcl_neuro.reid.gallery.stores import is_file, store_kind

SCRIPT = Path(__file__).with_name("enrolling.py")
_spec = spec_from_file_location("enrolling", SCRIPT)
enrolling = module_from_spec(_spec)
_spec.loader.exec_module(enrolling)


def test_addresses() -> None:
    found = parse_address("postgresql://ann@db.example:5433/people?gallery=doors&sslmode=require")
    assert found.conninfo == "postgresql://ann@db.example:5433/people?sslmode=require"
    assert (found.name, "sslmode" in found.shown) == ("doors", True)
    assert parse_address("postgresql:///people").name == "sdcl_neuro"
    chosen = "postgresql:///people?options=-c%20maintenance_work_mem%3D4GB"
    assert parse_address(chosen).conninfo == chosen
    for text, message in {
        "postgresql://ann:secret@db/people": "a password in the address",
        "postgresql://db/people?password=secret": "a password in the address",
        'postgresql://db/people?gallery=a";DROP': "gallery name",
        "postgresql://db/people?gallery=a&gallery=b": "gallery name",
        "postgresql://db/people?gallery=": "gallery name",
    }.items():
        with pytest.raises(InputError, match=message) as caught:
            parse_address(text)
        assert "secret" not in str(caught.value)
    assert is_file("people.gallery")
    assert store_kind("postgres://db/people").name == "postgres"
    with pytest.raises(InputError, match=r"no gallery store for mysql://; give postgresql://"):
        store_kind("mysql://db/people")


def test_no_server_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("psycopg")
    begun = time.monotonic()
    address = f"postgresql:///people?host={tmp_path}"
    assert main(["gallery", "info", address]) == 3
    assert "no answer from the database" in capsys.readouterr().err
    assert time.monotonic() - begun < 9  # not waited for, as a server that was reached once is


@pytest.mark.slow
def test_an_engine_belongs_to_a_file(fresh: str) -> None:
    with pytest.raises(InputError, match="pgvector searches a database"):
        Gallery(fresh, model="m", dimension=3, engine="numpy")
    with pytest.raises(InputError, match="16,000"):
        Gallery(fresh, model="m", dimension=20_000)


@pytest.mark.slow
def test_the_index_finds_what_the_exact_search_finds(fresh: str) -> None:
    rng = np.random.default_rng(4)
    centres = rng.normal(size=(40, 32))
    vectors = centres[rng.integers(0, 40, 3000)] + 0.6 * rng.normal(size=(3000, 32))
    with Gallery(fresh, model="m", dimension=32) as gallery:
        gallery.enrol(
            [Enrolment(embedding=v, camera=f"door {n % 4}") for n, v in enumerate(vectors)]
        )
        recall = gallery.build_index()
        assert recall.queries == 100
        assert recall.recall >= 0.99
        (plan,) = gallery._store._select(
            f"EXPLAIN (FORMAT JSON) SELECT id FROM {gallery._store._schema}.entry "
            "ORDER BY embedding <=> %s::vector LIMIT 10",
            [str(vectors[0].tolist())],
        )[0]
        assert "entry_hnsw" in str(plan)
        # With a condition, the search goes on until enough rows meet it.
        where = Where(cameras=["door 3"])
        for number in range(5):
            (near,) = gallery.search(vectors[number : number + 1], k=20, where=where)
            (found,) = gallery.search(
                vectors[number : number + 1], k=20, where=where, approximate=True
            )
            assert {hit.entry.camera for hit in found} == {"door 3"}
            assert len({hit.entry.id for hit in near} & {hit.entry.id for hit in found}) >= 19
        with pytest.raises(InputError, match="use cosine"):
            gallery.search(vectors[:1], metric="euclidean", approximate=True)


def test_memory_asked_for_an_index() -> None:
    held = 64 << 20
    assert memory.settings_to_try(("default", held), 10_000, 128) == ({},)  # it fits
    for source in ("client", "user", "database", "session"):  # someone chose it
        assert memory.settings_to_try((source, held), 1_000_000, 128) == ({},)
    found = memory.settings_to_try(("configuration file", held), 1_000_000, 128)
    size = memory.graph_bytes(1_000_000, 128)
    assert 1_200_000_000 < size < 1_600_000_000
    assert found[0] == {memory.NAME: f"{-(-size // 1024)}kB"}
    assert found[1:] == ({**found[0], "max_parallel_maintenance_workers": "0"}, {})
    most = memory.settings_to_try(("default", held), 10_000_000, 128)[0]
    assert most == {memory.NAME: f"{2047 * 1024}kB"}
    assert memory.settings_to_try(("default", 3 << 30), 10_000_000, 128) == ({},)  # never less


OUTGROWN = "no longer fits into maintenance_work_mem"
"""Of the notice that pgvector gives where it goes on on disk."""


def told_by_builds(address: str) -> list[str]:
    """Notices of a server that builds the index of 3,000 entries, and builds it again."""
    rows = np.random.default_rng(5).normal(size=(3000, 32))
    notices: list[str] = []
    with Gallery(address, model="m", dimension=32) as gallery:
        gallery.enrol([Enrolment(embedding=row) for row in rows])
        connection = gallery._store._server._connected()
        connection.add_notice_handler(lambda one: notices.append(one.message_primary))
        assert gallery.build_index(queries=20).recall >= 0.95
        built = len(notices)
        gallery.vacuum()
        assert gallery._store._select("SHOW maintenance_work_mem") == [("1MB",)]  # as before
        assert gallery.build_index(queries=20).recall >= 0.95
    return [*notices[:built], "vacuum", *notices[built:]]


@pytest.mark.slow
def test_an_index_is_built_in_memory_unless_a_size_was_chosen(fresh: str, server: str) -> None:
    if "SDCL_NEURO_POSTGRES" in os.environ:
        pytest.skip("changes settings of the whole server")
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET maintenance_work_mem = '1MB'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            asked = told_by_builds(fresh)
            own = told_by_builds(f"{fresh}own&options=-c%20maintenance_work_mem%3D1MB")
        finally:
            connection.execute("ALTER SYSTEM RESET maintenance_work_mem")
            connection.execute("SELECT pg_reload_conf()")
    assert not any(OUTGROWN in one for one in asked), asked
    at = own.index("vacuum")
    assert any(OUTGROWN in one for one in own[:at]), own
    assert any(OUTGROWN in one for one in own[at:]), own


@pytest.mark.slow
def test_settings_that_a_server_refuses_are_left(fresh: str) -> None:
    with Gallery(fresh, model="m", dimension=3) as gallery:
        server, schema_name = gallery._store._server, gallery._store._schema
        names = (memory.NAME, "max_parallel_maintenance_workers")
        shown = ", ".join(f"current_setting('{name}')" for name in names)
        ((before,),) = gallery._store._select(f"SELECT ARRAY[{shown}]")
        server.alone(f"CREATE TABLE {schema_name}.seen (memory text, workers text)")
        statement = f"INSERT INTO {schema_name}.seen SELECT {shown}"
        refused = {memory.NAME: "1kB"}  # less than any version takes
        server.alone(statement, ({**refused, names[1]: "0"}, {names[1]: "0"}, {}))
        server.alone(statement, (refused, {"no_such_setting": "1"}, {}))
        rows = gallery._store._select(f"SELECT memory, workers FROM {schema_name}.seen")
        assert rows == [(before[0], "0"), tuple(before)]
        assert gallery._store._select(f"SELECT ARRAY[{shown}]") == [(before,)]
        with pytest.raises(InputError, match="refuses it"):
            server.alone(statement, (refused,))
        with pytest.raises(InputError, match="refuses it"):  # the statement itself is wrong
            server.alone(f"INSERT INTO {schema_name}.seen VALUES (1, 2, 3)", (refused, {}))


def test_a_file_has_no_such_index(tmp_path: Path) -> None:
    with (
        Gallery(tmp_path / "g", model="m", dimension=3) as gallery,
        pytest.raises(InputError, match="always searched exactly"),
    ):
        gallery.build_index()


@pytest.mark.slow
def test_an_older_gallery_is_brought_up(fresh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MIGRATIONS", schema.MIGRATIONS[:1])
    with pytest.raises(InputError):  # made with the first version's tables, which lack columns
        Gallery(fresh, model="m", dimension=3)
    monkeypatch.undo()
    with Gallery(fresh, create=False) as gallery:
        gallery.enrol([Enrolment(embedding=np.ones(3))])
        assert gallery.retention is None
        assert [line.action for line in gallery.audit()] == ["enrol"]
        gallery._store._server.alone(f"UPDATE {gallery._store._schema}.gallery SET version = 9")
    with pytest.raises(InputError, match="gallery version 9"):
        Gallery(fresh, create=False)


@pytest.mark.slow
def test_lost_connections_lose_nothing_and_double_nothing(fresh: str, server: str) -> None:
    """The server ends every connection again and again while one process enrols without keys."""
    import psycopg

    stop = threading.Event()

    def breaking() -> None:
        with psycopg.connect(server, autocommit=True, application_name="breaker") as connection:
            while not stop.wait(0.4):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'sdcl-neuro'"
                )

    breaker = threading.Thread(target=breaking)
    with Gallery(fresh, model="m", dimension=4) as gallery:
        breaker.start()
        try:
            ids: list[int] = []
            for batch in range(60):
                rows = [
                    Enrolment(embedding=np.full(4, batch + 1.0), time_us=batch) for _ in range(3)
                ]
                ids += gallery.enrol(rows).ids
        finally:
            stop.set()
            breaker.join()
        entries = gallery.entries()
        assert [entry.id for entry in entries] == sorted(ids)
        assert [entry.time_us for entry in sorted(entries, key=lambda one: one.id)] == [
            batch for batch in range(60) for _ in range(3)
        ]


@pytest.mark.slow
def test_killed_writers_on_one_database(fresh: str) -> None:
    """Writers of two machines, killed at random moments: 10,000 reported, 10,000 there."""
    chance, reported = random.Random(5), {}
    Gallery(fresh, model=enrolling.MODEL, dimension=enrolling.DIMENSION).close()
    for round_number in range(7):
        writers = [f"{name}{round_number}" for name in "abcd"]
        processes = [
            subprocess.Popen(
                [sys.executable, str(SCRIPT), fresh, writer[0], writer, "20"],
                stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            for writer in writers
        ]  # fmt: skip
        told = [[process.stdout.readline()] for process in processes]
        assert told == [["ready\n"]] * 4
        for process, lines in zip(processes, told, strict=True):
            lines.clear()
            enough = chance.randrange(350, 600)
            while sum(int(line.split()[2]) for line in lines) < enough:
                lines.append(process.stdout.readline())
        for process, lines in zip(processes, told, strict=True):
            process.send_signal(signal.SIGKILL)
            rest, _ = process.communicate()
            *whole, _ = rest.split("\n")
            for writer, batch, size in (line.split() for line in [*lines, *whole]):
                reported[f"{writer}/{batch}"] = int(size)
    with Gallery(fresh, create=False) as gallery:
        found: dict[str, int] = {}
        for entry in gallery.entries():
            batch = entry.key.rpartition("/")[0]
            found[batch] = found.get(batch, 0) + 1
        assert reported.items() <= found.items()
        assert sum(reported.values()) >= 10_000
        assert all(
            size == 20 * enrolling.size_of(int(b.split("/")[1])) for b, size in found.items()
        )


@pytest.mark.slow
def test_a_driver_that_is_missing(fresh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdcl_neuro.extras.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match=r"sdcl-neuro\[postgres\]"):
        Gallery(fresh, model="m", dimension=3)
