"""Embeddings: those of hybrid inference, streamed, kept, resumed after a kill, and shared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sdcl_neuro.conversion.backends.run import run
from sdcl_neuro.devices import torch_threads
from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.runtime import infer
from sdcl_neuro.processors import telling
from sdcl_neuro.reid.datasets import Clip
from sdcl_neuro.reid.datasets.degraded import Degraded
from sdcl_neuro.reid.datasets.folder import FolderEntry as FolderEntry
from sdcl_neuro.reid.datasets.in_memory import TrackletsInMemory
from sdcl_neuro.reid.evaluation import (
    Extraction,
    FeatureSource,
    FeatureStore,
    Setting,
    event_arm,
    extract,
    open_trained,
)
from sdcl_neuro.reid.evaluation.signature import data_signature, entry_signature, module_sha256

CLIP = Clip(2, 2, (64, 32))


@pytest.fixture
def trained(checkpoint):
    return open_trained(checkpoint())


def arms_of(trained, folder, names=("snntorch", "loihi")):
    return [event_arm(trained.events, name, Setting(), folder=folder) for name in names]


def everything(trained, data, arms, how=None):
    positions = tuple(range(len(data.entries)))
    return extract(trained.checkpoint.model, data, positions, clip=CLIP, arms=arms, how=how)


def counted(arm):
    """The arm, and a list that grows with each batch it computes."""
    batches = []

    def features(spikes, frames):
        batches.append(spikes.shape[1])
        return arm.features(spikes, frames)

    return FeatureSource(arm.name, arm.setting, arm.digest, features), batches


@pytest.fixture
def one_thread():
    """Sums in float depend on the threads; what `infer` decides depends on the machine's load."""
    with telling(1), torch_threads(1):
        yield


@pytest.mark.usefixtures("one_thread")
def test_embeddings_are_those_of_hybrid_inference(trained, noise_data, tmp_path):
    data = noise_data()
    found = everything(trained, data, arms_of(trained, tmp_path), Extraction(batch=5))
    assert set(found) == {"snntorch (as trained)", "loihi (as trained)"}
    for name in ("snntorch", "loihi"):
        expected = infer(
            trained.checkpoint.model,
            [data.load(k, CLIP) for k in range(12)],
            lambda spikes, name=name: run(trained.events, spikes, backend=name),
            batch=5,
        ).embeddings
        ours = torch.from_numpy(found[f"{name} (as trained)"])
        unit = torch.nn.functional.normalize(ours).numpy()
        np.testing.assert_array_equal(unit, expected)
    assert not np.array_equal(*found.values())


def test_each_tracklet_is_loaded_once_and_dropped(trained, noise_data, tmp_path):
    alive, most = set(), 0

    @dataclass(frozen=True)
    class Watched(noise_data):
        def load(self, position, clip, *, seed=None):
            nonlocal most
            tracklet = super().load(position, clip, seed=seed)
            alive.add(position)
            weakref.finalize(tracklet, alive.discard, position)
            most = max(most, len(alive))
            return tracklet

    data = Watched(persons=6)
    everything(trained, data, arms_of(trained, tmp_path), Extraction(batch=3))
    assert sorted(data.loaded) == list(range(18))
    # One batch computed, one loading, and one finished that the thread pool still remembers.
    assert most <= 3 * 3


def test_stored_embeddings_are_neither_loaded_nor_computed_again(trained, noise_data, tmp_path):
    how = Extraction(batch=5, store=FeatureStore(tmp_path / "store"))
    float_arm, int_arm = arms_of(trained, tmp_path)
    first = everything(trained, noise_data(), [float_arm], how)
    again = noise_data()
    second = everything(trained, again, [float_arm], how)
    assert again.loaded == []
    np.testing.assert_array_equal(*[one[float_arm.label] for one in (first, second)])
    # Another arm needs the tracklets; what is known stays.
    watched, batches = counted(float_arm)
    both = noise_data()
    everything(trained, both, [watched, int_arm], how)
    assert len(both.loaded) == 12
    assert batches == []
    # A damaged file is as good as none, and is replaced.
    damaged = next((tmp_path / "store").rglob("*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:-3])
    mended = noise_data()
    third = everything(trained, mended, [float_arm], how)
    np.testing.assert_array_equal(first[float_arm.label], third[float_arm.label])
    assert len(mended.loaded) <= 5


def test_whatever_changes_the_result_changes_the_key(trained, noise_data, tmp_path, checkpoint):
    store = FeatureStore(tmp_path / "store")
    files = lambda: set((tmp_path / "store").rglob("*.safetensors"))  # noqa: E731
    arm = arms_of(trained, tmp_path, ("loihi",))[0]
    how = Extraction(batch=12, store=store)
    everything(trained, noise_data(), [arm], how)
    assert len(files()) == 1
    coarse = event_arm(trained.events, "loihi", Setting(bits=3), folder=tmp_path)
    other = open_trained(checkpoint("e"))
    cases = [
        (trained, noise_data(), coarse, how),
        (trained, Degraded(noise_data(), "blur", 2), arm, how),
        (trained, Degraded(noise_data(), "blur", 3), arm, how),
        (other, noise_data(), arms_of(other, tmp_path, ("loihi",))[0], how),
    ]
    for number, (model, data, one, manner) in enumerate(cases, start=2):
        everything(model, data, [one], manner)
        assert len(files()) == number
    dense = trained.checkpoint.model.bridge
    before = module_sha256(dense)
    with torch.no_grad():
        next(dense.parameters()).add_(1e-3)
    assert module_sha256(dense) != before


def test_signatures_see_a_changed_file_and_a_changed_array(noise_data, tmp_path):
    for name in ("1.png", "2.png", "1.mat"):
        (tmp_path / name).write_bytes(b"x")
    entry = FolderEntry("a", 1, 2, tmp_path, ("1.png", "2.png"), tmp_path, events=("1.mat", None))
    data = type("Data", (), {"entries": (entry,)})()
    before = entry_signature(data, 0)
    (tmp_path / "new.txt").write_text("in the same folder, but no part of it")
    assert entry_signature(data, 0) == before
    for name in ("2.png", "1.mat"):
        (tmp_path / name).write_bytes(b"longer")
        after = entry_signature(data, 0)
        assert after != before
        before = after
    source = noise_data()
    tracklets = tuple(source.load(k, CLIP) for k in (0, 1))
    held = TrackletsInMemory(tracklets, query=(0,), gallery=(1,))
    assert entry_signature(held, 0) != entry_signature(held, 1)
    assert data_signature(TrackletsInMemory(tracklets)) == data_signature(held)
    assert data_signature(Degraded(held, "blur", 1)) != data_signature(held)


def test_nothing_to_embed_is_refused(trained, noise_data, tmp_path):
    model, arms = trained.checkpoint.model, arms_of(trained, tmp_path, ("loihi",))
    with pytest.raises(InputError, match="no tracklets"):
        extract(model, noise_data(), (), clip=CLIP, arms=arms)
    with pytest.raises(InputError, match="batches of 0"):
        Extraction(batch=0)


GENERATED = (
    "data.generated.persons=6",
    "data.generated.train_persons=3",
    "data.generated.walks=1",
    "data.generated.cameras=2",
)


def command(checkpoint, *extra):
    return [
        *("evaluate", str(checkpoint), "--data", "generated", "--quiet", "--batch", "2"),
        *("--backend", "snntorch-int,loihi", *extra, *GENERATED),
    ]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def test_two_processes_give_the_numbers_of_one(checkpoint, tmp_path):
    one, two = (
        [
            *command(
                checkpoint("e"), "--cache", str(tmp_path / n), "--json", str(tmp_path / f"{n}.json")
            )
        ]
        for n in ("one", "two")
    )
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m"]
    for arguments in (["-m", "sdcl_neuro", *one], [*launch, "sdcl_neuro", *two]):
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, env=environment()
        )
        assert done.returncode == 0, done.stderr
    assert "Loihi engine (software)" in done.stdout
    first, second = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("one", "two"))
    assert first.pop("threads")["usable"] >= second.pop("threads")["usable"]  # and the load then
    assert first == second
    stored = [
        {file.name: file.read_bytes() for file in (tmp_path / n).rglob("*.safetensors")}
        for n in ("one", "two")
    ]
    assert len(stored[0]) == 6 + 1  # two backends, three batches each; alike, so one ranking
    assert stored[0] == stored[1]


def test_a_killed_evaluation_goes_on_where_it_was(checkpoint, tmp_path):
    store = tmp_path / "store"
    start = command(checkpoint("e"), "--cache", str(store), "--json", str(tmp_path / "e.json"))
    process = subprocess.Popen(
        [sys.executable, "-m", "sdcl_neuro", *start],
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    finished: dict = {}
    for _ in range(6000):
        finished = {file: file.stat().st_mtime_ns for file in store.rglob("*.safetensors")}
        finished = {k: v for k, v in finished.items() if not k.name.startswith(".")}
        if len(finished) >= 2 or process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(finished) >= 2
    from sdcl_neuro.cli import main

    assert main(start) == 0
    assert (tmp_path / "e.json").is_file()
    assert {file: file.stat().st_mtime_ns for file in finished} == finished
    assert len([f for f in store.rglob("*.safetensors") if not f.name.startswith(".")]) == 6 + 1
