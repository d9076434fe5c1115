"""The two verbs on the command line: files, exit codes, one clear line, nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_netx, from_nir, to_netx, to_nir
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, FloatNeuron
from sdcl_neuro.network.spike_file import write_spikes


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def net_file(int_net, tmp_path):
    to_netx(int_net, tmp_path / "m.net")
    return tmp_path / "m.net"


def _last_line(capsys):
    lines = capsys.readouterr().err.strip().splitlines()
    assert not any("Traceback" in line for line in lines)
    return lines[-1]


RANDOM = ["--steps", "6", "--samples", "2", "--spike-rate", "0.3", "--seed", "4"]


def test_verify_holds(net_file, tmp_path, capsys):
    out = tmp_path / "c.json"
    arguments = ["verify", str(net_file), "--against", "snntorch-int,snntorch", *RANDOM]
    assert main([*arguments, "--json", str(out), "--quiet"]) == 0
    shown = capsys.readouterr()
    assert "every verdict holds" in shown.out
    assert not shown.err
    value = json.loads(out.read_text())
    assert value["holds"] is True
    assert value["spikes"]["shape"][:2] == [6, 2]
    assert main(arguments) == 0
    assert "kept from an earlier run" in capsys.readouterr().out
    assert main([*arguments, "--no-cache"]) == 0
    assert "kept from" not in capsys.readouterr().out


def test_verify_takes_spikes_from_a_file(net_file, tmp_path, capsys):
    spikes = (np.random.default_rng(0).random((5, 1, 2, 8, 7)) < 0.3).astype(np.uint8)
    write_spikes(tmp_path / "in.npz", spikes)
    arguments = ["verify", str(net_file), "--against", "snntorch-int"]
    assert main([*arguments, "--spikes", str(tmp_path / "in.npz")]) == 0
    assert f"{int(spikes.sum())} spikes, given" in capsys.readouterr().out
    assert main([*arguments, "--spikes", str(tmp_path / "in.npz"), "--seed", "1"]) == 2
    assert "describe random input" in _last_line(capsys)
    assert main([*arguments, "--spikes", str(tmp_path / "no.npz")]) == 2
    assert "no such file" in _last_line(capsys)


def test_verify_says_no_with_one(net_file, capsys, monkeypatch):
    from dataclasses import replace

    from sdcl_neuro.conversion.backends import run as backends

    real = backends.run

    def wrong(model, spikes, *, backend="loihi", **options):
        record = real(model, spikes, **options)
        if backend == "loihi":
            return record
        return replace(record, spikes={k: 1 - v for k, v in record.spikes.items()})

    monkeypatch.setattr(backends, "run", wrong)
    assert main(["verify", str(net_file), "--against", "lava", *RANDOM]) == 1
    assert "parity is broken between Loihi engine (software) and lava" in _last_line(capsys)


def test_verify_without_a_backend_is_three(net_file, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "norse.torch.utils.import_nir", None)
    assert main(["verify", str(net_file), "--against", "norse", *RANDOM]) == 3
    assert "pip install" in _last_line(capsys)


@pytest.mark.parametrize(
    "more",
    [
        ["--against", "nest"],
        ["--against", ""],
        ["--layers", "x"],
        ["--layers", "9"],
        ["--spike-rate", "7"],
        ["--steps", "0"],
    ],
)
def test_verify_bad_usage_is_two(more, net_file, capsys):
    assert main(["verify", str(net_file), "--against", "snntorch-int", *more]) == 2
    assert _last_line(capsys).startswith("sdcl-neuro: ")


def test_net_to_nir_and_back(net_file, tmp_path, capsys):
    assert main(["convert", str(net_file), str(tmp_path / "a.nir")]) == 0
    assert main(["convert", str(tmp_path / "a.nir"), str(tmp_path / "b.net"), "--quiet"]) == 0
    assert "nothing was folded or rounded" in capsys.readouterr().out
    for one, two in zip(
        from_netx(net_file).layers, from_netx(tmp_path / "b.net").layers, strict=True
    ):
        assert one.neuron == two.neuron
        assert np.array_equal(one.weight, two.weight)
    # The file between states a step, which the chip's network then carries along.
    metas = [from_netx(path).meta for path in (net_file, tmp_path / "b.net")]
    (check,) = metas[1].pop("source_checks")
    assert check["pair"]["backends"] == ["nir a.nir", "description"]
    assert check["pair"]["holds"] is True
    assert metas[1] == {**metas[0], "dt_s": 1e-3, "dt_source": "stated by the file's metadata"}


def test_float_nir_to_net_is_calibrated_and_accounted_for(make_float_net, tmp_path, capsys):
    to_nir(make_float_net(), tmp_path / "f.nir")
    spikes = (np.random.default_rng(0).random((10, 2, 2, 8, 7)) < 0.3).astype(np.uint8)
    write_spikes(tmp_path / "in.npz", spikes)
    out = tmp_path / "f.net"
    assert (
        main(
            ["convert", str(tmp_path / "f.nir"), str(out), "--calibrate", str(tmp_path / "in.npz")]
        )
        == 0
    )
    assert "rounded  first: scale" in capsys.readouterr().out
    account = json.loads((tmp_path / "f.net.json").read_text())
    assert account["schema"] == {"name": "sdcl_neuro.convert", "version": 1}
    assert account["out"]["kind"] == "integer"
    assert [entry["scale_from"] for entry in account["rounded"]] == ["calibration"] * 2
    assert account["measured"]["layers"][0]["spikes_float"] > 0
    assert account["refused"] == []
    assert (
        main(
            ["verify", str(out), "--against", "snntorch-int", "--spikes", str(tmp_path / "in.npz")]
        )
        == 0
    )


def test_scales_that_training_fixed_survive_nir(make_float_net, tmp_path):
    to_nir(make_float_net(scale=50.0), tmp_path / "f.nir")
    assert main(["convert", str(tmp_path / "f.nir"), str(tmp_path / "f.net")]) == 0
    account = json.loads((tmp_path / "f.net.json").read_text())
    assert [entry["scale"] for entry in account["rounded"]] == [50.0, 50.0]
    assert main(["convert", str(tmp_path / "f.nir"), str(tmp_path / "g.nir")]) == 0
    assert from_nir(tmp_path / "g.nir").layers[0].scale == 50.0


def test_a_refused_network_leaves_only_its_reasons(tmp_path, capsys):
    ones = np.ones((1, 1), np.float32)
    net = FloatNetwork(
        (1,),
        (
            FloatLayer("a", "dense", ones, FloatNeuron(0.0, 1.0), (1,), (1,)),
            FloatLayer("b", "dense", ones * 0, FloatNeuron(0.5, 1.0), (1,), (1,)),
        ),
    )
    to_nir(net, tmp_path / "f.nir")
    assert main(["convert", str(tmp_path / "f.nir"), str(tmp_path / "f.net")]) == 2
    shown = capsys.readouterr()
    assert shown.out.count("refused  layer") == 2
    last = shown.err.strip().splitlines()[-1]
    assert "layer 0 (a)" in last
    assert "layer 1 (b)" in last
    assert not (tmp_path / "f.net").exists()
    account = json.loads((tmp_path / "f.net.json").read_text())
    assert account["out"]["sha256"] is None
    assert [reason["where"] for reason in account["refused"]] == ["layer 0 (a)", "layer 1 (b)"]


BAD = ["empty.net", "text.net", "cut.net", "empty.nir", "text.nir", "cut.nir", "x.pt", "none.nir"]


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_model_leaves_nothing(name, net_file, tmp_path, capsys):
    model = tmp_path / name
    if name.startswith("empty"):
        model.touch()
    elif name.startswith(("text", "x")):
        model.write_text("not HDF5 " * 100)
    elif name.startswith("cut"):
        whole = net_file
        if name.endswith(".nir"):
            whole = tmp_path / "whole.nir"
            to_nir(from_netx(net_file), whole)
        model.write_bytes(whole.read_bytes()[:3000])
    before = sorted(tmp_path.iterdir())
    for ending in (".net", ".nir"):
        assert main(["convert", str(model), str(tmp_path / f"out{ending}")]) == 2
        assert _last_line(capsys).startswith("sdcl-neuro: ")
    assert sorted(tmp_path.iterdir()) == before
    assert main(["verify", str(model), "--against", "snntorch-int"]) == 2


def test_bad_outputs_of_convert(net_file, tmp_path, capsys):
    for out, said in [
        (tmp_path / "a.pt", "unknown ending '.pt'"),
        (tmp_path / "a", "unknown ending ''"),
        (net_file, "is also the input"),
    ]:
        assert main(["convert", str(net_file), str(out)]) == 2
        assert said in _last_line(capsys)
    (tmp_path / "dir.nir").mkdir()
    assert main(["convert", str(net_file), str(tmp_path / "dir.nir")]) == 2
    assert "is a folder" in _last_line(capsys)
    spikes = np.zeros((2, 1, 2, 8, 7), np.uint8)
    write_spikes(tmp_path / "in.npz", spikes)
    arguments = ["convert", str(net_file), str(tmp_path / "b.nir"), "--calibrate"]
    assert main([*arguments, str(tmp_path / "in.npz")]) == 2
    assert "nothing to calibrate" in _last_line(capsys)


def test_help_is_light():
    code = (
        "import sys; from sdcl_neuro.cli import main\ntry: main(['verify', '--help'])\n"
        "except SystemExit: pass\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
