"""`convert` to every target: files, report, exit codes, nothing half-written, nothing of others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_netx, from_nir, to_netx
from sdcl_neuro.conversion.backends.table import BACKENDS
from sdcl_neuro.conversion.targets.c.build import COMPILERS
from sdcl_neuro.conversion.targets.table import ENDINGS, ROWS, find_target
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import write_spikes

from .conftest import random_input

HAS_C = any(shutil.which(name) for name in COMPILERS)


@pytest.fixture
def model(everything: IntNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", _without_simulators(tmp_path))
    folder = tmp_path / "in"
    folder.mkdir()
    to_netx(everything, folder / "m.net")
    return str(folder / "m.net")


def _without_simulators(tmp_path: Path) -> str:
    """A path with the C compiler alone: Verilator and yosys take half a minute."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (*COMPILERS, "as", "ld", "collect2"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return str(folder)


def _last(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    assert not any("Traceback" in line for line in lines)
    return lines[-1]


CALLS = {
    "netx": ["out.net"],
    "nir": ["out.nir"],
    "c": ["event.c"],
    "onnx": ["event.onnx", "--part", "event"],
    "verilog": ["--hdl", "hdl"],
    "speck": ["out.speck"],
}
FILES = {
    "netx": {"out.net", "out.net.json"},
    "nir": {"out.nir", "out.nir.json"},
    "c": {"event.c", "event.h", "event_check.c", "event.c.json"},
    "onnx": {"event.onnx", "event_step.onnx", "event.onnx.json"},
}


@pytest.mark.parametrize("name", CALLS)
def test_each_target_writes_its_files_and_its_report(
    model: str,
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    if name in ("nir", "speck"):  # a delayed layer does not go there; it is whole or absent
        if name == "speck":
            pytest.importorskip("sinabs", reason="sinabs is not installed")
        assert main(["convert", model, *CALLS[name], "--quiet"]) == 2
        assert {path.name for path in folder.iterdir()} == {f"{CALLS[name][0]}.json"}
        assert json.loads((folder / f"{CALLS[name][0]}.json").read_text())["refused"]
        return
    assert main(["convert", model, *CALLS[name], "--json", "copy.json", "--quiet"]) == 0
    report = json.loads((folder / "copy.json").read_text())
    assert report["target"] == name
    assert "nothing was folded or rounded" in capsys.readouterr().out
    here = folder / "hdl" if name == "verilog" else folder
    names = {path.name for path in here.iterdir()} - {"copy.json"}
    own = "report.json" if name == "verilog" else f"{CALLS[name][0]}.json"
    assert names == {*report["files"], own}
    if name in FILES:
        assert names == FILES[name]
    assert report == json.loads((here / own).read_text())
    # Once more over itself: the same bytes.
    before = {path.name: path.read_bytes() for path in here.iterdir() if path.name != "copy.json"}
    assert main(["convert", model, *CALLS[name], "--quiet"]) == 0
    after = {path.name: path.read_bytes() for path in here.iterdir() if path.name != "copy.json"}
    assert before == after


def test_the_rows_are_told_apart_and_have_backends() -> None:
    assert set(CALLS) == {row.name for row in ROWS}
    assert len({row.ending for row in ROWS}) == len(ROWS)
    assert all(callable(row.write()) for row in ROWS)
    assert {"c", "onnx", "verilog"} <= set(BACKENDS)
    assert find_target(Path("x.c")).name == "c"
    assert find_target(Path("folder"), "verilog").ending == ""
    with pytest.raises(InputError, match=r"unknown ending .\.txt.*use \.net or \.nir or \.c"):
        find_target(Path("x.txt"))
    with pytest.raises(InputError, match="unknown target 'fpga'"):
        find_target(Path("x"), "fpga")
    assert set(ENDINGS) == {".net", ".nir", ".c", ".onnx", ".speck"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out.onnx"], "no part is named; give --part event"),
        (
            ["out.net", "--part", "event"],
            "--part event is written as ONNX; name the output OUT.onnx",
        ),
        ([], "no output is named; give OUT, or --hdl DIR"),
        (["out.c", "--hdl", "d"], "--hdl DIR stands instead of OUT"),
        (["--hdl", "d", "--part", "event"], "--hdl DIR stands instead of OUT"),
        (["--hdl", "d", "--diff"], "--hdl with --diff"),
        (["--hdl", "d", "--bundle", "b"], "a bundle holds a .net"),
        (["my-net.c"], "not a C identifier"),
        (["out.onnx", "--part", "head"], "unknown part 'head'"),
        (["event.c", "--spikes", "other.npz"], "shape"),
        (["--hdl", "d", "--spikes", "other.npz"], "shape"),
    ],
)
def test_mistakes_are_answered_in_one_line_and_leave_nothing(
    model: str,
    everything: IntNetwork,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write_spikes(folder / "in.npz", random_input(everything))
    write_spikes(folder / "other.npz", np.ones((3, 1, 5), np.uint8))
    assert main(["convert", model, *arguments, "--quiet"]) == 2
    assert message in _last(capsys)
    assert {path.name for path in folder.iterdir()} == {"in.npz", "other.npz"}


def test_files_of_others_are_not_written_over(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "work"
    (folder / "hdl").mkdir(parents=True)
    monkeypatch.chdir(folder)
    (folder / "event.h").write_text("mine")
    (folder / "hdl" / "thesis.txt").write_text("mine")
    assert main(["convert", model, "event.c", "--quiet"]) == 2
    assert "event.h would be overwritten and was not written by sdcl-neuro" in _last(capsys)
    assert main(["convert", model, "--hdl", "hdl", "--quiet"]) == 2
    assert "holds thesis.txt; name a new folder" in _last(capsys)
    assert main(["convert", model, "--hdl", "event.h", "--quiet"]) == 2
    assert "the output is a file" in _last(capsys)
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*")) == [
        "event.h",
        "hdl",
        "hdl/thesis.txt",
    ]


def test_vectors_of_your_own(
    model: str,
    everything: IntNetwork,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_spikes(tmp_path / "in.npz", random_input(everything, steps=5, samples=2))
    assert main(["convert", model, "event.c", "--spikes", "in.npz", "--quiet"]) == 0
    assert json.loads((tmp_path / "event.c.json").read_text())["facts"]["vector_steps"] == 5
    assert main(["convert", model, "--hdl", "hdl", "--spikes", "in.npz", "--quiet"]) == 0
    assert json.loads((tmp_path / "hdl" / "report.json").read_text())["facts"]["steps"] == 10
    lines = (tmp_path / "hdl" / "input.txt").read_text().splitlines()
    assert lines.count("1 0 0 0 0") == 10
    assert lines.count("2 0 0 0 0") == 1
    capsys.readouterr()


@pytest.mark.skipif(not HAS_C, reason="no C compiler is installed")
def test_run_and_verify_know_them(
    model: str,
    everything: IntNetwork,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_spikes(tmp_path / "in.npz", random_input(everything))
    given = ["--spikes", "in.npz", "--quiet"]
    outs = []
    for backend in ("loihi", "c", "onnx"):
        out = f"{backend}.npz"
        assert main(["run", model, *given, "--out", out, "--backend", backend]) == 0
        with np.load(out) as found:
            outs.append({name: found[name] for name in found.files})
    for other in outs[1:]:
        assert other.keys() == outs[0].keys()
        assert all(np.array_equal(other[name], outs[0][name]) for name in other)
    arguments = ["verify", model, *given, "--against", "c,onnx", "--json", "c.json"]
    assert main(arguments) == 0
    certificate = json.loads((tmp_path / "c.json").read_text())
    assert [pair["holds"] for pair in certificate["pairs"]] == [True, True]
    assert certificate["versions"]["onnxruntime"]
    assert certificate["versions"]["compiler"]
    assert main(["verify", model, *given, "--against", "verilog"]) == 3
    assert "verilator is not installed" in _last(capsys)


def test_a_float_network_is_scaled_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    from sdcl_neuro.conversion import to_nir
    from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

    monkeypatch.chdir(tmp_path)
    to_nir(EventBranch(COMPACT).float_network((16, 8)), "m.nir")
    spikes = (np.random.default_rng(0).random((6, 2, 2, 16, 8)) < 0.2).astype(np.uint8)
    write_spikes(tmp_path / "in.npz", spikes)
    assert main(["convert", "m.nir", "event.c", "--calibrate", "in.npz", "--quiet"]) == 0
    assert main(["convert", "m.nir", "again.net", "--calibrate", "in.npz", "--quiet"]) == 0
    sha = json.loads((tmp_path / "event.c.json").read_text())["rounded"]
    assert sha == json.loads((tmp_path / "again.net.json").read_text())["rounded"]
    assert from_nir("m.nir").layers[0].kind == "conv"
    assert len(from_netx("again.net").layers) == 2
    capsys.readouterr()
