"""The demonstration with a few steps of training: everything else is as users get it."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_netx
from sdcl_neuro.conversion.backends.lava import installation
from sdcl_neuro.conversion.model_reading import load

pytestmark = [pytest.mark.lava, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        assert main(["demo", "--out", str(folder / "out"), "--steps", "2,2", "--quiet"]) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def figures(out: Path) -> dict[str, Any]:
    return json.loads((out / "demo.json").read_text(encoding="utf-8"))


def test_every_exact_pair_agrees_on_enough_spikes(figures: dict[str, Any]) -> None:
    certificates = figures["certificates"]
    compared = {name: set() for name in certificates}
    for name, certificate in certificates.items():
        for pair in certificate["pairs"]:
            compared[name].add(pair["backends"][1])
            if pair["kind"] != "exact":
                continue
            for layer in pair["layers"]:
                assert layer["mismatches"] == 0, (name, pair["backends"], layer)
                assert min(layer["spikes"].values()) >= 1000, (name, layer)
    everything = {"snntorch-int", "lava", "snntorch", "norse"}
    # The paper's network comes as a module, so its certificate begins with the module itself.
    source = everything | {"description"}
    assert list(compared.values()) == [{"snntorch-int"}, everything, source]
    assert certificates["compact network, all 108 tracklets"]["spikes"]["shape"][1] == 108


def test_the_float_pair_differs_by_rounding_at_most(figures: dict[str, Any]) -> None:
    verdicts = [
        pair["holds"]
        for certificate in figures["certificates"].values()
        for pair in certificate["pairs"]
        if pair["kind"] == "float"
    ]
    assert verdicts == [True, True]


def test_the_report_is_one_file_and_tells_the_whole_story(out: Path) -> None:
    text = (out / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert "<script" not in text
    for title in (
        "Frames and events", "Training", "Conversion", "Parity", "Spikes",
        "What each part sees", "Spikes by depth", "Activity",
        "Latency on this machine", "Latency and throughput",
        "Energy", "Ranked lists", "Constants and sources",
    ):  # fmt: skip
        assert f">{title}</h2>" in text, title
    anchors = re.findall(r'<section id="([^"]+)"', text)
    assert len(anchors) == len(set(anchors)) > 10
    assert "not an accuracy result" in text


def test_what_was_written_is_what_was_trained(out: Path) -> None:
    trained = load(out / "checkpoint").need_integer()
    written = from_netx(out / "event_branch.net")
    for one, two in zip(trained.layers, written.layers, strict=True):
        assert one.neuron == two.neuron
        assert (one.weight == two.weight).all()


def test_inference_is_accounted_for(figures: dict[str, Any]) -> None:
    stages = {stage["name"] for stage in figures["ledger"]["stages"]}
    assert {"frame branch", "event branch", "bridge"} <= stages
    assert set(figures["profile"]["energy"]) == {"loihi1", "loihi2"}
    assert len(figures["ranking"]["queries"]) == 30


def test_a_second_run_takes_the_training_and_gives_the_same(
    out: Path,
    figures: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(out.parent / "cache"))
    assert main(["demo", "--out", str(out), "--steps", "2,2"]) == 0
    shown = capsys.readouterr()
    assert "taking the finished training" in shown.err
    assert f"report: {out / 'report.html'}\nnext:\n" in shown.out
    commands = shown.out.split("next:\n")[1].splitlines()
    assert len(commands) == 4
    for command in commands:
        name, *words = shlex.split(command)
        assert Path(name).name == "sdcl-neuro"
        more = ["--out", str(out.parent / "infer")] if words[0] == "infer" else []
        assert main([*words, *more, "--quiet"]) == 0, command
    # All three certificates were there, and that is said, line by line and in the page.
    assert shown.err.count("kept from an earlier run") == 3
    assert "kept from an earlier run" in (out / "report.html").read_text(encoding="utf-8")
    again = json.loads((out / "demo.json").read_text(encoding="utf-8"))
    assert len(again["kept"]) == 3
    assert figures["kept"] == []
    assert again["ranking"] == figures["ranking"]
    assert again["profile"]["layers"] == figures["profile"]["layers"]


def test_steps_that_are_none_end_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["demo", "--out", str(tmp_path / "out"), "--steps", "many"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    assert main(["demo", "--out", str(tmp_path / "file")]) == 2
    assert "file: is not a folder; give another folder" in capsys.readouterr().err


def test_without_lava_and_norse_it_ends_well_and_says_what_was_not_run(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(out.parent / "cache"))
    monkeypatch.setattr(installation, "_exists", lambda name: not name.startswith("lava"))
    monkeypatch.setitem(sys.modules, "norse", None)
    assert main(["demo", "--out", str(out), "--steps", "2,2"]) == 0
    shown = capsys.readouterr()
    first, second = (line for line in shown.err.splitlines() if line.startswith("not run:"))
    assert shown.err.startswith(first)  # before any work
    assert "lava, not installed" in first
    assert "sdcl-neuro lava install" in first
    assert "norse, the backend norse needs norse" in second
    assert "pip install 'sdcl-neuro[norse]'" in second
    assert "--against snntorch-int\n" in shown.out
    told = json.loads((out / "demo.json").read_text(encoding="utf-8"))
    assert set(told["not_run"]) == {"lava", "norse"}
    compared = {pair["backends"][1] for c in told["certificates"].values() for pair in c["pairs"]}
    assert compared == {"snntorch-int", "snntorch", "description"}
    assert "not run" in (out / "report.html").read_text(encoding="utf-8")


def test_a_backend_that_was_asked_for_and_is_absent_ends_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(installation, "_exists", lambda name: not name.startswith("lava"))
    assert main(["demo", "--out", str(tmp_path / "out"), "--backend", "lava"]) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
