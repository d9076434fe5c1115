"""Enrolling is killed for real: what was reported is there, what is there is whole."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.reid.gallery import Gallery, Where

SCRIPT = Path(__file__).with_name("enrolling.py")
_spec = spec_from_file_location("enrolling", SCRIPT)
enrolling = module_from_spec(_spec)
_spec.loader.exec_module(enrolling)
ROUNDS = 8


def _start(path: Path, writer: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(path), writer],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout.readline() == "ready\n"
    return process


def _kill(process: subprocess.Popen[str]) -> list[tuple[str, int, int]]:
    """SIGKILL, and the enrolments that the process had reported by then."""
    process.send_signal(signal.SIGKILL)
    told, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    *whole, _ = told.split("\n")  # the last line may be cut off
    return [(w, int(batch), int(size)) for w, batch, size in (line.split() for line in whole)]


@pytest.mark.parametrize("writers", ["a", "ab"])
def test_killed_while_enrolling(tmp_path: Path, writers: str) -> None:
    """One writer, then two at once on one file, killed at random moments, again and again."""
    path, chance = tmp_path / "people.gallery", random.Random(len(writers))
    reported: dict[str, int] = {}
    for last in [False] * ROUNDS + [True]:
        processes = [_start(path, writer) for writer in writers]
        # The first rounds may die while they make the file.
        time.sleep(chance.random() * (0.3 if reported else 0.05))
        if last:  # where the machine is so busy that nothing was enrolled yet, wait for it
            for process in processes:
                writer, batch, size = process.stdout.readline().split()
                reported[f"{writer}/{batch}"] = int(size)
        for process in processes:
            for writer, batch, size in _kill(process):
                reported[f"{writer}/{batch}"] = size
            time.sleep(chance.random() * 0.02)
        _check(path, reported)
    assert reported


def _check(path: Path, reported: dict[str, int]) -> None:
    with Gallery(path, model=enrolling.MODEL, dimension=enrolling.DIMENSION) as gallery:
        entries = gallery.entries()
        found: dict[str, int] = {}
        for entry in entries:
            batch = entry.key.rpartition("/")[0]
            found[batch] = found.get(batch, 0) + 1
        assert reported.items() <= found.items()
        assert all(size == enrolling.size_of(int(b.split("/")[1])) for b, size in found.items())
        shown = random.Random(0).sample(entries, min(20, len(entries)))
        for entry in shown:
            writer, batch, number = entry.key.split("/")
            expected = enrolling.tracklet(writer, int(batch), int(number))
            (hits,) = gallery.search([expected.embedding], k=1, where=Where(cameras=[writer]))
            assert hits[0].entry == entry
            assert hits[0].distance == pytest.approx(0, abs=1e-6)
            assert entry.metadata == expected.metadata
    base = sqlite3.connect(path)
    assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    base.close()


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    processes = [_start(path, writer) for writer in "ab"]
    with Gallery(path, model=enrolling.MODEL, dimension=enrolling.DIMENSION) as gallery:
        deadline, seen = time.monotonic() + 120, 0
        while time.monotonic() < deadline:
            count = len(gallery)
            assert count >= seen
            seen = count
            cameras = {entry.camera for entry in gallery.entries(Where(until_us=40))}
            # The reader's own index keeps up with what the others enrol.
            if seen:
                assert len(gallery.search(np.ones((1, enrolling.DIMENSION)), k=seen)[0]) >= seen
            if cameras == {"a", "b"} and seen > 80:
                break
        reported = [line for process in processes for line in _kill(process)]
        assert {writer for writer, _, _ in reported} == {"a", "b"}
        assert len(gallery) >= sum(size for _, _, size in reported)
