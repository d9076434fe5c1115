"""A certificate's first link goes with the network, through files, bound to what was compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import snntorch as snn
import torch
from numpy.typing import NDArray
from torch import nn

from helpers import user_modules as user
from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_netx, from_snntorch, make_deployable, quantize, to_netx
from sdcl_neuro.conversion.parity import source_check
from sdcl_neuro.conversion.parity.certificate import Certificate
from sdcl_neuro.conversion.parity.verify import verify
from sdcl_neuro.conversion.sources.snntorch.quantisation_aware import prepare_quantization
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import FloatNetwork
from sdcl_neuro.network.spike_file import write_spikes
from sdcl_neuro.snn.checkpoint import save_checkpoint
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

Spikes = NDArray[np.uint8]


@pytest.fixture
def net(spikes: Spikes) -> FloatNetwork:
    return from_snntorch(user.Sequence(), spikes)


def certify(thing: Any, spikes: Spikes) -> Certificate:
    return verify(thing, spikes=spikes, against=["snntorch-int"], cache=False)


def test_the_file_shows_its_source(net: FloatNetwork, spikes: Spikes, tmp_path: Path) -> None:
    to_netx(quantize(net, calibration=spikes), tmp_path / "m.net")
    other = (np.random.default_rng(7).random((10, 2, 12)) < 0.4).astype(np.uint8)
    certificate = certify(tmp_path / "m.net", other)
    first, second = certificate.pairs
    assert first.backends == ("snntorch Sequence", "description")
    assert (first.kind, first.holds) == ("float", True)
    assert first.spikes["shape"] == [20, 3, 12]
    assert first.spikes["total"] == int(spikes.sum())
    assert first.spikes["sha256"] != certificate.spikes["sha256"]
    assert [layer.spikes[0] == layer.spikes[1] > 0 for layer in first.layers] == [True, True]
    assert second.backends == ("loihi", "snntorch-int")
    assert certificate.complete
    text = str(certificate)
    assert "snntorch Sequence and description: equal, 0 of 960 neuron steps differ" in text
    assert "on 20 steps, 3 samples" in text
    value = json.loads(json.dumps(certificate.to_json()))
    assert value["pairs"][0]["spikes"]["source"] == "given"
    assert Certificate.from_json(value) == certificate


def test_the_same_network_gives_the_same_file(
    net: FloatNetwork, spikes: Spikes, tmp_path: Path
) -> None:
    chip = quantize(net, calibration=spikes)
    assert to_netx(chip, tmp_path / "a.net") == to_netx(chip, tmp_path / "b.net")
    assert from_netx(tmp_path / "a.net").meta == dict(chip.meta)


def test_a_file_without_a_source_says_so(
    net: FloatNetwork, spikes: Spikes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = replace(net, meta={})
    path = tmp_path / "m.net"
    to_netx(quantize(bare, calibration=spikes), path)
    certificate = certify(path, spikes)
    assert len(certificate.pairs) == 1
    assert certificate.not_checked == (source_check.WITHOUT,)
    assert main(["verify", str(path), "--against", "snntorch-int", "--no-cache", "--strict"]) == 1
    captured = capsys.readouterr()
    assert "not checked" in captured.out
    assert "the source" in captured.err.splitlines()[-1]


def test_strict_is_content_with_a_source(
    net: FloatNetwork, spikes: Spikes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, given, out = (str(tmp_path / name) for name in ("m.net", "in.npz", "c.json"))
    to_netx(quantize(net, calibration=spikes), path)
    write_spikes(given, spikes)
    command = ["verify", path, "--spikes", given, "--against", "snntorch-int", "--no-cache"]
    assert main([*command, "--strict", "--json", out]) == 0
    assert "snntorch Sequence and description" in capsys.readouterr().out
    value = json.loads(Path(out).read_text())
    assert value["pairs"][0]["backends"] == ["snntorch Sequence", "description"]


def test_a_network_changed_on_the_way_is_not_covered(net: FloatNetwork, spikes: Spikes) -> None:
    first = replace(net.layers[0], weight=net.layers[0].weight * np.float32(1.1))
    changed = replace(net, layers=(first, net.layers[1]))
    certificate = certify(quantize(changed, calibration=spikes), spikes)
    assert [pair.backends[0] for pair in certificate.pairs] == ["loihi"]
    assert source_check.CHANGED in certificate.not_checked
    chip = quantize(net, calibration=spikes)
    weight = chip.layers[0].weight.copy()
    weight[0, 0] += 2
    edited = replace(chip, layers=(replace(chip.layers[0], weight=weight), chip.layers[1]))
    certificate = certify(edited, spikes)
    assert len(certificate.pairs) == 1
    (note,) = certificate.not_checked
    assert "is of another network" in note.reason


def test_other_code_than_todays_is_said(
    net: FloatNetwork, spikes: Spikes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = source_check.versions()
    chip = quantize(net, calibration=spikes)
    monkeypatch.setattr(
        source_check, "versions", lambda: {**real, "sdcl-neuro-sources": "of another day"}
    )
    certificate = certify(chip, spikes)
    assert certificate.pairs[0].holds
    (note,) = certificate.not_checked
    assert "today's code" in note.what
    assert "convert it again" in note.reason


@pytest.mark.parametrize("damage", [b"no json", b'{"a": 1}', b"[1, 2]", b'[{"schema": 3}]', b"[]"])
def test_damaged_checks_are_no_checks(
    damage: bytes, net: FloatNetwork, spikes: Spikes, tmp_path: Path
) -> None:
    path = tmp_path / "m.net"
    to_netx(quantize(net, calibration=spikes), path)
    with h5py.File(path, "a") as file:
        del file["source_checks"]
        file["source_checks"] = np.frombuffer(damage, np.uint8)
    if damage in (b"no json", b'{"a": 1}'):
        with pytest.raises(InputError, match=r"broken root attributes"):
            from_netx(path)
        return
    certificate = certify(path, spikes)
    assert len(certificate.pairs) == 1
    assert any(note.what == "the source" for note in certificate.not_checked)


def test_a_module_given_to_verify_is_run_on_those_spikes(spikes: Spikes) -> None:
    module = make_deployable(user.Sequence())
    prepare_quantization(module, spikes)
    certificate = certify(module, spikes)
    first = certificate.pairs[0]
    assert first.kind == "exact", "it computes in the chip's integers"
    assert first.holds
    assert first.spikes["sha256"] == certificate.spikes["sha256"]


def test_a_checkpoints_own_module_is_run_again(tmp_path: Path) -> None:
    branch = EventBranch(COMPACT)
    sample = (torch.rand(6, 2, 2, 32, 16) < 0.3).float()
    branch.calibrate_rates(sample, rate=0.1)
    save_checkpoint(tmp_path / "c", branch, input_size=(32, 16))
    spikes = sample.numpy().astype(np.uint8)
    certificate = verify(tmp_path / "c", spikes=spikes, against=["norse"], cache=False)
    first = certificate.pairs[0]
    assert first.backends == ("snntorch EventBranch", "description")
    assert first.holds
    assert first.spikes["sha256"] == certificate.spikes["sha256"]
    assert all(layer.spikes[0] > 0 for layer in first.layers)


def test_a_silent_layer_proves_nothing(spikes: Spikes) -> None:
    module = nn.Sequential(nn.Linear(12, 5), snn.Leaky(0.9, threshold=1e6, **user.HIDDEN))
    net = from_snntorch(module, spikes)
    certificate = verify(net, spikes=spikes, against=["norse"], cache=False)
    whats = [note.what for note in certificate.not_checked]
    assert "layer 0 (0) of snntorch Sequential" in whats


def test_long_checks_fit_the_file(net: FloatNetwork, spikes: Spikes, tmp_path: Path) -> None:
    """Beyond the 64 KiB of an HDF5 attribute."""
    check = source_check.SourceCheck.from_json(net.meta["source_checks"][0])
    many = replace(check, pair=replace(check.pair, layers=check.pair.layers * 300))
    chip = quantize(source_check.with_check(net, many), calibration=spikes)
    to_netx(chip, tmp_path / "m.net")
    back = from_netx(tmp_path / "m.net")
    assert len(json.dumps(back.meta["source_checks"])) > 65536
    assert back.meta == dict(chip.meta)
