"""Whole verbs that are killed: `infer` with a gallery, `live` and `demo`."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from scenario import Say, Scenario, no_litter, other


def verb(*arguments: str) -> None:
    """Run the command line in this process; anything but success is a fault."""
    from sdcl_neuro.cli import main

    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()) as told,
    ):
        code = main([*arguments, "--quiet"])
    assert code == 0, f"{arguments[0]} ended with {code}: {told.getvalue()[-500:]}"


def _material(folder: Path) -> tuple[str, list[str]]:
    """A tiny checkpoint, and the arguments that name its film."""
    return (
        str(folder / "sdcl"),
        [str(folder / "walk.avi"), "--tracks", str(folder / "tracks.txt")],
    )


def _embeddings(path: Path) -> dict[tuple[int, int], Any]:
    """Embeddings of `live`, by track and first frame; a torn last line is left out."""
    whole, _, _ = path.read_text().rpartition("\n")
    rows = [json.loads(line) for line in whole.split("\n") if line]
    return {(one["track"], one["first_frame"]): one["embedding"] for one in rows}


def _prepare_film(scenario: Scenario, folder: Path) -> None:
    """Make the tiny film and checkpoint, and what a whole run on them comes to."""
    made = other("reid/pipeline/conftest.py")
    made.make_material(folder)
    made.make_checkpoint(folder, made.make_model())
    (folder / "good").mkdir()
    scenario.work(folder, folder / "good", lambda line: None)


class Inferring:
    """`infer --enrol`: the folder is there whole or not at all, no tracklet is enrolled twice."""

    def prepare(self, folder: Path) -> None:
        _prepare_film(self, folder)

    def work(self, folder: Path, out: Path, say: Say) -> None:
        checkpoint, film = _material(folder)
        gallery = ["--gallery", str(out / "g.gallery"), "--enrol", "--camera", "door"]
        verb("infer", checkpoint, "--video", *film, *gallery, "--out", str(out / "result"))
        say("result")

    def check(self, folder: Path, out: Path, said: list[str]) -> None:
        there = out / "result"
        assert there.is_dir() or not said
        if there.is_dir():
            self._same(there, folder / "good" / "result")
        keys = self._keys(out)
        assert keys <= self._keys(folder / "good")
        if said:
            assert keys == self._keys(folder / "good")

    def whole(self, folder: Path, out: Path) -> None:
        self._same(out / "result", folder / "good" / "result")
        assert self._keys(out) == self._keys(folder / "good")
        no_litter(out)

    @staticmethod
    def _same(one: Path, two: Path) -> None:
        assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
        assert (one / "report.html").read_text().rstrip().endswith("</html>")
        found, good = (json.loads((place / "infer.json").read_text()) for place in (one, two))
        assert found.keys() == good.keys()

    @staticmethod
    def _keys(out: Path) -> set[str]:
        from sdcl_neuro.reid.gallery import Gallery

        if not (out / "g.gallery").exists():
            return set()
        with Gallery(out / "g.gallery", create=False) as held:
            keys = [entry.key for entry in held.entries()]
        assert len(keys) == len(set(keys)), "a tracklet was enrolled twice"
        return set(keys)


class Watching:
    """`live`: every whole line that it wrote is right, and the next session has all of them."""

    def prepare(self, folder: Path) -> None:
        _prepare_film(self, folder)

    def work(self, folder: Path, out: Path, say: Say) -> None:
        checkpoint, film = _material(folder)
        number = len(list(out.glob("*.jsonl")))
        verb(
            "live", checkpoint, "--frames", *film, "--speed", "0", "--drop", "none",
            "--out", str(out / f"{number}.jsonl"), "--json", str(out / f"{number}.json"),
        )  # fmt: skip
        say(f"{number}")

    def check(self, folder: Path, out: Path, said: list[str]) -> None:
        good = _embeddings(folder / "good" / "0.jsonl")
        for path in out.glob("*.jsonl"):
            found = _embeddings(path)
            assert found.keys() <= good.keys()
            for key, row in found.items():
                assert np.allclose(row, good[key], rtol=1e-4, atol=1e-5)
        for number in said:
            assert _embeddings(out / f"{number}.jsonl").keys() == good.keys()
            json.loads((out / f"{number}.json").read_text())

    def whole(self, folder: Path, out: Path) -> None:
        last = max(out.glob("*.jsonl"), key=lambda path: int(path.stem))
        self.check(folder, out, [last.stem])
        no_litter(out)


class Demonstrating:
    """`demo` with a few steps, without Lava: every file there is whole, training goes on."""

    FILES = ("event_branch.net", "event_branch.nir", "spikes.npz", "demo.json", "report.html")

    def prepare(self, folder: Path) -> None:
        from sdcl_neuro.conversion.backends.lava import installation

        # Each start of Lava takes longer than all the rest.
        installation._exists = lambda name: not name.startswith("lava")
        (folder / "good").mkdir()
        self.work(folder, folder / "good", lambda line: None)

    def work(self, folder: Path, out: Path, say: Say) -> None:
        verb("demo", "--out", str(out / "demo"), "--steps", "2,2")
        say("demo")

    def check(self, folder: Path, out: Path, said: list[str]) -> None:
        from sdcl_neuro.conversion.targets.netx.file import from_netx

        place = out / "demo"
        if said:
            assert all((place / name).exists() for name in self.FILES)
        if (place / "event_branch.net").exists():
            from_netx(place / "event_branch.net")
        if (place / "spikes.npz").exists():
            with np.load(place / "spikes.npz") as members:
                assert all(members[name].size for name in members)
        if (place / "demo.json").exists():
            json.loads((place / "demo.json").read_text())
        if (place / "report.html").exists():
            assert (place / "report.html").read_text().rstrip().endswith("</html>")

    def whole(self, folder: Path, out: Path) -> None:
        from sdcl_neuro.conversion.targets.netx.file import from_netx

        self.check(folder, out, ["demo"])
        good = from_netx(folder / "good" / "demo" / "event_branch.net")
        assert from_netx(out / "demo" / "event_branch.net") == good, "another network was trained"
        no_litter(out)
