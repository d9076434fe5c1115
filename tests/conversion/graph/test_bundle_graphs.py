"""A bundle of a graph: its own input goes in, its read-outs' membranes are compared in Lava."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from sdcl_neuro import conversion, run, verify
from sdcl_neuro.conversion.lowering.graph.nodes import (
    AddNode,
    DenseNode,
    FlattenNode,
    FloatGraph,
    Input,
    PopulationNode,
)
from sdcl_neuro.errors import InputError
from sdcl_neuro.testing import random_network

RUNNER = Path(__file__).parents[1] / "lava" / "in_bundle.py"
ZERO = {"reset_mechanism": "zero", "init_hidden": True}


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(2, 3, 3, padding=1), snn.Leaky(0.8, threshold=0.3, **ZERO)
        self.conv2, self.lif2 = nn.Conv2d(3, 3, 3, padding=1), snn.Leaky(0.8, threshold=0.3, **ZERO)
        self.fc = nn.Linear(48, 5)

    def forward(self, x):
        one = self.lif1(self.conv1(x))
        return self.fc((one + self.lif2(self.conv2(one))).flatten(1))


@pytest.fixture(scope="module")
def chip():
    torch.manual_seed(0)
    sample = (torch.rand(6, 2, 2, 4, 4) < 0.4).float()
    graph = conversion.from_snntorch(Residual(), sample)
    return conversion.quantize(graph, calibration=sample.numpy(), check=False), sample.numpy()


@pytest.fixture
def folder(chip, tmp_path):
    net, spikes = chip
    conversion.to_bundle(net, spikes.astype(np.uint8), tmp_path / "b")
    return tmp_path / "b"


def test_membranes_are_expected_and_said_to_be_in_simulation_only(chip, folder):
    net, spikes = chip
    manifest = json.loads((folder / "manifest.json").read_text())
    last = len(net.layers) - 1
    assert manifest["readouts"] == [{"layer": last, "names": ["fc.readout"]}]
    with np.load(folder / "expected.npz", allow_pickle=False) as arrays:
        whole = arrays[f"membranes_{last}"]
        assert whole.shape == (6, 2, 5)
        assert arrays["layer_0"].shape[:2] == (6, 2)
    # The synapse alone is the membrane less what it keeps of the step before.
    alone = run(net, spikes.astype(np.uint8)).readouts[0]
    np.testing.assert_array_equal(whole[0], alone[0])
    assert np.abs(whole - alone).max() < np.abs(whole).max() / 1000


def test_what_a_board_recorded_of_the_chain_is_compared(chip, tmp_path):
    net, spikes = chip
    conversion.to_bundle(net, spikes.astype(np.uint8), tmp_path / "b")
    with np.load(tmp_path / "b" / "expected.npz") as arrays:
        layers = {k: arrays[f"layer_{k}"] for k in range(len(net.layers))}
    given = spikes.astype(np.uint8)
    certificate = verify(net, given, recorded=layers, cache=False)
    pair = certificate.pairs[-1]
    assert pair.backends == ("loihi", "recorded")
    assert [row.compared for row in pair.layers] == [layers[k].size for k in layers]
    assert certificate.holds
    layers[1] = layers[1].copy()
    layers[1][3, 1, 4, 2, 2] ^= 1
    certificate = verify(net, given, recorded=layers, cache=False)
    (wrong,) = [row for row in certificate.pairs[-1].layers if row.mismatches]
    assert (wrong.name, wrong.mismatches, certificate.exit_code) == (net.layers[1].name, 1, 1)
    assert wrong.first is not None
    assert (wrong.first.step, wrong.first.sample, wrong.first.neuron) == (3, 1, (4, 2, 2))


def test_a_recording_of_the_graphs_own_layers_is_compared(chip):
    """What ``run --out`` writes: lif2 has 3 channels there, and 6 in the chain."""
    net, spikes = chip
    given = spikes.astype(np.uint8)
    own = dict(run(net, given).spikes)
    assert verify(net, given, recorded=own, cache=False).holds
    own[1] = own[1].copy()
    own[1][2, 0, 1, 1, 1] ^= 1
    certificate = verify(net, given, recorded=own, cache=False)
    wrong = certificate.pairs[-1].layers[1]
    assert (wrong.name, wrong.mismatches, certificate.exit_code) == ("lif2", 1, 1)


def test_a_bundle_takes_inputs_by_name(tmp_path):
    rng = np.random.default_rng(5)
    nodes = (
        Input("image", (), (2, 4, 4)),
        Input("vector", (), (5,)),
        FlattenNode("flat", ("image",)),
        DenseNode("a", ("flat",), rng.normal(0.1, 0.4, (3, 32))),
        DenseNode("b", ("vector",), rng.normal(0, 0.4, (3, 5))),
        AddNode("sum", ("a", "b")),
        PopulationNode("lif", ("sum",), beta=np.asarray(0.8)),
    )
    given = {
        "image": (rng.random((9, 2, 2, 4, 4)) < 0.4).astype(np.uint8),
        "vector": (rng.random((9, 2, 5)) < 0.4).astype(np.uint8),
    }
    net = conversion.quantize(FloatGraph(nodes, ("lif",)), calibration=given)
    bundle = conversion.to_bundle(net, given, tmp_path / "b")
    assert bundle.manifest["spikes"]["shape"] == [9, 2, *net.input_shape]
    own = run(net, given).spikes[0]
    assert own.sum() > 5
    with np.load(tmp_path / "b" / "expected.npz") as arrays:
        np.testing.assert_array_equal(arrays["layer_0"], own)
    chain = random_network(0)
    with pytest.raises(InputError, match="inputs by name for a network that is not a graph"):
        conversion.to_bundle(chain, given, tmp_path / "c")


def test_another_python_is_said_in_one_line(folder):
    """Lava does not start here without mends; the script says which Pythons it needs."""
    command = [sys.executable, str(folder / "run_on_loihi.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "Lava 0.10 runs on Python 3.8 to 3.10 and this is 3." in done.stderr


@pytest.mark.lava
def test_lava_gives_the_same_membranes(folder):
    def started(board, *more):
        command = [sys.executable, str(RUNNER), str(folder), board, *more]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    done = started("-")
    assert done.returncode == 0, done.stderr
    assert "membranes of fc.readout" in done.stdout
    certificate = json.loads((folder / "certificate.json").read_text())
    entry = certificate["pairs"][0]["layers"][-1]
    assert entry["name"] == "membranes of fc.readout"
    assert (entry["mismatches"], entry["compared"]) == (0, 60)
    assert entry["spikes"]["loihi"] > 40
    done = started("2", "--board", "--late", "2", "2")
    assert done.returncode == 0, done.stderr
    assert "not checked: membranes of fc.readout: membranes are read in simulation" in done.stdout
