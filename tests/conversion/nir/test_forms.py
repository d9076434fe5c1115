"""Files written for a library, read by its own importer: it computes the same."""

from __future__ import annotations

import json
from dataclasses import replace

import nir
import numpy as np
import pytest

from helpers.nir_peers import drive, missing, read_and_run
from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_nir, quantize, to_netx, to_nir
from sdcl_neuro.conversion.backends.snntorch_run import run_float
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.targets.nir.forms import FORMS
from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, FloatNeuron

WHERE = "tests/conversion/nir/peers.txt says how to install it"
SEEDS = range(14)


@pytest.mark.parametrize("reader", FORMS)
def test_a_file_for_a_library_is_read_right_by_it(reader, random_float, same, tmp_path):
    """Random networks of every kind: taken ones compute the same there, and come back to us."""
    if missing(reader):
        pytest.skip(WHERE)
    taken, fired, reasons = 0, 0, []
    for seed in SEEDS:
        net, path = random_float(seed), tmp_path / f"{seed}.nir"
        try:
            to_nir(net, path, reader=reader)
        except NetworkRefused as refused:
            reasons += refused.refusals
            continue
        spikes = drive(net.input_shape, seed=seed, steps=12, samples=2)
        ours = run_float(Model(floating=net), spikes).spikes[len(net.layers) - 1]
        theirs = read_and_run(reader, path, spikes)
        assert np.array_equal(theirs.reshape(ours.shape), ours)
        same(net, from_nir(path))
        taken, fired = taken + 1, fired + int(ours.sum())
    assert taken >= 4
    assert fired > 30
    assert all(FORMS[reader].library in reason.what for reason in reasons)


@pytest.mark.parametrize("reader", [None, *FORMS])
def test_integers_come_back_from_every_form(reader, random_int, same, tmp_path):
    for seed in SEEDS:
        net, path = random_int(seed), tmp_path / f"{seed}.nir"
        try:
            to_nir(net, path, reader=reader)
        except NetworkRefused:
            continue
        same(net, from_nir(path))


def leaky(beta=0.75, *, recurrent=False, alpha=0.0, bias=None):
    weight = np.array([[0.5, -0.25], [1.0, 0.5]], np.float32)
    back = np.eye(2, dtype=np.float32) if recurrent else None
    kind = "dense_rec" if recurrent else "dense"
    neuron = FloatNeuron(beta, 1.5, alpha)
    layer = FloatLayer("fc", kind, weight, neuron, (2,), (2,), bias, None, back)
    return FloatNetwork((2,), (layer,))


@pytest.mark.parametrize(
    ("reader", "step", "tau", "r", "weight"),
    [
        (None, 1e-3, 4e-3, 1.0, 2.0),
        ("norse", 1e-3, 4e-3, 1.0, 2.0),
        ("spikingjelly", 1e-4, 4e-4, 1.0, 2.0),
        ("snntorch", 1e-4, 4e-4, 4.0, 0.5),
        ("sinabs", 1e-3, -1 / np.log(0.75), 1.0, 0.5),
    ],
)
def test_each_form_by_hand(reader, step, tau, r, weight, tmp_path):
    to_nir(leaky(), tmp_path / "net.nir", reader=reader)
    graph = nir.read(tmp_path / "net.nir")
    neurons = graph.nodes["neurons_0"]
    assert neurons.tau == pytest.approx(tau, rel=1e-6)
    assert neurons.r == pytest.approx(r, rel=1e-6)
    assert graph.nodes["synapse_0"].weight[0, 0] == pytest.approx(weight)
    assert graph.metadata["dt"] == step


def test_an_integrator_for_snntorch_does_not_decay(tmp_path):
    """Its importer makes a Leaky of beta .9 of every IF."""
    net = leaky(1.0)
    to_nir(net, tmp_path / "net.nir", reader="snntorch")
    node = nir.read(tmp_path / "net.nir").nodes["neurons_0"]
    assert isinstance(node, nir.LIF)
    assert (1 - np.float32(1e-4) / node.tau == 1).all()
    assert from_nir(tmp_path / "net.nir").layers[0].neuron.beta == 1


@pytest.mark.parametrize(
    ("reader", "net", "said"),
    [
        ("snntorch", leaky(recurrent=True), "recurrent weights, which snnTorch 1.0.0 does not"),
        ("sinabs", leaky(alpha=0.5), "a synaptic current, which Sinabs 3.1.3 does not read"),
        ("spikingjelly", leaky(0.0), "a membrane that keeps nothing, which SpikingJelly"),
        ("norse", leaky(alpha=0.5, bias=np.ones(2, np.float32)), "a bias after a synaptic"),
    ],
)
def test_what_a_library_would_read_wrong_is_refused(reader, net, said, tmp_path):
    with pytest.raises(NetworkRefused, match=said):
        to_nir(net, tmp_path / "net.nir", reader=reader)
    assert not (tmp_path / "net.nir").exists()


def test_the_step_of_a_written_file(tmp_path):
    net = leaky()
    read = replace(net, meta={"dt_s": 2e-3, "dt_source": "given"})
    for made, options, wanted in (
        (net, {}, 1e-3),
        (read, {}, 2e-3),
        (read, {"dt": 5e-3}, 5e-3),
        (read, {"reader": "snntorch"}, 1e-4),
        (read, {"reader": "norse"}, 1e-3),
        (read, {"reader": "norse", "dt": 2e-3}, 2e-3),
    ):
        to_nir(made, tmp_path / "net.nir", **options)
        assert from_nir(tmp_path / "net.nir").meta["dt_s"] == wanted
    with pytest.raises(InputError, match=r"which always takes 0\.0001 s"):
        to_nir(net, tmp_path / "net.nir", reader="snntorch", dt=1e-3)
    with pytest.raises(InputError, match="no form of NIR is known that 'rockpool' reads right"):
        to_nir(net, tmp_path / "net.nir", reader="rockpool")


def test_the_command_line_writes_for_a_library(tmp_path, capsys):
    to_netx(quantize(leaky(), check=False), tmp_path / "m.net")
    out = tmp_path / "m.nir"
    assert main(["convert", str(tmp_path / "m.net"), str(out), "--for", "sinabs"]) == 0
    assert "then     of each spiking layer set spike_fn" in capsys.readouterr().out
    account = json.loads((tmp_path / "m.nir.json").read_text())
    assert account["written_step"]["seconds"] == 1e-3
    assert any("nothing states one" in note["reason"] for note in account["assumed"])
    assert main(["convert", str(tmp_path / "m.net"), str(out), "--for", "snntorch"]) == 0
    account = json.loads((tmp_path / "m.nir.json").read_text())
    assert account["written_step"] == {"seconds": 1e-4, "source": "that of snnTorch 1.0.0"}
    assert account["assumed"] == []
    assert main(["convert", str(tmp_path / "m.net"), str(out), "--for", "torch"]) == 2
    assert "--for: no form of NIR" in capsys.readouterr().err
    assert main(["convert", str(out), str(tmp_path / "n.net"), "--for", "norse"]) == 2
    assert "--for: norse reads NIR; name the output OUT.nir" in capsys.readouterr().err
