"""`sdcl-neuro hw fit` and `convert --hw`: exit codes, files, one line of complaint."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import quantize, to_netx, to_nir
from sdcl_neuro.hardware.placement import fit
from sdcl_neuro.profiling.report import fit_page, placement_chart
from sdcl_neuro.snn.branch_description import COMPACT, PAPER
from sdcl_neuro.snn.checkpoint import save_checkpoint
from sdcl_neuro.snn.event_branch import EventBranch


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    """The compact branch untrained, as a checkpoint, as NIR, and as a .net."""
    branch = EventBranch(COMPACT)
    net = branch.float_network((64, 32))
    found = {name: tmp_path / f"model{ending}" for name, ending in
             (("checkpoint", ""), ("nir", ".nir"), ("net", ".net"))}  # fmt: skip
    save_checkpoint(found["checkpoint"], branch, input_size=(64, 32))
    to_nir(net, found["nir"])
    to_netx(quantize(net), found["net"])
    return found


@pytest.mark.parametrize("form", ["checkpoint", "nir", "net"])
def test_every_form_of_a_model_fits(
    form: str, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fit.json"
    assert main(["hw", "fit", str(models[form]), "loihi1", "--json", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("loihi1 (Intel Loihi): fits; 6 cores, 1 chip")
    assert printed.err == ""
    data = json.loads(out.read_text())
    assert data["schema"] == {"name": "sdcl_neuro.fit", "version": 1}
    assert [layer["cores"] for layer in data["layers"]] == [4, 2]
    assert len(data["placement"]["cores"]) == 6


def test_a_limit_exceeded_is_exit_code_1_and_still_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tmp_path / name) for name in ("fit.json", "fit.html")]
    command = ["hw", "fit", "paper", "loihi1", "--size", "256x128"]
    assert main([*command, "--json", files[0], "--html", files[1]]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "512 of 128 cores" in error
    assert "take 4 chips" in error
    assert json.loads(Path(files[0]).read_text())["fits"] is False
    assert "does not fit" in Path(files[1]).read_text(encoding="utf-8")


def test_a_description_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "branch.json").write_text(json.dumps(COMPACT.to_dict()))
    command = ["hw", "fit", str(tmp_path / "branch.json"), "speck2e", "--size", "64x32"]
    assert main(command) == 0
    assert "speck2e" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["paper", "loihi1"], "add --size"),
        (["paper", "loihi1", "--size", "64"], "HEIGHTxWIDTH"),
        (["paper", "loihi1", "--size", "0x3"], "positive"),
        (["paper", "lohi1", "--size", "64x32"], "did you mean 'loihi1'"),
        (["paper", "h200", "--size", "64x32"], "dense reference"),
        (["none.net", "loihi1"], "no such file"),
        (["none.net", "loihi1", "--size", "64x32"], "own input size"),
        (["none.json", "loihi1", "--size", "64x32"], "no such file"),
        (["bad.json", "loihi1", "--size", "64x32"], "not JSON"),
        (["odd.json", "loihi1", "--size", "64x32"], "not the description"),
    ],
)
def test_bad_usage_is_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.json").write_text("{")
    Path("odd.json").write_text("[1]")
    assert main(["hw", "fit", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_convert_checks_the_target_first(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.net"
    before = set(tmp_path.iterdir())
    assert main(["convert", str(models["nir"]), str(out), "--hw", "xylo_imu", "--quiet"]) == 1
    assert "inputs 4,096 of 16" in capsys.readouterr().err
    assert set(tmp_path.iterdir()) == before
    assert main(["convert", str(models["nir"]), str(out), "--hw", "loihi1", "--quiet"]) == 0
    assert "loihi1: fits; 6 cores" in capsys.readouterr().out
    account = json.loads(Path(f"{out}.json").read_text())
    assert account["fit"]["hw"] == "loihi1"
    assert account["fit"]["fits"] is True


def test_the_picture_shows_every_core() -> None:
    found = fit(COMPACT, "loihi1", size=(64, 32))
    markup, slim = placement_chart(found, rates=[0.1, 0.2]).split('<svg class="chart slim"')
    assert slim.count("<line") == markup.count("<line")
    assert len(re.findall(r'class="f1"><title>', markup)) == 4
    assert len(re.findall(r'class="f2"><title>', markup)) == 2
    assert found.placement is not None
    assert markup.count("<line") == len(found.placement.links)
    widest = max(n.neurons for n in found.placement.links) * 0.1
    assert f"{widest:.0f} messages a step" in markup.replace(".0 ", " ")
    many = placement_chart(fit(PAPER, "loihi1", size=(256, 128)))
    assert "the 400 strongest of" in many
    assert "No picture" in placement_chart(fit(COMPACT, "xylo_imu", size=(64, 32)))


@pytest.mark.parametrize(
    "hw", ["loihi1", "loihi2", "speck2e", "truenorth", "akd1000", "spinnaker2"]
)
def test_pages_need_nothing_from_outside(hw: str) -> None:
    html = fit_page(fit(PAPER, hw, size=(128, 64)))
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)
    assert "<script" not in html
    assert html.startswith("<!doctype html>")
