"""The benches' own tools: races, their results and the comparison of two runs."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

TOYS = """
import time
import numpy as np
from harness import Timed

def sleeps(ms, value=0):
    print("noise that is not an answer")
    def call():
        time.sleep(ms / 1e3)
        return {"sum": np.array([value, 2])}
    return call

def clocked(seconds):
    return lambda: Timed(seconds, np.arange(3))

def holds(mib):
    return lambda: np.ones(mib << 17).sum()

def breaks():
    raise ValueError("on purpose")
"""


@pytest.fixture
def bench(root, tmp_path, monkeypatch):
    """The modules of bench/, with a module ``toys`` that the workers can import."""
    (tmp_path / "toys.py").write_text(TOYS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(root / "bench"))
    names = ("tools", "harness", "columns", "results", "compare")
    found = {name: importlib.import_module(name) for name in names}
    yield type("Bench", (), found)
    for name in names:
        sys.modules.pop(name, None)


def race(bench, *tools, **fields):
    return bench.harness.Race("toys", {"size": 1}, tools, rounds=3, **fields)


def toy(bench, name, function, **arguments):
    return bench.harness.Tool(name, f"toys:{function}", arguments, calls=1)


def test_a_race_gives_ratios_and_compares_results(bench):
    tools = [toy(bench, name, "clocked", seconds=s) for name, s in (("quick", 2), ("slow", 12))]
    outcome = race(bench, *tools).run()
    outcome.assert_equal()
    assert outcome.ratio("slow") == pytest.approx(6)
    assert outcome.best_peer() == "slow"
    sleeper = toy(bench, "sleeper", "sleeps", ms=2)
    wrong = race(bench, sleeper, toy(bench, "wrong", "sleeps", ms=1, value=1)).run()
    assert min(wrong.rounds["sleeper"]) >= 2  # milliseconds: no one wakes too early
    with pytest.raises(AssertionError, match="wrong"):
        wrong.assert_equal()


def test_a_call_may_bring_its_own_clock(bench):
    outcome = race(bench, toy(bench, "own", "clocked", seconds=5), unit="s", per=1).run()
    assert list(outcome.rounds["own"]) == [5, 5, 5]
    assert outcome.results["own"]["result"].tolist() == [0, 1, 2]


def test_peak_memory_is_the_processs_own(bench):
    small, large = (bench.harness.peak_of("toys:holds", {"mib": mib}) for mib in (1, 101))
    assert 90 < large - small < 115


def test_a_tool_that_fails_ends_the_race(bench, capfd):
    with pytest.raises(RuntimeError, match="bad"):
        race(bench, toy(bench, "bad", "breaks")).run()
    assert "on purpose" in capfd.readouterr().err


def row(case, **rounds):
    return {
        "table": "t",
        "case": case,
        "unit": "ms",
        "rounds": rounds,
        "peak_mib": dict.fromkeys(rounds, 7),
        "settings": {},
        "notes": {},
    }


def test_a_table_between_its_marks(bench):
    rows = [row({"spikes": "2 %"}, ours=[1, 2, 3], peer=[4.0, 8, 12], other=[5, 9, 13])]
    page = (
        "a\n<!-- bench:t -->\nold\n<!-- /bench:t -->\nb\n<!-- bench:u -->\nx\n<!-- /bench:u -->\n"
    )
    new = bench.results.refresh(page, {"rows": rows})
    assert "| 2 % | 2 | 8 | 9 | 4 (peer) |" in new
    assert "old" not in new
    assert "\nx\n" in new
    assert bench.results.refresh(new, {"rows": rows}) == new


def test_a_table_names_its_peers(bench, monkeypatch):
    column = bench.columns.Column
    table = (
        column("best", ("peer", "other")),
        column("variant", ("other",), of="variant"),
        column("floors", ("floor",), inverse=True),
        column("absent", ("no one",)),
    )
    monkeypatch.setitem(bench.columns.COLUMNS, "t", table)
    rounds = {
        "ours": [1.0, 2, 3], "variant": [2.0, 2, 2], "floor": [0.5, 0.5, 1.5],
        "peer": [4.0, 9, 8], "other": [5.0, 10, 9],
    }  # fmt: skip
    rows = [row({"a": 1}, **rounds), row({"a": 2}, ours=[1.0], other=[6.0])]
    head, _, first, second = bench.results.markdown(rows).splitlines()
    assert head.endswith("| other | best | variant | floors |")
    assert first.endswith("| 9 | 4 (peer) | 4.5 | 2 |")
    assert second.endswith("| 6 | 6 (other) | - | - |")
    assert bench.columns.peers_of("t", rounds) == ["floor", "peer", "other"]
    assert bench.columns.peers_of("u", rounds) == ["variant", "floor", "peer", "other"]


def test_rows_stay_though_a_bench_bound_itself_to_one_core(bench, tmp_path, monkeypatch):
    path = tmp_path / "latest.json"
    bench.results.Book([row({"a": 0}, ours=[1.0])]).save(path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    bench.results.Book([row({"a": 1}, ours=[2.0])]).save(path)
    assert len(bench.results.load(path)["rows"]) == 2


def test_a_call_that_is_killed_keeps_the_benches_before(bench, root, tmp_path):
    script = tmp_path / "test_two.py"
    script.write_text(
        "import os, signal\n"
        "def test_one(book):\n    book.note('n', [{'ms': 1}])\n"
        "def test_two(book):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    results = tmp_path / "latest.json"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "-p", "conftest", str(script)],
        env={**os.environ, "PYTHONPATH": f"{root / 'bench'}:{root}",
             "SDCL_NEURO_BENCH_RESULTS": str(results)},
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    (kept,) = bench.results.load(results)["rows"]
    assert kept["case"] == {"ms": 1}


def test_results_are_merged_by_table_and_case(bench, tmp_path):
    path = tmp_path / "latest.json"
    for value in (1.0, 2.0):
        book = bench.results.Book([row({"a": 0}, ours=[value]), row({"a": value}, ours=[3.0])])
        book.save(path)
    kept = bench.results.load(path)
    assert [(r["case"]["a"], r["rounds"]["ours"]) for r in kept["rows"]] == [
        (1.0, [3.0]),
        (0, [2.0]),
        (2.0, [3.0]),
    ]
    assert kept["machine"]["cores"] >= 1
    assert set(kept["machine"]) == {
        "processor", "cores", "memory_gib", "system", "python", "libraries",
    }  # fmt: skip


def test_a_table_of_measurements_is_replaced_as_a_whole(bench, tmp_path):
    path = tmp_path / "latest.json"
    bench.results.Book([row({"a": 0}, ours=[1.0])]).save(path)
    for value in (1, 2):
        book = bench.results.Book()
        book.note("n", [{"size": 1, "MiB": value}, {"size": 2, "MiB": value}])
        book.save(path)
    rows = bench.results.load(path)["rows"]
    assert [r["table"] for r in rows] == ["t", "n", "n"]
    assert [r["case"]["MiB"] for r in rows[1:]] == [2, 2]
    assert "| 2 | 2 |" in bench.results.markdown(rows[1:])


def noisy(seed, *, ours, machine=1.0, rounds=15):
    rng = np.random.default_rng(seed)
    load = rng.lognormal(0, 0.3, rounds) * machine  # both tools feel what else runs
    own = ours * load * rng.lognormal(0, 0.03, rounds)
    peer = 3 * load * rng.lognormal(0, 0.03, rounds)
    return own.tolist(), peer.tolist()


def book_of(bench, cases):
    rows = [row({"case": n}, ours=o, peer=p) for n, (o, p) in enumerate(cases)]
    return {"schema": bench.results.SCHEMA, "machine": {"cores": 2}, "rows": rows}


def test_compare_tells_a_regression_from_noise(bench, tmp_path, capsys):
    before = book_of(bench, [noisy(s, ours=1.0) for s in range(6)])
    noise = book_of(bench, [noisy(s + 50, ours=1.0, machine=1.4) for s in range(6)])
    worse = book_of(bench, [noisy(s + 90, ours=1.2 if s == 3 else 1.0) for s in range(6)])
    for name, content in (("before", before), ("noise", noise), ("worse", worse)):
        (tmp_path / name).write_text(json.dumps(content))

    def compare(old, new, *more):
        status = bench.compare.main([str(tmp_path / old), str(tmp_path / new), *more])
        return status, capsys.readouterr().out

    assert compare("before", "before")[0] == 0
    status, out = compare("before", "noise")
    assert (status, "0 slower, 0 faster" in out) == (0, True)
    status, out = compare("before", "worse")
    assert status == 1
    assert "slower" in out.splitlines()[0]
    assert "case 3" in out.splitlines()[0]
    assert "1 slower, 0 faster, 5 same" in out
    assert compare("worse", "before")[0] == 0
    assert compare("before", "worse", "--threshold", "0.3")[0] == 0


def test_compare_refuses_what_is_no_result(bench, tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(SystemExit, match="make bench"):
        bench.compare.main([str(path), str(path)])
