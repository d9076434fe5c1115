"""``sdcl-neuro run`` and ``sdcl-neuro lava``: files in, files out, exit codes, one-line errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.conversion.backends.lava import installation as lava_install
from sdcl_neuro.conversion.backends.run import run as run_backend
from sdcl_neuro.engine import run_network
from sdcl_neuro.extras import install_command
from sdcl_neuro.files import file_sha256
from sdcl_neuro.network.spike_file import write_spikes
from sdcl_neuro.testing import random_network, random_spikes

NET = random_network(4, kind="dense", layers=2)
SPIKES = random_spikes(NET, 1, steps=5, samples=2, rate=0.5)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    to_netx(NET, tmp_path / "a.net")
    write_spikes(tmp_path / "in.npz", SPIKES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*more: str) -> list[str]:
    return ["run", "a.net", "--spikes", "in.npz", "--out", "out.npz", *more]


def test_spikes_and_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command("--json", "out.json")) == 0
    ours = run_network(NET, SPIKES)
    with np.load("out.npz") as out:
        assert sorted(out.files) == ["layer_0", "layer_1"]
        for index in (0, 1):
            assert np.array_equal(out[f"layer_{index}"], ours.spikes[index])
    told = json.loads(Path("out.json").read_text())
    assert told["schema"] == {"name": "sdcl_neuro.run", "version": 1}
    assert told["backend"] == "loihi"
    assert (told["steps"], told["samples"], told["layers_kept"]) == (5, 2, [0, 1])
    assert told["activity"][0]["spikes_out"] == ours.activity[0].spikes_out.tolist()
    assert told["out"] == {"file": "out.npz", "sha256": file_sha256("out.npz")}
    captured = capsys.readouterr()
    assert captured.out.startswith("Loihi engine (software): 5 steps, 2 samples")
    assert "running a.net" in captured.err


def test_the_input_is_not_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("in.npz").read_bytes()
    assert main(["run", "a.net", "--spikes", "in.npz", "--out", "./in.npz"]) == 2
    assert "in.npz: is also the input" in capsys.readouterr().err
    assert Path("in.npz").read_bytes() == before


def test_layers_and_h5(folder: Path) -> None:
    words = ["run", "a.net", "--spikes", "in.npz", "--out", "out.h5", "--layers", "1", "--quiet"]
    assert main(words) == 0
    assert Path("out.h5").is_file()


@pytest.mark.lava
def test_lava_gives_the_same_file(folder: Path) -> None:
    assert main(command("--backend", "lava", "--timeout", "120", "--quiet")) == 0
    with np.load("out.npz") as out:
        ours = run_network(NET, SPIKES)
        assert all(np.array_equal(out[f"layer_{k}"], ours.spikes[k]) for k in (0, 1))


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--layers", "0,x"], "--layers: '0,x' is not a list of layers; give layer numbers"),
        (["--layers", "9"], "no layer 9"),
        (["--out", "out.csv"], "--out: out.csv ends in none of .npz, .h5"),
        (["--spikes", "none.npz"], "no such file"),
        (
            ["--timeout", "3"],
            "--timeout is not an option of the backend loihi",
        ),
        (["--device", "tpu0"], "device"),
    ],
)
def test_bad_input(
    more: list[str], text: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.iterdir())
    assert main(command("--quiet", *more)) == 2
    line = capsys.readouterr().err
    assert text in line
    assert line.count("\n") == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("backend", ["loihi", "lava", "snntorch-int"])
def test_counts_without_message_bits_and_other_ranks(
    backend: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_spikes("counts.npz", SPIKES * 3)
    wide = np.zeros((2, 1, 1, 3, 3), np.uint8)
    write_spikes("wide.npz", wide)
    for name in ("counts", "wide"):
        assert main(command("--spikes", f"{name}.npz", "--backend", backend, "--quiet")) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not Path("out.npz").exists()


@pytest.mark.parametrize("backend", ["snntorch", "snntorch-int", "loihi"])
def test_activity_is_counted_for_every_backend(backend: str) -> None:
    record = run_backend(NET, SPIKES, backend=backend)
    assert record.backend == backend
    assert len(record.activity) == 2
    expected = [int(record.spikes[k].sum()) for k in (0, 1)]
    assert [int(layer.spikes_out.sum()) for layer in record.activity] == expected


def test_lava_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    absent = lava_install.LavaStatus({"lava-nc": None}, ("lava.magma.core",), extension=False)
    monkeypatch.setattr(lava_install, "status", lambda: absent)
    assert main(["lava", "status", "--json", str(tmp_path / "s.json")]) == 3
    captured = capsys.readouterr()
    assert f"Lava is not ready: run `{install_command('lava')}`" in captured.out
    assert captured.err.splitlines()[-1].startswith("sdcl-neuro: lava: not installed")
    assert json.loads((tmp_path / "s.json").read_text())["ready"] is False


@pytest.mark.lava
def test_process_models_are_those_that_lava_chooses(
    in_lava: Callable[..., None], tmp_path: Path
) -> None:
    in_lava("models", tmp_path / "models.json")
    chosen = json.loads((tmp_path / "models.json").read_text())
    assert len(chosen) >= 6
    for process, (lavas, ours) in chosen.items():
        assert lavas == ours, process
