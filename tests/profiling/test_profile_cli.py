"""`sdcl-neuro profile` and `sdcl-neuro hw`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.hardware import list_profiles
from sdcl_neuro.network.spec import IntNetwork


@pytest.fixture
def files(
    tmp_path: Path, make_net: Callable[..., IntNetwork], spikes: NDArray[np.uint8]
) -> tuple[str, str]:
    to_netx(make_net(), tmp_path / "model.net")
    np.savez(tmp_path / "in.npz", spikes=spikes)
    return str(tmp_path / "model.net"), str(tmp_path / "in.npz")


def test_profile_writes_what_is_asked_for(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = {kind: tmp_path / f"out.{kind}" for kind in ("json", "csv", "html")}
    options = [word for kind, path in out.items() for word in (f"--{kind}", str(path))]
    model, spikes = files
    assert main(["profile", model, "--spikes", spikes, "--hw", "loihi1,truenorth", *options]) == 0
    printed = capsys.readouterr()
    assert "synaptic operations" in printed.out
    assert "profiling" in printed.err
    data = json.loads(out["json"].read_text())
    assert data["totals"]["synops"] == 39
    assert set(data["energy"]) == {"loihi1", "truenorth"}
    assert out["html"].read_text(encoding="utf-8").startswith("<!doctype html>")
    assert out["csv"].read_text().startswith("section,")


def test_quiet_is_quiet(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    model, spikes = files
    assert main(["profile", model, "--spikes", spikes, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--hw", "lohi1"], "did you mean 'loihi1'"),
        (["--hw", ","], "no hardware named"),
        (["--hw", "loihi1,loihi1"], "given twice"),
        (["--step-us", "-1"], "positive time"),
        (["--hw", "bad.toml"], "fault"),
    ],
)
def test_bad_usage_is_one_line_and_leaves_nothing(
    files: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("schema = 3\n")
    model, spikes = files
    before = set(tmp_path.iterdir())
    command = ["profile", model, "--spikes", spikes, "--json", "out.json", "--quiet", *options]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


def test_hw_list_and_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hw", "list", "--json", str(tmp_path / "list.json")]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(list_profiles())
    names = [
        entry["name"] for entry in json.loads((tmp_path / "list.json").read_text())["profiles"]
    ]
    assert names == listed
    assert main(["hw", "show", "loihi2", "--json", str(tmp_path / "show.json")]) == 0
    assert "Hala Point" in capsys.readouterr().out
    shown = json.loads((tmp_path / "show.json").read_text())
    assert shown["bounds"]["synop_all_in"]["high"] == 6.8
    hidden = shown["variants"]["hala_point"]["energy"]["synop"]
    assert hidden["value"] is None
    assert hidden["reason"]


def test_hw_show_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hw", "show", "xylo"]) == 2
    assert "did you mean" in capsys.readouterr().err
