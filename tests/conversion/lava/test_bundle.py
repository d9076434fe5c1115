"""A bundle is whole, checks itself, and its script finds what a board would get wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_netx, to_bundle, to_netx
from sdcl_neuro.conversion.parity.certificate import Certificate
from sdcl_neuro.conversion.parity.verify import RandomInput, verify
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError
from sdcl_neuro.files import file_sha256
from sdcl_neuro.network.spike_file import write_spikes
from sdcl_neuro.testing import random_network, random_spikes

RUNNER = Path(__file__).with_name("in_bundle.py")
FILES = {"network.net", "input.npz", "expected.npz", "manifest.json", "run_on_loihi.py"}
Done = subprocess.CompletedProcess[str]


def _run(folder: Path, *arguments: str, board: str = "-") -> Done:
    command = [sys.executable, str(RUNNER), str(folder), board, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def _alone(folder: Path, *arguments: str) -> Done:
    """The script as it is: without the mends, Lava does not start on a current Python."""
    command = [sys.executable, str(folder / "run_on_loihi.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def _bundle(folder: Path, kind: str, seed: int, *, samples: int = 2, **options: Any) -> Path:
    net = random_network(seed, kind=kind, layers=2, **options)
    to_bundle(net, random_spikes(net, 1, steps=6, samples=samples), folder)
    return folder


def _forge(folder: Path, name: str, change: Callable[[Path], None]) -> None:
    """Alter a file and put its new hash into the manifest."""
    change(folder / name)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = file_sha256(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_is_in_it(tmp_path: Path) -> None:
    net = random_network(3, message_bits=3)
    spikes = random_spikes(net, 1, steps=5, samples=2)
    made = to_bundle(net, spikes, tmp_path / "b")
    assert {path.name for path in (tmp_path / "b").iterdir()} == FILES
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest == made.manifest
    assert manifest["schema"] == {"name": "sdcl_neuro.bundle", "version": 3}
    assert main(["check", str(tmp_path / "b" / "manifest.json")]) == 0
    assert manifest["files"].keys() == FILES - {"manifest.json"}
    for name, digest in manifest["files"].items():
        assert file_sha256(tmp_path / "b" / name) == digest
    assert made.manifest_sha256 == file_sha256(tmp_path / "b" / "manifest.json")
    with np.load(tmp_path / "b" / "input.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["spikes"], spikes)
    expected = run_network(from_netx(tmp_path / "b" / "network.net"), spikes).spikes
    with np.load(tmp_path / "b" / "expected.npz", allow_pickle=False) as arrays:
        assert sorted(arrays.files) == [f"layer_{k}" for k in range(len(net.layers))]
        assert all(np.array_equal(arrays[f"layer_{k}"], expected[k]) for k in expected)
    assert "manifest sha256" in str(made)


def test_the_same_network_gives_the_same_bundle(tmp_path: Path) -> None:
    one = _bundle(tmp_path / "a", "conv", 1)
    two = _bundle(tmp_path / "b", "conv", 1)
    for name in FILES:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_only_a_bundle_is_replaced(tmp_path: Path) -> None:
    folder = _bundle(tmp_path / "b", "conv", 1)
    before = file_sha256(folder / "network.net")
    _bundle(folder, "conv", 2)
    assert file_sha256(folder / "network.net") != before
    (folder / "certificate.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds certificate\.json"):
        _bundle(folder, "conv", 3)
    (tmp_path / "home").mkdir()
    _bundle(tmp_path / "home", "conv", 1)  # empty: nothing is lost
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(InputError, match=r"holds cat\.png"):
        _bundle(tmp_path / "photos", "conv", 1)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        _bundle(tmp_path / "file", "conv", 1)


def test_a_failing_bundle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sdcl_neuro.conversion.bundle import writer as bundle

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(bundle, "write_json", fail)
    with pytest.raises(OSError, match="disk full"):
        _bundle(tmp_path / "b", "conv", 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(FILES - {"run_on_loihi.py"}))
def test_a_tampered_file_is_two(tmp_path: Path, name: str) -> None:
    folder = _bundle(tmp_path / "b", "conv", 1)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    done = _alone(folder)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"run_on_loihi: {name}: ")
    assert not (folder / "certificate.json").exists()
    (folder / name).unlink()
    assert _alone(folder).returncode == 2


def test_bad_usage_is_two_and_no_lava_is_three(tmp_path: Path) -> None:
    folder = _bundle(tmp_path / "b", "conv", 1)
    assert _alone(folder, "--boared").returncode == 2
    command = [sys.executable, "-S", "-c"]
    code = f"import sys; sys.argv=['x']; exec(open({str(folder / 'run_on_loihi.py')!r}).read())"
    done = subprocess.run([*command, code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "install lava-dl" in done.stderr.splitlines()[-1]


@pytest.mark.lava
@pytest.mark.parametrize(("kind", "seed"), [("conv", 3), ("dense_rec", 21)])
def test_lava_agrees(tmp_path: Path, kind: str, seed: int) -> None:
    folder = _bundle(tmp_path / "b", kind, seed)
    done = _run(folder)
    assert done.returncode == 0, done.stderr
    assert "equal, 0 of" in done.stdout
    certificate = Certificate.from_json(json.loads((folder / "certificate.json").read_text()))
    assert certificate.holds
    assert certificate.model["sha256"] == file_sha256(folder / "network.net")
    assert certificate.pairs[0].backends == ("loihi", "lava")
    assert sum(layer.spikes[1] for layer in certificate.pairs[0].layers) > 10
    assert "Parity certificate" in str(certificate)
    silent = [layer.index for layer in certificate.pairs[0].layers if not any(layer.spikes)]
    assert len(certificate.not_checked) == len(silent)
    # What it recorded holds at the desk, without Lava and without another file.
    again = verify(folder / "network.net", recorded=folder / "recorded.npz", cache=False)
    assert again.holds
    assert again.spikes["sha256"] == certificate.spikes["sha256"]
    assert [layer.spikes for layer in again.pairs[0].layers] == [
        layer.spikes for layer in certificate.pairs[0].layers
    ]
    with pytest.raises(InputError, match="holds certificate"):
        _bundle(folder, kind, seed)
    (folder / "certificate.json").unlink()
    with pytest.raises(InputError, match=r"holds recorded\.npz"):
        _bundle(folder, kind, seed)


@pytest.mark.lava
def test_a_planted_mismatch_is_one_with_its_place(tmp_path: Path) -> None:
    folder = _bundle(tmp_path / "b", "conv", 3)
    with np.load(folder / "expected.npz") as arrays:
        wrong = {int(name[6:]): arrays[name].copy() for name in arrays.files}
    place = (4, 1, *np.unravel_index(1, wrong[0].shape[2:]))
    wrong[0][place] ^= 1
    wrong[0][5, 1].flat[0] ^= 1
    _forge(folder, "expected.npz", lambda path: write_spikes(path, wrong))
    script = folder / "run_on_loihi.py"
    script.write_text(script.read_text() + "# ours\n")  # may be edited, but not in silence
    done = _run(folder)
    assert done.returncode == 1, done.stderr
    assert "DIFFERENT, 2 of" in done.stdout
    assert "run_on_loihi.py was edited" in done.stderr
    certificate = Certificate.from_json(json.loads((folder / "certificate.json").read_text()))
    first = certificate.pairs[0].layers[0].first
    assert first is not None
    assert (first.step, first.sample, *first.neuron) == tuple(int(n) for n in place)
    assert first.values == (int(wrong[0][place]), 1 - int(wrong[0][place]))
    assert certificate.pairs[0].layers[1].first is None
    # Lava was right, and so is what was recorded of it.
    assert verify(folder / "network.net", recorded=folder / "recorded.npz", cache=False).holds


@pytest.mark.lava
def test_adapters_of_a_board_and_their_delay(tmp_path: Path) -> None:
    """With adapters in the place of Intel's, in simulation; no board was there."""
    folder = _bundle(tmp_path / "b", "delay", 31)
    assert json.loads((folder / "manifest.json").read_text())["run"]["fresh"]
    done = _run(folder, "--board", "--late", "2", "2", board="2")
    assert done.returncode == 0, done.stderr
    assert "loihi2-board: equal" in done.stdout
    assert _run(folder, "--board", board="2").returncode == 1


@pytest.mark.lava
def test_no_extension_is_three(tmp_path: Path) -> None:
    done = _run(_bundle(tmp_path / "b", "conv", 3), "--board")
    assert done.returncode == 3
    assert "embedded_io" in done.stderr.splitlines()[-1]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = random_network(3, kind="conv")
    to_netx(net, tmp_path / "a.net")
    write_spikes(tmp_path / "in.npz", random_spikes(net, 1, steps=4, samples=1))
    arguments = ["convert", str(tmp_path / "a.net"), str(tmp_path / "b.net")]
    bundle = ["--bundle", str(tmp_path / "dir")]
    assert main([*arguments, *bundle, "--spikes", str(tmp_path / "in.npz")]) == 0
    assert "bundle, manifest sha256" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "dir" / "manifest.json").read_text())
    assert manifest["network"]["file"] == "b.net"
    assert manifest["spikes"]["shape"][:2] == [4, 1]
    assert (tmp_path / "dir" / "b.net").read_bytes() == (tmp_path / "b.net").read_bytes()
    assert main([*arguments, *bundle]) == 0  # random input
    manifest = json.loads((tmp_path / "dir" / "manifest.json").read_text())
    assert manifest["spikes"]["source"] == str(RandomInput())
    (tmp_path / "b.net").unlink()
    (tmp_path / "dir" / "mine").touch()
    for wrong, said in [
        ([*arguments, *bundle], "holds mine"),
        ([*arguments[:2], str(tmp_path / "b.nir"), "--bundle", str(tmp_path / "x")], "OUT.net"),
    ]:
        assert main(wrong) == 2
        assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "b.net").exists()
