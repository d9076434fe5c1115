"""How many threads there are: affinity, quota, load, and what was told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.processors import at_most, decide, processors, settle, telling, threads, usable
from sdcl_neuro.processors.load import LoadSample, sample, used_by_others
from sdcl_neuro.processors.usable import quota
from sdcl_neuro.processors.waiting import ASLEEP, policy, wait_asleep


def _groups(folder: Path, files: dict[str, str], own: str) -> tuple[Path, Path]:
    for name, text in files.items():
        path = folder / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    (folder / "own").write_text(own, encoding="ascii")
    return folder / "groups", folder / "own"


@pytest.mark.parametrize(
    ("files", "own", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, "0::/\n", 1.5),
        ({"cpu.max": "max 100000\n"}, "0::/\n", float("inf")),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b\n", 4.0),
        ({"a/cpu.max": "400000 100000", "c/cpu.max": "100000 100000"}, "0::/a\n", 4.0),
        (
            {
                "cpu,cpuacct/d/cpu.cfs_quota_us": "50000",
                "cpu,cpuacct/d/cpu.cfs_period_us": "100000",
            },
            "4:cpuacct,cpu:/d\n0::/\n",
            0.5,
        ),
        (
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            "1:cpu:/\n",
            float("inf"),
        ),
        ({"cpu.max": "what\n"}, "0::/\nnonsense\n", float("inf")),
    ],
)
def test_quota_is_the_least_of_the_groups_around(
    tmp_path: Path, files: dict[str, str], own: str, expected: float
) -> None:
    groups, mine = _groups(tmp_path, files, own)
    assert quota(groups, mine) == expected
    assert 1 <= usable(groups, mine) <= max(1, int(min(expected, os.cpu_count() or 1)))


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert quota(tmp_path / "none", tmp_path / "neither") == float("inf")


@pytest.mark.parametrize(
    ("available", "others", "told", "light", "count"),
    [
        (2, 0.0, None, False, 2),
        (2, 0.3, None, False, 2),
        (2, 1.0, None, False, 1),
        (2, 2.0, None, False, 1),
        (8, 1.0, None, False, 7),
        (8, 5.5, None, False, 2),
        (2, None, None, False, 2),
        (8, 0.0, None, True, 1),
        (8, 8.0, 4, False, 4),
        (8, 0.0, 4, True, 4),
        (2, 0.0, 4, False, 2),
        (1, 0.0, None, False, 1),
    ],
)
def test_decisions(
    available: int,
    others: float | None,
    told: int | None,
    light: bool,
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "policy", lambda: "spinning")
    decided = decide(available, others=others, told=told, light=light)
    assert decided.count == count
    assert decided.reason
    assert decided.to_dict()["count"] == count
    assert str(decided).startswith(f"{count} thread")


@pytest.mark.parametrize(
    ("available", "others", "told", "light", "count"),
    [
        (2, 0.0, None, False, 2),
        (2, 1.1, None, False, 1),
        (2, 1.3, None, False, 2),
        (2, 2.0, None, False, 2),
        (2, 2.0, 1, False, 1),
        (2, 2.0, None, True, 1),
        (8, 4.5, None, False, 3),
        (8, 5.5, None, False, 8),
        (1, 1.0, None, False, 1),
    ],
)
def test_sleeping_threads_share_a_machine_that_is_mostly_used(
    available: int,
    others: float,
    told: int | None,
    light: bool,
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "policy", lambda: ASLEEP)
    decided = decide(available, others=others, told=told, light=light)
    assert decided.count == count
    assert ("shared" in decided.reason) == (count == available > 1 and others > 0)


def test_what_others_used_leaves_out_our_own() -> None:
    begun = LoadSample(busy_s=10.0, own_s=1.0, at_s=0.0)
    assert used_by_others(begun, LoadSample(13.0, 2.0, 2.0)) == pytest.approx(1.0)
    assert used_by_others(begun, LoadSample(11.0, 2.5, 2.0)) == 0.0
    assert used_by_others(begun, LoadSample(11.0, 1.0, 0.001)) is None
    assert used_by_others(None, begun) is None


def test_what_has_ended_no_longer_counts() -> None:
    begun = LoadSample(busy_s=10.0, own_s=1.0, at_s=0.0)
    for running, others in ((None, 1.5), (0, 0.0), (1, 0.0), (2, 1.0), (3, 1.5), (9, 1.5)):
        now = LoadSample(14.0, 2.0, 2.0, running)
        assert used_by_others(begun, now) == pytest.approx(others)


@pytest.mark.skipif(not Path("/proc/stat").is_file(), reason="Linux tells the load in /proc/stat")
def test_a_busy_neighbour_is_seen() -> None:
    """A process that does nothing but loop is counted, and its time is not ours."""
    loop = "import os\nprint('busy', flush=True)\nwhile os.getppid() == {0}: pass"
    command = [sys.executable, "-c", loop.format(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as neighbour:
        assert neighbour.stdout is not None
        neighbour.stdout.readline()
        begun = sample()
        before = _seconds(neighbour.pid)
        time.sleep(0.5)
        others, spent = used_by_others(begun, sample()), _seconds(neighbour.pid) - before
        neighbour.kill()
    assert others is not None
    assert spent > 0
    # Ticks of 10 ms on either side of a stretch of half a second.
    assert others >= spent / 0.5 - 0.15


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_limits_hold_in_their_thread_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_settled", None)
    monkeypatch.setattr(threads, "usable", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert processors() == 8
    elsewhere: list[int] = []
    with at_most(3):
        assert processors() == 3
        with at_most(5):
            assert processors() == 3
        other = threading.Thread(target=lambda: elsewhere.append(processors()))
        other.start()
        other.join()
    assert elsewhere == [8]
    assert processors() == 8


def test_told_holds_in_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_settled", None)
    monkeypatch.setattr(threads, "usable", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    with telling(2):
        assert settle().count == processors() == 2
        assert os.environ["OMP_NUM_THREADS"] == "2"
    assert processors() == 5
    with pytest.raises(InputError, match="at least 1"), telling(0):
        pass


def test_what_the_user_set_is_left() -> None:
    for given in ({"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}, {"KMP_BLOCKTIME": "1"}):
        environment = dict(given)
        assert wait_asleep(environment) == "=".join(next(iter(given.items())))
        assert {**environment, **given} == environment
    fresh: dict[str, str] = {}
    assert wait_asleep(fresh) == "asleep"
    assert fresh["OMP_WAIT_POLICY"] == "PASSIVE"
    assert policy({}) == "spinning"


def test_command_line_lets_torchs_threads_sleep(tmp_path: Path) -> None:
    """The runtime that torch brings sees the policy: what it read is asked of itself."""
    code = (
        "import os, sys, json\n"
        "from sdcl_neuro.cli import main\n"
        "assert main(['hw', 'list', '--quiet']) == 0\n"
        "assert 'torch' not in sys.modules\n"
        "print(json.dumps([os.environ.get('OMP_WAIT_POLICY'), 'numpy' in sys.modules]))\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1])[0] == "PASSIVE"
