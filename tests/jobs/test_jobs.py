"""Jobs on this machine: done once, killed ones begun again, failed ones said."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.jobs import Job, run_jobs
from sdcl_neuro.jobs.executors import local_executor


def listing(folder: Path, name: str, *more: str, inputs: tuple[Path, ...] = ()) -> Job:
    """A job that takes a second or two: the hardware profiles as JSON."""
    out = folder / f"{name}.json"
    return Job(name, ("hw", "list", "--json", str(out), *more), out, inputs)


def test_done_once_and_done_again_where_something_changed(tmp_path: Path) -> None:
    source, state = tmp_path / "source", tmp_path / "state.json"
    source.write_text("1")
    jobs = [
        listing(tmp_path, "a"),
        listing(tmp_path, "b", inputs=(source,)),
        listing(tmp_path, "wrong", "--no-such-option"),
    ]
    ended: list[str] = []
    with local_executor(2) as executor:
        summary = run_jobs(jobs, executor, state=state, on_end=lambda one: ended.append(one.name))
        assert sorted(ended) == ["a", "b", "wrong"]
        assert [result.code for result in summary.results] == [0, 0, 2]
        assert summary.results[0].attempts == summary.results[2].attempts == 1
        assert "--no-such-option" in summary.failed[0].said
        assert str(summary).splitlines()[0] == "2 of 3 jobs done, 0 of them before"
        assert "wrong: exit code 2 after 1 attempt:" in str(summary)
        assert json.loads((tmp_path / "a.json").read_text())
        # Again: only what failed, what lacks its result, and what reads a changed file.
        (tmp_path / "a.json").unlink()
        source.write_text("two")
        third = listing(tmp_path, "c")
        run_jobs([third], executor, state=state)
        ended.clear()
        summary = run_jobs(
            [*jobs[:2], third], executor, state=state, on_end=lambda one: ended.append(one.name)
        )
    assert sorted(ended) == ["a", "b"]
    assert [result.attempts for result in summary.results] == [1, 1, 0]
    assert str(summary) == "3 of 3 jobs done, 1 of them before"


def test_a_killed_job_is_begun_again_and_stops_no_other(tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_first() -> None:
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            for child in psutil.Process().children():
                with suppress(psutil.NoSuchProcess):  # one that has just ended
                    if "first" in " ".join(child.cmdline()):
                        child.kill()
                        killed.append(child.pid)
                        return
            time.sleep(0.002)

    killer = threading.Thread(target=kill_first)
    killer.start()
    with local_executor(2) as executor:
        jobs = [listing(tmp_path, "first"), listing(tmp_path, "second")]
        summary = run_jobs(jobs, executor, state=tmp_path / "state.json")
    killer.join()
    assert killed
    assert not summary.failed
    assert [result.attempts for result in summary.results] == [2, 1]


def test_wrong_batches(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with local_executor(1) as executor:
        with pytest.raises(InputError, match="two jobs are named 'a'"):
            run_jobs([listing(tmp_path, "a")] * 2, executor, state=state)
        state.write_text("[]")
        with pytest.raises(InputError, match="not the state of a batch"):
            run_jobs([], executor, state=state)
    with pytest.raises(InputError, match="0 workers"), local_executor(0):
        pass
