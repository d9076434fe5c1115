"""Graphs written as NIR: the file gives the same chain, and says the same in NIR's own words."""

from __future__ import annotations

import json
from collections import Counter

import h5py
import nir
import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from helpers.nir_ties import Ties
from helpers.random_graphs import random_graph
from sdcl_neuro import conversion, load, run
from sdcl_neuro.cli import main
from sdcl_neuro.conversion.sources.nir.reference import reference_run
from sdcl_neuro.conversion.targets.nir.writer import build_graph
from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.network.spike_file import write_spikes

ZERO = {"reset_mechanism": "zero", "init_hidden": True}
SAID = ("ceil_mode", "integrator (beta 1)", "maximum of")


class Branches(nn.Module):
    """A skip, a concat, a slice, max pooling, decays per channel, batch norm, a read-out."""

    def __init__(self):
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(2, 4, 3, padding=1), snn.Leaky(0.8, threshold=0.3, **ZERO)
        self.conv2, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.lif2 = snn.Leaky(torch.tensor([0.5, 0.9] * 2).reshape(4, 1, 1), threshold=0.3, **ZERO)
        self.conv3, self.lif3 = nn.Conv2d(6, 3, 1), snn.Leaky(0.7, threshold=0.4, **ZERO)
        self.pool, self.fc = nn.MaxPool2d(2), nn.Linear(48, 5)
        self.out = snn.Leaky(0.9, reset_mechanism="none", init_hidden=True, output=True)

    def forward(self, x):
        one = self.pool(self.lif1(self.conv1(x)))
        two = self.lif2(self.norm(self.conv2(one)))
        three = self.lif3(self.conv3(torch.cat([one, two[:, 1:3]], 1)))
        return self.out(self.fc(three.flatten(1)))[1]


@pytest.fixture(scope="module")
def spikes():
    return (np.random.default_rng(0).random((10, 3, 2, 8, 8)) < 0.3).astype(np.uint8)


@pytest.fixture(scope="module")
def graph(spikes):
    torch.manual_seed(0)
    module = Branches()
    nn.init.normal_(module.norm.running_mean, 0, 0.1)
    nn.init.normal_(module.norm.bias, 0.1, 0.1)
    return conversion.from_snntorch(module.eval(), torch.from_numpy(spikes).float())


def test_the_file_gives_the_same_chain(graph, spikes, tmp_path):
    digest = conversion.to_nir(graph, tmp_path / "g.nir", dt=1e-3)
    assert len(digest) == 64
    back = conversion.from_nir(tmp_path / "g.nir")
    assert [type(node) for node in back.nodes] == [type(node) for node in graph.nodes]
    assert str(back) == str(graph)
    assert back.meta["dt_s"] == 1e-3
    ours, theirs = (conversion.quantize(g, spikes, check=False) for g in (graph, back))
    assert ours == theirs
    assert conversion.to_nir(graph, tmp_path / "again.nir", dt=1e-3) == digest
    check = back.meta["source_checks"][-1]
    assert check["pair"]["holds"], check["pair"]["verdict"]


def test_nirs_own_words_mean_the_same(graph, spikes):
    """What a stranger reads, without our metadata: run in float64, and read as a graph."""
    written = build_graph(graph, dt=1e-3)
    written.metadata = {"dt": 1e-3}
    own = reference_run(written, spikes, dt=1e-3)
    ours = run(graph, spikes, backend="snntorch")
    sent = dict(zip(own.names, own.spikes, strict=True))
    for index, node in enumerate(graph.populations):
        expected = ours.spikes[index]
        assert (sent[node.name].reshape(expected.shape) != expected).sum() <= 2
        assert expected.sum() > 50
    read = conversion.from_nir(written, dt=1e-3)
    assert read.meta["source_checks"][-1]["pair"]["holds"]
    chip = conversion.quantize(read, spikes, check=False)
    membranes = run(chip, spikes).readout(0)
    direct = run(conversion.quantize(graph, spikes, check=False), spikes).readout(0)
    assert np.abs(membranes - direct).mean() < 0.1 * np.abs(direct).max()


def test_random_graphs_give_the_same_chain(tmp_path):
    found = Counter()
    for seed in range(40):
        graph, _ = random_graph(seed)
        if not graph.outputs:
            continue
        try:
            conversion.to_nir(graph, tmp_path / "r.nir", dt=1e-3)
        except NetworkRefused as error:
            for reason in error.refusals:
                assert any(word in reason.what for word in SAID), reason
            found["refused"] += 1
            continue
        back = conversion.from_nir(tmp_path / "r.nir", compare=False)
        try:
            chip = conversion.quantize(graph, check=False)
        except NetworkRefused:
            continue
        assert conversion.quantize(back, check=False) == chip
        found["same"] += 1
    assert found["same"] >= 15


@pytest.mark.parametrize("seeds", [(0, 1, 59), pytest.param(range(240), marks=pytest.mark.slow)])
def test_what_differs_without_our_metadata_begins_at_the_threshold(seeds):
    """NIR's time constants are float32: a membrane that just reaches its threshold may pass it."""
    ties = Ties()
    for seed in seeds:
        ties.add(seed)
    assert ties.spikes > 500
    assert 0 < ties.differing < 0.001 * max(ties.spikes, 20_000)
    assert max(ties.margins) < 1e-7


def tampered(path, change):
    with h5py.File(path, "r+") as file:
        change(file["node"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda n: n["nodes/conv2/weight"].write_direct(np.ones((4, 4, 3, 3), "f4")), "'conv2'"),
        (lambda n: n["nodes/lif2/tau"].write_direct(np.ones((4, 4, 4), "f4")), "'lif2'"),
        (lambda n: n["nodes"].move("lif3", "lif4"), "'lif3'"),
        (lambda n: n["nodes/lif3.flat/input_type"].write_direct(np.array([3, 2, 8])), "lif3.flat"),
        (
            lambda n: n["metadata/sdcl_neuro_graph_1_weight"].write_direct(np.ones(72)),
            "node 'conv1'",
        ),
    ],
)
def test_a_file_whose_graph_and_metadata_differ_is_refused(graph, tmp_path, change, says):
    conversion.to_nir(graph, tmp_path / "g.nir")
    tampered(tmp_path / "g.nir", change)
    with pytest.raises(InputError, match=f"disagree on.*{says}"):
        conversion.from_nir(tmp_path / "g.nir")


def test_damaged_metadata_are_refused_in_one_line(graph, tmp_path):
    def cut(node):
        body = json.loads(node["metadata/sdcl_neuro"][()])
        body["nodes"][1]["kind"] = "Exec"
        del node["metadata/sdcl_neuro"]
        node["metadata/sdcl_neuro"] = json.dumps(body)

    conversion.to_nir(graph, tmp_path / "g.nir")
    tampered(tmp_path / "g.nir", cut)
    with pytest.raises(InputError, match="damaged: KeyError"):
        conversion.from_nir(tmp_path / "g.nir")


TRANSPOSED = [
    {"kernel_size": 2, "stride": 2},
    {"kernel_size": 3},
    {"kernel_size": (3, 2), "stride": (1, 3), "padding": (2, 0), "bias": False},
    {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1, "groups": 3},
    {"kernel_size": 2, "stride": 3, "dilation": 2, "output_padding": (0, 2)},
    {"kernel_size": 1, "stride": 2, "padding": 0, "groups": 3},
]


@pytest.mark.parametrize(
    "layer",
    [
        *(lambda o=options: nn.ConvTranspose2d(3, 6, **o) for options in TRANSPOSED),
        lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 6, 3)),
        lambda: nn.Sequential(nn.Upsample(scale_factor=(1, 3)), nn.Conv2d(3, 6, 1)),
    ],
)
def test_what_enlarges_is_written_as_convolutions(layer, tmp_path):
    """NIR's own words give torch's sums to the last bit, and another reader the same chain."""
    torch.manual_seed(3)
    module = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        snn.Leaky(0.8, threshold=0.3, **ZERO),
        layer(),
        snn.Leaky(0.8, threshold=0.05, **ZERO),
    ).eval()
    with torch.no_grad():
        for values in module.parameters():  # that float32 adds without rounding
            values.copy_((values * 16).round() / 16)
    spikes = (np.random.default_rng(2).random((8, 2, 2, 5, 4)) < 0.4).astype(np.uint8)
    graph = conversion.from_snntorch(module, spikes)
    written = build_graph(graph, dt=1e-3)
    written.metadata = {"dt": 1e-3}
    own = reference_run(written, spikes, dt=1e-3)
    ours = run(graph, spikes, backend="snntorch")
    for index in range(2):
        expected = ours.spikes[index]
        np.testing.assert_array_equal(own.spikes[index].reshape(expected.shape), expected)
        assert expected.sum() > 20
    read = conversion.from_nir(written, dt=1e-3)
    assert conversion.quantize(read, spikes, check=False).layers[0].kind == "conv"
    conversion.to_nir(graph, tmp_path / "g.nir", dt=1e-3)
    back = conversion.from_nir(tmp_path / "g.nir")
    assert conversion.quantize(back, spikes, check=False) == conversion.quantize(
        graph, spikes, check=False
    )


def test_what_nir_has_no_words_for_is_refused_all_at_once():
    module = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        snn.Leaky(0.8, threshold=0.3, **ZERO),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Conv2d(3, 3, 1),
        snn.Leaky(1.0, threshold=0.3, **ZERO),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.Conv2d(3, 3, 1),
        snn.Leaky(0.8, threshold=0.3, **ZERO),
    )
    graph = conversion.from_snntorch(module, torch.ones(3, 1, 2, 7, 7))
    with pytest.raises(NetworkRefused, match=r"ceil_mode.*write OUT.net"):
        conversion.to_nir(graph, "never.nir")
    with pytest.raises(NetworkRefused, match="in NIR's own words, not for norse"):
        conversion.to_nir(graph, "never.nir", reader="norse")
    large = nn.Sequential(
        nn.Conv2d(2, 64, 1),
        snn.Leaky(0.8, threshold=0.3, **ZERO),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(64, 3, 1),
        snn.Leaky(0.8, threshold=0.3, **ZERO),
    )
    graph = conversion.from_snntorch(large, torch.ones(3, 1, 2, 64, 64))
    with pytest.raises(NetworkRefused, match=r"ones and zeros, more than.*write OUT.net"):
        conversion.to_nir(graph, "never.nir")


def test_convert_and_verify_take_the_file(graph, spikes, tmp_path, capsys):
    """A graph in NIR, to NIR again, to a chain with a certificate."""
    conversion.to_nir(graph, tmp_path / "g.nir", dt=1e-3)
    write_spikes(tmp_path / "s.npz", spikes)
    first, second, net = (str(tmp_path / name) for name in ("g.nir", "h.nir", "g.net"))
    given = ["--calibrate", str(tmp_path / "s.npz")]
    assert main(["convert", first, second]) == 0
    assert str(load(second).graph) == str(graph)
    assert main(["convert", first, second, "--growth", "4"]) == 2
    assert "nothing is relayed" in capsys.readouterr().err
    assert main(["convert", first, net, *given]) == 0
    words = ["verify", net, "--against", "snntorch-int", "--spikes", str(tmp_path / "s.npz")]
    assert main([*words, "--no-cache"]) == 0
    assert nir.read(second).metadata["dt"] == 1e-3
