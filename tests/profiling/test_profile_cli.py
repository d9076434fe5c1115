"""`sdcl-neuro profile` and `sdcl-neuro hw`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.hardware import list_profiles, load_profile
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
        (["--host-us", "-1"], "not negative"),
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
    assert shown["bounds"] == {}
    assert shown["variants"]["pilotnet_u0"]["energy"]["synop"]["low"] == 27.4
    assert main(["hw", "show", "loihi1", "--json", str(tmp_path / "show.json")]) == 0
    shown = json.loads((tmp_path / "show.json").read_text())
    hidden = shown["variants"]["davies2018"]["energy"]["synchronisation"]
    assert hidden["value"] is None
    assert hidden["reason"]


def test_hw_template_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hw", "template"]) == 0
    printed = capsys.readouterr().out
    assert 'name = "mychip"' in printed
    out = tmp_path / "odin.toml"
    assert main(["hw", "template", "odin", "--out", str(out)]) == 0
    assert "fill it in" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == printed.replace("mychip", "odin")
    assert main(["hw", "show", str(out)]) == 0
    assert "not filled in yet" in capsys.readouterr().out
    for words, said in (
        (["odin", "--out", str(out)], "does not exist yet"),
        (["odin", "--out", str(tmp_path / "odin.txt")], "expected a .toml"),
        (['a"b'], "expected a name"),
    ):
        assert main(["hw", "template", *words]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_a_template_is_profiled_with_its_reasons(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, spikes = files
    out = tmp_path / "mine.toml"
    assert main(["hw", "template", "mine", "--out", str(out), "--quiet"]) == 0
    assert main(["profile", model, "--spikes", spikes, "--hw", str(out), "--quiet"]) == 0
    assert "energy: unknown: not filled in yet" in capsys.readouterr().out


def test_the_page_that_adds_a_chip_is_right(
    root: Path, files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Follow docs/how-to/add-a-chip.md: its profile loads, fits, and gives ODIN's own figure."""
    text = (root / "docs" / "how-to" / "add-a-chip.md").read_text(encoding="utf-8")
    odin = tmp_path / "odin.toml"
    odin.write_text(text.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    assert main(["hw", "show", str(odin)]) == 0
    model, spikes = files
    assert main(["hw", "fit", model, str(odin)]) == 1
    assert "cores 2 of 1 cores" in capsys.readouterr().err  # a core takes one layer
    out = tmp_path / "odin.json"
    command = ["profile", model, "--spikes", spikes, "--hw", f"{odin},loihi1", "--json", str(out)]
    assert main([*command, "--quiet"]) == 0
    energy = json.loads(out.read_text())["energy"]["odin"]
    assert energy["parts"]["synaptic_operations"]["low_uj"] == pytest.approx(39 * 8.43e-6)
    assert "contained" in energy["not_modelled"]["neuron_updates"]["reason"]
    # The three constants at full rate are the abstract's 12.7 pJ an operation.
    hw = load_profile(odin)
    static_pj = hw.power["static"].bounds[0] * hw.variants["frenkel2019"].time["synop"].bounds[0]
    whole = static_pj + hw.variants["frenkel2019"].energy["synop"].bounds[0]
    assert whole == pytest.approx(12.7, abs=0.05)
    for command in re.findall(r"^sdcl-neuro (hw template .*?|hw show .*?)(?:\s+#.*)?$", text, re.M):
        words = command.replace("odin.toml", str(tmp_path / "again.toml")).split()
        assert main(words) == 0


def test_a_baseline_is_for_ci(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, spikes = files
    before, now = str(tmp_path / "before.json"), str(tmp_path / "now.json")
    words = ["profile", model, "--quiet", "--hw", "loihi1,loihi2", "--spikes"]
    assert main([*words, spikes, "--json", before]) == 0
    assert main([*words, spikes, "--baseline", before, "--json", now]) == 0
    assert "0 moved by more than 5 %" in capsys.readouterr().out
    found = json.loads(Path(now).read_text())["baseline"]
    assert (found["moved"], found["file"], found["tolerance"]) == ([], before, 0.05)
    busier = np.zeros((4, 1, 1, 3, 3), np.uint8)
    busier[:, 0, 0, 1, 1] = 1
    np.savez(tmp_path / "busier.npz", spikes=busier)
    command = [*words, str(tmp_path / "busier.npz"), "--baseline", before]
    assert main([*command, "--json", now]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "a sample's synops: 39.0 to 108 (+177 %)" in error
    assert "energy on loihi1, high_uj" in error
    assert json.loads(Path(now).read_text())["baseline"]["moved"]  # written all the same
    assert main([*command, "--tolerance", "400"]) == 0
    # A quieter network moved as well: a dead one must not pass.
    np.savez(tmp_path / "silent.npz", spikes=np.zeros((4, 1, 1, 3, 3), np.uint8))
    assert main([*words, str(tmp_path / "silent.npz"), "--baseline", before]) == 1
    other = [*words[:4], "truenorth", "--spikes", spikes, "--baseline", before]
    assert main(other) == 0
    assert "not compared: energy on loihi1, low_uj (not now)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("{", "not JSON"),
        ("[" * 10_000, "not JSON"),
        ("[]", "got no schema"),
        ('{"schema": {"name": "sdcl_neuro.fit"}}', "got sdcl_neuro.fit"),
        ('{"schema": {"name": "sdcl_neuro.profile"}, "layers": 3}', "no figure"),
    ],
)
def test_bad_baselines_are_one_line(
    files: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
    words: str,
) -> None:
    path = tmp_path / "baseline.json"
    if text is not None:
        path.write_text(text)
    model, spikes = files
    assert main(["profile", model, "--spikes", spikes, "--quiet", "--baseline", str(path)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_hw_show_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hw", "show", "xylo"]) == 2
    assert "did you mean" in capsys.readouterr().err
