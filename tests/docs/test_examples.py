"""What ``--help`` shows at its end leads to a result, from an empty folder."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from helpers.doc_blocks import QUICK
from sdcl_neuro import demo
from sdcl_neuro.cli import VERBS, main
from sdcl_neuro.cli.examples import EXAMPLES
from sdcl_neuro.models import DEFAULT

Site = Callable[[str], ModuleType]
ELSEWHERE = {
    "data": "it needs a data set, see tests/reid/datasets",
    "lava": "it installs, see tests/distribution",
    "serve": "it serves until it is ended, see tests/reid/serve",
    "weights": "it fetches a file from the internet, see tests/models",
}
"""Verbs whose lines are not run here, and why."""
SHORT = ("convert", "hw", "models", "check")
"""Verbs whose lines take a second; the others are slow tests."""
LESS = {**QUICK, "demo": "--steps 3,2"}


def test_every_verb_has_examples_of_itself() -> None:
    assert set(EXAMPLES) == set(VERBS)
    for verb, lines in EXAMPLES.items():
        words = [shlex.split(line) for line in lines]
        assert all(one[0] == "sdcl-neuro" and one[1] in VERBS for one in words)
        assert words[-1][1] == verb
    assert set(ELSEWHERE) < set(VERBS)


def test_the_lines_are_understood(site: Site) -> None:
    """Of every verb, also of those that are not run: its own parser takes them."""
    parsers: dict[str, argparse.ArgumentParser] = dict(site("command_line").parsers())
    for line in sorted({line for lines in EXAMPLES.values() for line in lines}):
        _, verb, *words = shlex.split(line)
        _, unknown = parsers[verb].parse_known_args(words)
        assert unknown == [], line


@pytest.mark.parametrize("words", [["run"], ["hw"], ["hw", "fit"], ["batch"]])
def test_help_ends_with_them(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    shown = capsys.readouterr().out
    _, _, end = shown.partition("examples, from an empty folder:\n")
    assert [line.strip() for line in end.splitlines()][: len(EXAMPLES[words[0]])] == [
        *EXAMPLES[words[0]]
    ]


def _run(verb: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / ".cache"))
    for line in EXAMPLES[verb]:
        _, first, *words = shlex.split(line)
        plain = first == "demo" and "--clip" in words
        less = "" if plain or "--dry-run" in words else LESS.get(first, "")
        code = main([first, *words, "--quiet", *less.split()])
        assert code == 0, f"{line}: exit code {code}"


@pytest.mark.parametrize("verb", SHORT)
def test_they_lead_to_a_result(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(verb, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.timeout(900)
@pytest.mark.parametrize("verb", sorted(set(VERBS) - set(ELSEWHERE) - set(SHORT)))
def test_the_others_lead_to_a_result(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(verb, tmp_path, monkeypatch)


def test_the_clip_is_copied_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "clips"
    for _ in range(2):
        assert main(["demo", "--clip", str(folder)]) == 0
        assert capsys.readouterr().out.split() == [
            str(folder / "walk.mp4"), str(folder / "walk.txt"),
        ]  # fmt: skip
    assert (folder / "walk.mp4").read_bytes() == demo.clip_path().read_bytes()
    (folder / "walk.txt").write_text("mine")
    assert main(["demo", "--clip", str(folder)]) == 2
    assert "walk.txt: exists already, with other content" in capsys.readouterr().err
    assert (folder / "walk.txt").read_text() == "mine"


@pytest.mark.parametrize("verb", ["convert", "run", "evaluate", "infer", "part"])
def test_a_folder_around_a_checkpoint_is_answered_with_its_place(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`models get` and training leave such folders."""
    monkeypatch.chdir(tmp_path)
    assert main(["models", "get", DEFAULT]) == 0
    assert main(["demo", "--clip", "."]) == 0
    spikes = f"--spikes {DEFAULT}/spikes.npz"
    line = {
        "convert": f"convert {DEFAULT} out.net",
        "run": f"run {DEFAULT} {spikes} --out o.npz",
        "evaluate": f"evaluate {DEFAULT}",
        "infer": f"infer {DEFAULT} --video walk.mp4 --tracks walk.txt",
        "part": f"convert {DEFAULT} out.onnx --part bridge",
    }[verb]
    assert main([*line.split(), "--quiet"]) == 2
    assert f"its checkpoint is {Path(DEFAULT) / 'checkpoint'}: give that" in capsys.readouterr().err
