"""The cache of simulated events: equal to simulating again, resumable, safe against kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import h5py
import numpy as np
import psutil
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig, encode, simulate
from sdcl_neuro.jobs import Shard
from sdcl_neuro.reid.datasets import (
    Clip,
    cache_events,
    read_mars,
    read_prid2011,
    with_cached_events,
)
from sdcl_neuro.reid.datasets.cache import _locked
from sdcl_neuro.reid.datasets.cached import simulate_entry

CLIP = Clip(frames=3, bins=2, size=(32, 16))
CONFIG = SimulatorConfig(threshold_on=0.3)


@pytest.fixture
def data(prid):
    return read_prid2011(prid, events=None)


def content(folder):
    found = {}
    for path in sorted(folder.glob("*.h5")):
        with h5py.File(path) as file:
            found[path.name] = {name: file[name][()].tolist() for name in file}
    return found


def test_same_as_simulating_the_frames(data, prid, make):
    report = cache_events(data, prid / "cache", config=CONFIG)
    assert str(report) == "8 tracklets simulated, 0 were there"
    cached = with_cached_events(data, prid / "cache")
    spikes = cached.load(0, CLIP).spikes
    frames = np.stack([make.picture(k) for k in range(5)])
    times = np.arange(5) * 40_000
    expected = encode(simulate(frames, times, CONFIG), frame_times_us=times, bins=2, start_us=-1)
    np.testing.assert_array_equal(
        spikes, expected.reshape(5, 2, 2, 32, 16)[::2].reshape(-1, 2, 32, 16)
    )
    assert spikes[:2].sum() == 0
    assert spikes[2:].sum() > 100


def test_other_splits_find_their_persons_and_a_second_run_has_nothing_to_do(data, prid):
    cache_events(data, prid / "cache")
    bars = []

    @contextmanager
    def progress(title, total):
        bars.append([title, total])
        yield bars[-1].append

    report = cache_events(data, prid / "cache", progress=progress)
    assert (report.simulated, report.found) == (0, 8)
    assert bars == [["simulating events", 8, 8]]
    other = read_prid2011(prid, split=1, events=None)
    assert with_cached_events(other, prid / "cache").load(0, CLIP).spikes.any()


def test_workers_give_the_same_files(data, prid):
    few = replace(data, entries=data.entries[:3])
    cache_events(few, prid / "here")
    cache_events(few, prid / "there", workers=1)
    assert content(prid / "here") == content(prid / "there")
    damaged = list(data.entries[1].frame_paths())[2]
    damaged.write_bytes(b"none")
    with pytest.raises(InputError, match=r"0003.png: is not a picture, or damaged; copy it again"):
        cache_events(few, prid / "there", workers=1)
    assert len(content(prid / "there")) == 3


def test_parts_make_what_one_process_makes(data, prid):
    cache_events(data, prid / "here")
    for number in (1, 2, 3):
        report = cache_events(data, prid / "there", part=Shard(number, 3))
        assert (report.simulated, report.found) == ((3, 3, 2)[number - 1], 0)
    assert content(prid / "here") == content(prid / "there")
    assert cache_events(data, prid / "there").simulated == 0
    # Parts share the folder; one that does all is alone in it.
    with _locked(prid / "there", shared=True):
        assert cache_events(data, prid / "there", part=Shard(1, 3)).found == 3
        with pytest.raises(InputError, match="another process"):
            cache_events(data, prid / "there")
    with (
        _locked(prid / "there", shared=False),
        pytest.raises(InputError, match="another process"),
    ):
        cache_events(data, prid / "there", part=Shard(1, 3))


@pytest.mark.slow
def test_workers_of_the_verb_one_of_which_is_killed(data, prid, capsys):
    killed = []

    def kill_part():
        deadline = time.monotonic() + 120
        while not killed and time.monotonic() < deadline:
            for child in psutil.Process().children():
                with suppress(psutil.NoSuchProcess):
                    if "2/8" in child.cmdline() and time.time() - child.create_time() > 1:
                        child.kill()
                        killed.append(child.pid)
            time.sleep(0.01)

    killer = threading.Thread(target=kill_part)
    killer.start()
    command = ["data", "cache", "prid2011", "--root", str(prid), "data.cache=simulated"]
    assert main([*command, "--workers", "2", "--json", str(prid / "told.json")]) == 0
    killer.join()
    assert killed
    told = capsys.readouterr()
    assert "8 of 8: part " in told.err
    assert told.out == "0 tracklets simulated, 8 were there\n"
    assert json.loads((prid / "told.json").read_text()) == {
        "schema": {"name": "sdcl_neuro.data-cache", "version": 1}, "simulated": 0, "found": 8,
    }  # fmt: skip
    assert main(["check", str(prid / "told.json")]) == 0
    cache_events(data, prid / "here")
    assert content(prid / "here") == content(prid / "simulated")


def test_the_verb_without_a_cache_to_fill(prid, capsys):
    command = ["data", "cache", "prid2011", "--root", str(prid)]
    assert main(command) == 2
    assert "keeps no simulated events; give data.cache=FOLDER" in capsys.readouterr().err
    assert main([*command, "data.cache=simulated", "--part", "2/1"]) == 2
    assert "give I/N, I from 1 to N" in capsys.readouterr().err
    assert main([*command, "data.cache=simulated", "--part", "1/2"]) == 0
    assert capsys.readouterr().out == "4 tracklets simulated, 0 were there\n"


def test_frames_that_changed_are_simulated_again(data, prid, make):
    cache_events(data, prid / "cache")
    path = next(data.entries[2].frame_paths())
    path.write_bytes(path.read_bytes() + b" ")
    assert cache_events(data, prid / "cache").simulated == 1


def test_refusals(data, prid, mars):
    cache_events(data, prid / "cache")
    with pytest.raises(InputError, match="its simulator is"):
        cache_events(data, prid / "cache", config=CONFIG)
    with pytest.raises(InputError, match="its data is PRID-2011, not MARS"):
        with_cached_events(read_mars(mars), prid / "cache")
    with pytest.raises(InputError, match="no cache of events"):
        with_cached_events(data, prid / "nothing")
    with pytest.raises(InputError, match="holds other things"):
        cache_events(data, prid)
    (prid / "cache" / "cam_a-person_0007.h5").unlink()
    with pytest.raises(InputError, match="1 of 8 tracklets: cam_a-person_0007 missing"):
        with_cached_events(data, prid / "cache")


def test_frames_of_two_sizes_are_named(data, prid, tmp_path):
    import cv2

    path = list(data.entries[0].frame_paths())[3]
    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"0004.png: 8x8 pixels, the tracklet's first frame has"):
        simulate_entry(data.entries[0], tmp_path, CONFIG, 25.0)
    assert not list(tmp_path.glob("*.h5"))


# Hangs in the fourth tracklet, when its file is written but does not have its name yet.
CHILD = """
import sys, time
from contextlib import contextmanager
from sdcl_neuro.reid.datasets import cache, cached, read_prid2011
done = []
simulate, rename = cache.simulate_entry, cached.atomic_path
def told(entry, *rest):
    simulate(entry, *rest)
    done.append(entry.name)
    print("done", entry.name, flush=True)
@contextmanager
def slow(path):
    with rename(path) as temporary:
        yield temporary
        if len(done) == 3:
            print("writing", path, flush=True)
            time.sleep(60)
cache.simulate_entry, cached.atomic_path = told, slow
cache.cache_events(read_prid2011(sys.argv[1], events=None), sys.argv[2])
"""


def test_kill_in_the_middle_loses_nothing_that_was_done(data, prid):
    folder = prid / "cache"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(prid), str(folder)], stdout=subprocess.PIPE, text=True
    )
    told = [child.stdout.readline().split() for _ in range(4)]
    assert [word for word, _ in told] == ["done", "done", "done", "writing"]
    with pytest.raises(InputError, match="another process"):
        cache_events(data, folder)
    os.kill(child.pid, signal.SIGKILL)
    child.stdout.close()
    child.wait()
    assert len(list(folder.glob(".*.h5.*"))) == 1
    there = content(folder)
    assert set(there) == {f"{name}.h5" for _, name in told[:3]}
    report = cache_events(data, folder)
    assert (report.simulated, report.found) == (5, 3)
    assert {name: value for name, value in content(folder).items() if name in there} == there
    assert not list(folder.glob(".*"))
    cache_events(data, prid / "fresh")
    assert content(prid / "fresh") == content(folder)


PARENT = """
import sys
from sdcl_neuro.reid.datasets import cache_events, read_prid2011
from contextlib import contextmanager
import multiprocessing
@contextmanager
def progress(title, total):
    def advance(count):
        if count:
            print(*(child.pid for child in multiprocessing.active_children()), flush=True)
            import time; time.sleep(60)
    yield advance
if __name__ == "__main__":
    data = read_prid2011(sys.argv[1], events=None)
    cache_events(data, sys.argv[2], workers=1, progress=progress)
"""


def test_workers_of_a_killed_parent_end(data, prid):
    script = prid / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(prid), str(prid / "cache")],
        stdout=subprocess.PIPE,
        text=True,
    )
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert workers
    os.kill(parent.pid, signal.SIGKILL)
    parent.stdout.close()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) and running(pid) for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)
    cache_events(data, prid / "cache")
    assert len(content(prid / "cache")) == 8


def running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
