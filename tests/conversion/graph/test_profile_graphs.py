"""Costs of a graph: inputs by name, and the user's own record of a run."""

from __future__ import annotations

import json

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from sdcl_neuro import conversion, profile, run, verify
from sdcl_neuro.cli import main
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spike_file import read_inputs, write_spikes
from sdcl_neuro.testing import random_network

pytestmark = pytest.mark.filterwarnings(
    "ignore::sdcl_neuro.conversion.quantisation.effect.QuantizationWarning"
)
ZERO = {"reset_mechanism": "zero", "init_hidden": True}


class TwoInputs(nn.Module):
    """An image and a vector, which meet; the vector goes past the image's neurons, too."""

    def __init__(self):
        super().__init__()
        self.conv, self.lif1 = nn.Conv2d(2, 3, 3, padding=1), snn.Leaky(0.8, threshold=0.3, **ZERO)
        self.out, self.lif2 = nn.Linear(54, 5), snn.Leaky(0.9, threshold=0.1, **ZERO)

    def forward(self, image, vector):
        return self.lif2(self.out(torch.cat([self.lif1(self.conv(image)).flatten(1), vector], 1)))


@pytest.fixture(scope="module")
def given():
    rng = np.random.default_rng(0)
    sizes = {"image": (2, 4, 4), "vector": (6,)}
    return {n: (rng.random((6, 2, *s)) < 0.4).astype(np.uint8) for n, s in sizes.items()}


@pytest.fixture(scope="module")
def chip(given):
    torch.manual_seed(0)
    return conversion.quantize(conversion.from_snntorch(TwoInputs(), given), calibration=given)


def test_inputs_by_name_cost_what_the_run_counts(chip, given):
    costs = profile(chip, given, hw="loihi2")
    record = run(chip, given)
    for key in ("spikes_in", "spikes_out", "synops", "synops_nonzero"):
        counted = sum(int(getattr(layer, key).sum()) for layer in record.activity)
        assert costs.to_dict()["totals"][key] == counted > 0
    assert costs.input_spikes == sum(int(each.sum()) for each in given.values())


def test_the_record_of_a_graph_is_taken_though_its_layers_are_not_the_chains(chip, given):
    record = run(chip, given)
    assert len(record.spikes) == len(chip.layers)
    assert record.spikes[0].shape[2:] != chip.layers[0].out_shape
    taken = profile(chip, given, record=record, hw="loihi2").to_dict()
    assert taken["totals"] == profile(chip, given, hw="loihi2").to_dict()["totals"]
    assert any("no spikes of the layers were kept" in note["reason"] for note in taken["assumed"])


def test_what_does_not_fit_is_said(chip, given, tmp_path):
    with pytest.raises(InputError, match=r"give image, vector"):
        profile(chip, {"image": given["image"]})
    with pytest.raises(InputError, match="several sizes"):
        profile(chip, given["image"])
    with pytest.raises(InputError, match="not a graph"):
        profile(random_network(0), given)
    write_spikes(tmp_path / "image.npz", given["image"])
    files = {**given, "image": tmp_path / "image.npz"}
    assert profile(chip, files).to_dict()["totals"] == profile(chip, given).to_dict()["totals"]


def test_the_command_line_takes_a_file_of_named_inputs(chip, given, tmp_path, capsys):
    conversion.to_netx(chip, tmp_path / "m.net")
    write_spikes(tmp_path / "in.npz", given)
    model, spikes = str(tmp_path / "m.net"), ["--spikes", str(tmp_path / "in.npz")]
    assert main(["run", model, *spikes, "--out", str(tmp_path / "out.npz")]) == 0
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(found["layer_1"], run(chip, given).spikes[1])
    assert main(["verify", model, *spikes, "--against", "snntorch-int", "--no-cache"]) == 0
    assert main(["profile", model, *spikes, "--json", str(tmp_path / "p.json")]) == 0
    stored = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert stored["totals"] == profile(chip, given).to_dict()["totals"]
    assert main(["convert", model, str(tmp_path / "m.c"), *spikes]) == 0
    words = ["convert", model, str(tmp_path / "n.net"), "--bundle", str(tmp_path / "b"), *spikes]
    assert main(words) == 0
    write_spikes(tmp_path / "half.npz", {"image": given["image"]})
    capsys.readouterr()
    assert main(["run", model, "--spikes", str(tmp_path / "half.npz"), "--out", "never.npz"]) == 2
    assert "give image, vector" in capsys.readouterr().err


def test_a_nir_of_two_inputs_is_compared_and_scaled_on_named_inputs(given, tmp_path, capsys):
    torch.manual_seed(0)
    graph = conversion.from_snntorch(TwoInputs(), given)
    conversion.to_nir(graph, tmp_path / "m.nir", dt=1e-3)
    write_spikes(tmp_path / "in.npz", given)
    words = ["convert", str(tmp_path / "m.nir"), str(tmp_path / "m.net"), "--calibrate"]
    assert main([*words, str(tmp_path / "in.npz")]) == 0
    stored = json.loads((tmp_path / "m.net.json").read_text(encoding="utf-8"))
    assert [pair["holds"] for pair in stored["source"]] == [True, True]  # module and file
    assert read_inputs(tmp_path / "in.npz").keys() == given.keys()


class Keyword(nn.Module):
    """A spotter along a line with a leaky read-out; it takes all steps, the batch first."""

    def __init__(self):
        super().__init__()
        plain = {"reset_mechanism": "zero", "threshold": 0.3}
        self.conv, self.norm = nn.Conv1d(4, 6, 3, padding=1), nn.BatchNorm1d(6)
        self.lif, self.pool = snn.Leaky(0.8, **plain), nn.MaxPool1d(2)
        self.fc, self.end = nn.Linear(30, 3), snn.Leaky(0.9, reset_mechanism="none")

    def forward(self, x):
        one, two, sums = self.lif.init_leaky(), self.end.init_leaky(), []
        for step in x.unbind(1):
            sent, one = self.lif(self.norm(self.conv(step)), one)
            _, two = self.end(self.fc(self.pool(sent).flatten(1)), two)
            sums.append(two)
        return torch.stack(sums, 1).max(1).values


def test_a_network_along_a_line_takes_its_own_shape_everywhere(tmp_path, capsys):
    torch.manual_seed(0)
    module = Keyword().eval()
    given = (np.random.default_rng(0).random((8, 2, 4, 10)) < 0.3).astype(np.uint8)
    graph = conversion.from_snntorch(module, given)
    chip = conversion.quantize(graph, calibration=given)
    record = run(chip, given)
    assert record.readout(0).shape == (8, 2, 3)
    assert run(module, given, backend="snntorch").spikes[0].sum() > 50
    assert verify(chip, given, against=["snntorch-int"], cache=False).holds
    costs = profile(chip, given)
    for text in (str(record), str(costs), costs.to_html()):
        assert "sent none" not in text  # a read-out never fires, which is nothing to warn of
    bundle = conversion.to_bundle(chip, given, tmp_path / "bundle")
    assert "end: membranes, never a spike" in str(bundle)
    write_spikes(tmp_path / "in.npz", given)
    conversion.to_netx(chip, tmp_path / "m.net")
    model, spikes = str(tmp_path / "m.net"), ["--spikes", str(tmp_path / "in.npz")]
    assert main(["run", model, *spikes, "--out", str(tmp_path / "out.npz")]) == 0
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(found["readout_0"], record.readouts[0])
    assert main(["verify", model, *spikes, "--against", "snntorch-int", "--no-cache"]) == 0
    assert main(["profile", model, *spikes]) == 0
    conversion.to_nir(graph, tmp_path / "m.nir", dt=1e-3)
    words = ["convert", str(tmp_path / "m.nir"), str(tmp_path / "n.net")]
    assert main([*words, "--calibrate", str(tmp_path / "in.npz")]) == 0
    capsys.readouterr()
    with pytest.raises(InputError, match="a height of one"):
        run(random_network(0), given)
