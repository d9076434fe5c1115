"""Certificates, files and the command line speak of a graph's own layers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from sdcl_neuro import conversion, run, verify
from sdcl_neuro.cli import main
from sdcl_neuro.conversion.backends.table import find_backend
from sdcl_neuro.conversion.parity.graphs import RELAYS
from sdcl_neuro.conversion.targets.netx.reader import from_netx
from sdcl_neuro.errors import EnvironmentFault
from sdcl_neuro.network.spike_file import write_spikes

pytestmark = pytest.mark.filterwarnings(
    "ignore::sdcl_neuro.conversion.quantisation.effect.QuantizationWarning"
)
ZERO = {"reset_mechanism": "zero", "reset_delay": False, "init_hidden": True}


class Residual(nn.Module):
    """Max pooling, a skip with decays per channel, and a read-out."""

    def __init__(self):
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(2, 4, 3, padding=1), snn.Leaky(0.8, threshold=0.3, **ZERO)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.lif2 = snn.Leaky(torch.tensor([0.5, 0.9] * 2).reshape(4, 1, 1), threshold=0.3, **ZERO)
        self.pool, self.fc = nn.MaxPool2d(2), nn.Linear(64, 5)

    def forward(self, x):
        one = self.pool(self.lif1(self.conv1(x)))
        return self.fc((one + self.lif2(self.conv2(one))).flatten(1))


@pytest.fixture(scope="module")
def spikes():
    return (np.random.default_rng(0).random((8, 2, 2, 8, 8)) < 0.3).astype(np.uint8)


@pytest.fixture(scope="module")
def graph(spikes):
    torch.manual_seed(0)
    return conversion.from_snntorch(Residual(), torch.from_numpy(spikes).float())


@pytest.fixture(scope="module")
def chip(graph, spikes):
    return conversion.quantize(graph, calibration=spikes)


def test_a_graph_prints_its_nodes(graph):
    rows = [line.split() for line in str(graph).splitlines()]
    assert ["lif2", "population", "conv2", "4x4x4", "64", "-"] in rows
    assert ["add", "add", "pool,", "lif2", "4x4x4", "-", "-"] in rows


@pytest.mark.parametrize(
    "other",
    [
        "snntorch-int", "onnx", "c", pytest.param("lava", marks=pytest.mark.lava),
        pytest.param("sanafe", marks=pytest.mark.slow),
        pytest.param("verilog", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_the_certificate_names_the_users_layers(chip, spikes, other):
    try:
        find_backend(other).require()
    except EnvironmentFault as missing:
        pytest.skip(str(missing))
    certificate = verify(chip, spikes=spikes, against=[other], cache=False)
    assert certificate.holds
    source, pair = certificate.pairs
    assert source.backends == ("snntorch Residual", "description")
    assert [layer.name for layer in source.layers] == ["lif1", "lif2"]
    names = [layer.name for layer in pair.layers]
    assert names == ["lif1", "lif2", "readout_0 (fc.readout)", RELAYS]
    assert all(layer.compared and any(layer.spikes) for layer in pair.layers)
    assert "lif2" in str(certificate)


def test_a_float_graph_is_a_figure(graph, chip, spikes):
    from sdcl_neuro.conversion.model import Model

    certificate = verify(
        Model(integer=chip, graph=graph), spikes=spikes, against=["snntorch"], cache=False
    )
    source, pair = certificate.pairs
    assert source.holds is True
    assert pair.holds is None
    assert [layer.name for layer in pair.layers] == ["lif1", "lif2", "readout_0 (fc.readout)"]


def test_a_fault_is_found_in_the_chain(chip, spikes, monkeypatch):
    from sdcl_neuro.conversion.backends import snntorch_run

    own = snntorch_run.integer_layer

    def faulty(layer, **options):
        if layer.name.startswith("lif2"):
            layer = replace(
                layer, neuron=replace(layer.neuron, threshold=layer.neuron.threshold - 9)
            )
        return own(layer, **options)

    monkeypatch.setattr(snntorch_run, "integer_layer", faulty)
    certificate = verify(chip, spikes=spikes, against=["snntorch-int"], cache=False)
    assert not certificate.holds
    source, pair = certificate.pairs
    assert source.holds, "the fault is in a backend"
    wrong = [layer for layer in pair.layers if layer.mismatches]
    assert wrong[0].name == "lif2"
    assert "of the chain (lif2" in wrong[0].first.cause


def test_a_clipped_readout_turns_the_certificate_red(graph, spikes):
    """Its bias drives it past 24 bits within a few steps."""
    nodes = [
        replace(node, scale=250.0, beta=1.0) if node.name == "fc.readout" else node
        for node in graph.nodes
    ]
    nodes = [
        replace(node, weight=np.ones(node.weight.shape), bias=np.full(5, 16.0))
        if node.name == "fc"
        else node
        for node in nodes
    ]
    chip = conversion.quantize(replace(graph, nodes=tuple(nodes)))
    long = np.tile(spikes, (4, 1, 1, 1, 1))
    record = run(chip, long)
    assert record.saturations[0] > 0
    assert "clipped" in str(record)
    certificate = verify(chip, spikes=long, against=["snntorch-int"], cache=False)
    assert not certificate.holds
    assert "clipped" in certificate.pairs[0].verdict


def test_files_and_the_command_line(chip, spikes, tmp_path, capsys):
    conversion.to_netx(chip, tmp_path / "n.net")
    back = from_netx(tmp_path / "n.net")
    own, stored = run(chip, spikes), run(back, spikes)
    for index in own.spikes:
        np.testing.assert_array_equal(own.spikes[index], stored.spikes[index])
    write_spikes(tmp_path / "in.npz", spikes)
    arguments = ["run", str(tmp_path / "n.net"), "--spikes", str(tmp_path / "in.npz")]
    for name in ("out.npz", "out.h5"):
        assert main([*arguments, "--out", str(tmp_path / name), "--quiet"]) == 0
    write_spikes(tmp_path / "in.h5", spikes)
    long = ["run", str(tmp_path / "n.net"), "--spikes", str(tmp_path / "in.h5"), "--quiet"]
    result = tmp_path / "run.json"
    assert main([*long, "--out", str(tmp_path / "long.h5"), "--json", str(result)]) == 0
    assert json.loads(result.read_text())["readouts"]["readout_0"]["clipped"] == 0
    with np.load(tmp_path / "out.npz") as found:
        assert sorted(found) == ["layer_0", "layer_1", "readout_0", "readout_0_unit"]
        np.testing.assert_array_equal(found["layer_1"], own.spikes[1])
        np.testing.assert_array_equal(found["readout_0"], own.readouts[0])
        unit = float(found["readout_0_unit"])
    np.testing.assert_allclose(own.readouts[0] / unit, own.readout(0))
    command = ["verify", str(tmp_path / "n.net"), "--spikes", str(tmp_path / "in.npz")]
    assert main([*command, "--against", "snntorch-int", "--no-cache", "--quiet"]) == 0
    assert "lif2" in capsys.readouterr().out
