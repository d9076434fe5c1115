"""However a run in Lava ends, it ends: true tracebacks, time limits, no process left, no file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.conversion.backends.lava import backend as lava
from sdcl_neuro.conversion.backends.lava import installation as lava_install
from sdcl_neuro.conversion.backends.run import run
from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.extras import install_command
from sdcl_neuro.network.spec import IntLayer, IntNetwork
from sdcl_neuro.network.spike_file import write_spikes
from sdcl_neuro.testing import random_network, random_spikes

NET = random_network(2, kind="dense", layers=2)
LONG = random_spikes(NET, 1, steps=250, samples=255)  # minutes in Lava
ENDING_S = 15.0


def workers(folder: Path, *named: str) -> list[psutil.Process]:
    """The worker of runs whose temporary files are in `folder`, and all its forks.

    Args:
        folder: stands in their command lines.
        named: what else does.
    """
    found = []
    for process in psutil.process_iter():
        try:  # a process may end at any moment between two questions
            line = " ".join(process.cmdline())
            if all(word in line for word in (str(folder), *named)) and _lives(process):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def wait_for(condition: Callable[[], bool], *, limit_s: float = ENDING_S) -> bool:
    until = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where runs of this test put their temporary files; empty and without processes after it."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    memory = set(Path("/dev/shm").glob("psm_*"))
    yield folder
    assert wait_for(lambda: not workers(folder)), workers(folder)
    assert wait_for(lambda: not any(folder.iterdir())), list(folder.iterdir())
    # Other runs may go on beside this one: only what stays is a leak.
    assert wait_for(lambda: not _orphans(memory)), _orphans(memory)


def _orphans(before: set[Path]) -> set[Path]:
    """Shared memory that came since and that no process maps."""
    new = set(Path("/dev/shm").glob("psm_*")) - before
    if not new:
        return set()
    mapped = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            text = maps.read_text()
        except OSError:
            continue
        mapped |= {path for path in new if path.name in text}
    return new - mapped


@pytest.mark.lava
def test_nothing_is_left_of_a_run_that_succeeds(scratch: Path) -> None:
    spikes = LONG[:3, :1]
    assert lava.run(NET, spikes).steps == 3
    assert workers(scratch) == []


@pytest.mark.lava
def test_a_time_limit(scratch: Path) -> None:
    start = time.monotonic()
    with pytest.raises(EnvironmentFault, match=r"lava: no result after 4 s; allow more time"):
        lava.run(NET, LONG, timeout_s=4)
    assert time.monotonic() - start < 4 + ENDING_S
    assert workers(scratch) == []


@pytest.mark.lava
def test_a_failing_process_of_lava_shows_its_own_exception(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source runs in a fork of the worker; Lava itself would say: 1 Exception(s) occurred."""

    def spoilt(job: lava._Job, folder: Path) -> dict[str, object]:
        told = original(job, folder)
        np.save(folder / "job0.npy", np.zeros((750, 1), np.uint8))  # of another width
        return told

    original = lava._Job.request
    monkeypatch.setattr(lava._Job, "request", spoilt)
    with pytest.raises(EnvironmentFault, match="AssertionError: ") as caught:
        lava.run(NET, LONG[:3, :1])
    (note,) = caught.value.__notes__
    assert "Traceback (most recent call last)" in note
    assert "lava/io.py" in note
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


@pytest.mark.lava
def test_a_failure_before_the_first_step(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """netx cannot open the file: the command line says so in one line, with --debug in full."""
    to_netx(NET, scratch.parent / "a.net")
    write_spikes(scratch.parent / "in.npz", LONG[:3, :1])
    original = lava._Job.request

    def spoilt(job: lava._Job, folder: Path) -> dict[str, object]:
        return {**original(job, folder), "net": "nowhere.net"}

    monkeypatch.setattr(lava._Job, "request", spoilt)
    monkeypatch.chdir(scratch.parent)
    words = ["run", "a.net", "--spikes", "in.npz", "--out", "out.npz", "--quiet"]
    words += ["--backend", "lava"]
    assert main(words) == 3
    line = capsys.readouterr().err
    assert line.startswith("sdcl-neuro: lava: FileNotFoundError: ")
    assert line.count("\n") == 1
    assert main([*words, "--debug"]) == 3
    assert "hdf5.py" in capsys.readouterr().err
    assert not Path("out.npz").exists()


SCRIPT = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from sdcl_neuro.conversion.lava import backend as lava
from sdcl_neuro.testing import random_network, random_spikes
net = random_network(2, kind="dense", layers=2)
lava.run(net, random_spikes(net, 1, steps=250, samples=255))
"""


@pytest.mark.lava
@pytest.mark.parametrize(
    ("number", "whom"),
    [
        (signal.SIGINT, "parent"),
        (signal.SIGTERM, "parent"),
        (signal.SIGKILL, "parent"),
        (signal.SIGKILL, "worker"),
        (signal.SIGKILL, "fork"),
    ],
)
def test_killed(number: signal.Signals, whom: str, scratch: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(scratch)],
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background of a shell hands on SIGINT as ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        # The worker, the shared memory manager, and a process for each part of the network.
        assert wait_for(lambda: len(_group(scratch)) >= 6, limit_s=60)
        leader = min(_group(scratch), key=lambda process: process.create_time())
        forks = [process for process in _group(scratch) if process.pid != leader.pid]
        victim = {"parent": parent.pid, "worker": leader.pid, "fork": forks[-1].pid}[whom]
        os.kill(victim, number)
        _, errors = parent.communicate(timeout=ENDING_S)
        if whom == "worker":
            assert "EnvironmentFault: lava: the worker was ended by SIGKILL" in errors
        if whom == "fork":
            assert "a process of Lava was killed" in errors
        assert wait_for(lambda: not _alive(forks))
    finally:
        parent.kill()
        parent.communicate()


def _group(folder: Path) -> list[psutil.Process]:
    """Worker and forks: forks keep the worker's command line."""
    return workers(folder, "lava.worker")


def _alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if _lives(process)]


# Without Lava running at all.


def test_lava_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lava_install, "_exists", lambda name: not name.startswith("lava"))
    with pytest.raises(EnvironmentFault) as caught:
        run(NET, LONG[:2, :1], backend="lava")
    assert str(caught.value) == (
        "lava: not installed (lava.magma.core, lava.lib.dl.netx.hdf5 missing); "
        f"run `{install_command('lava')}`"
    )


def test_install_goes_past_the_pins_of_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    def fake(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, 0)

    states = iter([False, True, True, True])
    ready = lava_install.status()
    absent = lava_install.LavaStatus({}, ("lava.magma.core",), False)
    monkeypatch.setattr(lava_install, "status", lambda: ready if next(states) else absent)
    monkeypatch.setattr(lava_install.subprocess, "run", fake)
    assert lava_install.install().ready
    assert [call[:4] for call in calls] == [[sys.executable, "-m", "pip", "install"]] * 2
    assert calls[1][4:] == [
        "--no-deps",
        "--ignore-requires-python",
        "lava-nc==0.10.0",
        "lava-dl==0.6.0",
    ]


def test_a_failing_pip_is_a_fault_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = lava_install.LavaStatus({}, ("lava.magma.core",), False)
    monkeypatch.setattr(lava_install, "status", lambda: absent)
    monkeypatch.setattr(
        lava_install.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1)
    )
    with pytest.raises(EnvironmentFault, match="pip ended with code 1"):
        lava_install.install()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"device": "cuda"}, "Lava runs on the CPU"),
        ({"run_cfg": "loihi9"}, "run_cfg 'loihi9'"),
        ({"layers": [7]}, "no layer 7"),
        ({"timeout_s": 0}, "timeout_s 0: |timeout_s 0; give seconds"),
    ],
)
def test_wrong_arguments(options: dict[str, object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        run(NET, LONG[:2, :1], backend="lava", **options)


def test_a_network_that_lava_cannot_run_never_starts_it(
    dense: Callable[..., IntLayer], chain: Callable[..., IntNetwork]
) -> None:
    net = chain(dense("a", (4,), 3, bias=[0, 0, 9999]))
    with pytest.raises(InputError, match="beyond 13 signed bits"):
        lava.run(net, np.zeros((2, 1, 4), np.uint8))
