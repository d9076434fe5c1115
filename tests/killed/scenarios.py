"""Work that is killed at a random moment, and what must hold afterwards.

A new scenario is one class and one row of `SCENARIOS`. Its three functions run in processes of
their own, forked from one in which everything is imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scenario import Say, Scenario, no_litter, other
from verbs import Demonstrating, Inferring, Watching

WANTED = 60
"""Things that the short scenarios do, one after another."""


class Documents:
    """Small files, one after another, each replaced again and again."""

    def prepare(self, folder: Path) -> None:
        (folder / "good").mkdir()
        self.work(folder, folder / "good", lambda line: None)

    def work(self, folder: Path, out: Path, say: Say) -> None:
        from sdcl_neuro.files import write_json

        for number in range(WANTED):
            write_json(out / f"d{number % 4}.json", {"number": number, "more": ["x" * 50] * 500})
            say(f"{number}")

    def check(self, folder: Path, out: Path, said: list[str]) -> None:
        for place in range(4):
            done = [int(one) for one in said if int(one) % 4 == place]
            path = out / f"d{place}.json"
            if done:
                # The next may have been written, too, before it could be said.
                assert json.loads(path.read_text())["number"] in (done[-1], done[-1] + 4)

    def whole(self, folder: Path, out: Path) -> None:
        assert json.loads((out / "d3.json").read_text())["number"] == WANTED - 1
        no_litter(out)


class Folders:
    """A folder with two files that belong together, replaced again and again."""

    def prepare(self, folder: Path) -> None:
        (folder / "good").mkdir()
        self.work(folder, folder / "good", lambda line: None)

    def work(self, folder: Path, out: Path, say: Say) -> None:
        from sdcl_neuro.files import atomic_folder

        for number in range(WANTED):
            with atomic_folder(out / "model") as place:
                for name in ("a", "b"):
                    (place / name).write_text(f"{number} " * 1000)
            say(f"{number}")

    def check(self, folder: Path, out: Path, said: list[str]) -> None:
        if not said:
            return
        one, two = ((out / "model" / name).read_text().split() for name in ("a", "b"))
        assert one == two
        assert len(one) == 1000
        assert int(one[0]) in (int(said[-1]), int(said[-1]) + 1)

    def whole(self, folder: Path, out: Path) -> None:
        assert (out / "model" / "a").read_text().split()[0] == str(WANTED - 1)
        no_litter(out)


class Enrolling:
    """Tracklets into a gallery, and its index; what `enrol` returned from is there for good."""

    def prepare(self, folder: Path) -> None:
        (folder / "good").mkdir()
        self.work(folder, folder / "good", lambda line: None)

    def _row(self, number: int) -> Any:
        from sdcl_neuro.reid.gallery import Enrolment

        vector = np.random.default_rng(number).normal(size=16).astype(np.float32)
        return Enrolment(embedding=vector, label=f"p{number}", key=f"k{number}")

    def _open(self, out: Path) -> Any:
        from sdcl_neuro.reid.gallery import Gallery
        from sdcl_neuro.reid.gallery.sqlite import embedded

        embedded.KEPT_FROM = 8
        return Gallery(out / "g.gallery", model="m" * 64, dimension=16)

    def work(self, folder: Path, out: Path, say: Say) -> None:
        with self._open(out) as held:
            for number in range(0, WANTED, 4):
                held.enrol([self._row(one) for one in range(number, number + 4)])
                say(f"{number}")
                held.search(self._row(number).embedding[None], k=1)

    def check(self, folder: Path, out: Path, said: list[str]) -> None:
        if not said:
            return
        with self._open(out) as held:
            keys = {entry.key for entry in held.entries()}
            assert len(keys) % 4 == 0, "an enrolment is there in part"
            for number in map(int, said):
                assert {f"k{one}" for one in range(number, number + 4)} <= keys
                hits = held.search(self._row(number).embedding[None], k=1)
                assert hits[0][0].entry.label == f"p{number}"

    def whole(self, folder: Path, out: Path) -> None:
        with self._open(out) as held:
            assert len(held.entries()) == WANTED
        no_litter(out)


class Running:
    """A network run from a file of spikes to a file of spikes, and converted."""

    def prepare(self, folder: Path) -> None:
        from sdcl_neuro import conversion
        from sdcl_neuro.network.spike_file import write_spikes
        from sdcl_neuro.testing import random_network, random_spikes

        net = random_network(5, kind="conv", layers=2)
        spikes = random_spikes(net, steps=200, samples=4, seed=1)
        write_spikes(folder / "in.h5", spikes)
        conversion.to_netx(net, folder / "n.net")
        (folder / "good").mkdir()
        self.work(folder, folder / "good", lambda line: None)

    def work(self, folder: Path, out: Path, say: Say) -> None:
        from sdcl_neuro import conversion
        from sdcl_neuro.conversion.targets.netx.file import from_netx
        from sdcl_neuro.engine.file_run import run_file

        net = from_netx(folder / "n.net")
        for number in range(3):
            run_file(net, folder / "in.h5", out / f"out{number}.h5")
            say(f"out{number}.h5")
            conversion.to_netx(net, out / f"n{number}.net")
            say(f"n{number}.net")

    def check(self, folder: Path, out: Path, said: list[str]) -> None:
        from sdcl_neuro.conversion.targets.netx.file import from_netx
        from sdcl_neuro.network.spike_file import read_layers

        there = {path.name for path in out.iterdir() if not path.name.startswith(".")}
        assert set(said) <= there
        for name in there:
            if name.endswith(".net"):
                assert from_netx(out / name) == from_netx(folder / "n.net")
                continue
            found, good = (read_layers(place / name)[0] for place in (out, folder / "good"))
            assert all(np.array_equal(found[index], good[index]) for index in good)

    def whole(self, folder: Path, out: Path) -> None:
        assert sum(1 for _ in out.iterdir()) == 6
        no_litter(out)


class Caching:
    """Events of a data set, simulated into a cache."""

    def _data(self, folder: Path) -> Any:
        from sdcl_neuro.reid.datasets import read_prid2011

        return read_prid2011(folder / "prid", events=None)

    def prepare(self, folder: Path) -> None:
        import cv2

        rng = np.random.default_rng(1)
        for camera in ("cam_a", "cam_b"):
            for person in range(1, 5):
                place = folder / "prid" / "multi_shot" / camera / f"person_{person:04d}"
                place.mkdir(parents=True)
                for frame in range(1, 9):
                    picture = rng.integers(0, 255, (64, 32, 3)).astype(np.uint8)
                    cv2.imwrite(str(place / f"{frame:04d}.png"), picture)
        names = [f"person_{person:04d}" for person in range(1, 5)]
        splits = json.dumps([{"train": names[:2], "test": names[2:]}])
        (folder / "prid" / "splits_prid2011.json").write_text(splits)
        (folder / "good").mkdir()
        self.work(folder, folder / "good", lambda line: None)

    def work(self, folder: Path, out: Path, say: Say) -> None:
        from contextlib import contextmanager

        from sdcl_neuro.reid.datasets.cache import cache_events

        @contextmanager
        def bar(title: str, total: int) -> Any:
            yield lambda count: say(f"{count}")

        cache_events(self._data(folder), out / "cache", progress=bar)

    def check(self, folder: Path, out: Path, said: list[str]) -> None:
        there = list((out / "cache").glob("[!.]*.h5"))
        assert len(there) >= sum(map(int, said))
        self._same(folder, there)

    def whole(self, folder: Path, out: Path) -> None:
        there = list((out / "cache").glob("[!.]*.h5"))
        assert len(there) == len(list((folder / "good" / "cache").glob("*.h5")))
        self._same(folder, there)
        no_litter(out)

    def _same(self, folder: Path, there: list[Path]) -> None:
        import h5py

        for path in there:
            good = folder / "good" / "cache" / path.name
            with h5py.File(path) as one, h5py.File(good) as two:
                assert all(np.array_equal(one[name][()], two[name][()]) for name in two)


class Training:
    """A small model on a few tracklets: the weights of a killed training are those of a whole one.

    What was said is a step that was reported; the state on disk is never older than the last save.
    """

    def prepare(self, folder: Path) -> None:
        (folder / "good").mkdir()
        self.work(folder, folder / "good", lambda line: None)

    def work(self, folder: Path, out: Path, say: Say) -> None:
        import torch

        from sdcl_neuro.files import write_json
        from sdcl_neuro.reid.training import train

        shared = other("reid/training/conftest.py")
        tiny = shared.Tiny
        held = tiny.held(
            [shared.tracklet(person, index) for person in range(3) for index in (0, 1)]
        )
        model = tiny.model()
        train(
            model,
            held,
            tiny.clip,
            tiny.settings,
            folder=out / "training",
            on_step=lambda step: say(f"{step.step}"),
        )
        digest = float(sum(p.detach().double().abs().sum() for p in model.parameters()))
        torch.save(model.state_dict(), out / "weights.tmp")
        (out / "weights.tmp").rename(out / "weights.pt")
        write_json(out / "weights.json", digest)

    def check(self, folder: Path, out: Path, said: list[str]) -> None:
        from sdcl_neuro.reid.training.state import read_state

        state = read_state(out / "training" / "state")
        every = other("reid/training/conftest.py").Tiny.settings.checkpoint_every
        done = max((int(one) + 1 for one in said), default=0)
        if done >= every:
            assert state is not None
            assert state.step >= done // every * every

    def whole(self, folder: Path, out: Path) -> None:
        import torch

        found, good = (
            torch.load(place / "weights.pt", weights_only=True) for place in (out, folder / "good")
        )
        assert found.keys() == good.keys()
        wrong = [name for name, value in good.items() if not torch.equal(found[name], value)]
        assert not wrong, f"not bit for bit: {wrong[:3]}"
        log = (out / "training" / "log.csv").read_text()
        assert [line.split(",")[1] for line in log.splitlines()[1:]] or log
        no_litter(out)


SCENARIOS: dict[str, Scenario] = {
    "documents": Documents(),
    "folders": Folders(),
    "enrolling": Enrolling(),
    "running": Running(),
    "caching": Caching(),
    "training": Training(),
    "infer": Inferring(),
    "live": Watching(),
    "demo": Demonstrating(),
}
LONG = ("training", "demo")
"""Those that take long: a kill in one round of five."""
QUICK = ("documents", "folders", "enrolling", "running")
"""Those that take a fraction of a second each, for ``make test``."""
