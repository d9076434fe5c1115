"""Max pooling of currents and decays of many values: refused, or approximated and measured."""

from __future__ import annotations

import json

import nir
import numpy as np
import pytest
import snntorch as snn
import torch
from snntorch import utils
from torch import nn

from sdcl_neuro import conversion, run, verify
from sdcl_neuro.cli import main
from sdcl_neuro.conversion.lowering.graph.approximate import cluster
from sdcl_neuro.conversion.lowering.graph.populations import DEPTH_MAX
from sdcl_neuro.errors import NetworkRefused
from sdcl_neuro.network.spike_file import write_spikes

ZERO = {"reset_mechanism": "zero", "init_hidden": True}


def spikes(*shape, seed=0, rate=0.3):
    return (np.random.default_rng(seed).random((12, 4, *shape)) < rate).astype(np.uint8)


def taught(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*(make() for make in layers)).eval()


@pytest.fixture(scope="module")
def tutorial():
    """snnTorch's own order: convolution, MaxPool2d, neuron; here with a norm between."""
    return taught(
        lambda: nn.Conv2d(2, 6, 3, padding=1),
        lambda: nn.MaxPool2d(2),
        lambda: nn.BatchNorm2d(6),
        lambda: snn.Leaky(0.8, threshold=0.5, **ZERO),
        nn.Flatten,
        lambda: nn.Linear(96, 5),
        lambda: snn.Leaky(0.9, threshold=0.3, **ZERO),
    )


def test_max_pooling_of_currents_is_refused_with_both_ways_out(tutorial):
    with pytest.raises(NetworkRefused, match=r"pool after the neuron.*approximate=True"):
        conversion.from_snntorch(tutorial, spikes(2, 8, 8))


def test_it_moves_behind_the_neurons_and_what_that_changes_is_measured(tutorial):
    given = spikes(2, 8, 8)
    graph = conversion.from_snntorch(tutorial, given, approximate=True, calibration=given)
    names = [node.name for node in graph.nodes]
    assert names.index("3") < names.index("3.1") < names.index("5")
    first, second = graph.meta["approximate"]
    assert first["approximated"] == ["max pooling of currents (1) became max pooling of its spikes"]
    assert (first["stands_for"], second["approximated"]) == ("3.1", [])
    # The module's own spikes, by snnTorch, against what stands for them.
    utils.reset(tutorial)
    with torch.no_grad():
        own = [tutorial[:4](step) for step in torch.from_numpy(given).float()]
    original = torch.stack(own).numpy()
    assert first["spikes"] == original.sum() > 100
    sent = torch.from_numpy(run(graph, given, backend="snntorch").spikes[0]).float()
    pooled = nn.functional.max_pool2d(sent.flatten(0, 1), 2).reshape(original.shape).numpy()
    assert first["spikes_after"] == pooled.sum()
    assert first["agreement_after"] == pytest.approx((pooled == original).mean())
    assert abs(first["spikes_after"] - first["spikes"]) <= 0.02 * first["spikes"]
    assert abs(first["spikes_before"] - first["spikes"]) >= abs(
        first["spikes_after"] - first["spikes"]
    )


def test_the_certificate_says_that_it_is_a_figure_and_the_chain_is_exact(tutorial):
    given = spikes(2, 8, 8)
    graph = conversion.from_snntorch(tutorial, given, approximate=True, calibration=given)
    chip = conversion.quantize(graph, calibration=given, check=False)
    certificate = verify(chip, given, against=["snntorch-int"], cache=False)
    source, exact = certificate.pairs
    assert (source.kind, source.holds, exact.kind, exact.holds) == (
        "agreement",
        None,
        "exact",
        True,
    )
    (note,) = [n for n in certificate.not_checked if "approximated on request" in n.reason]
    assert "before that, source and description: equal" in note.reason


def many(channels):
    return taught(
        lambda: nn.Conv2d(2, channels, 3, padding=1),
        lambda: snn.Leaky(
            torch.linspace(0.3, 0.97, channels).reshape(channels, 1, 1), threshold=0.5, **ZERO
        ),
        nn.Flatten,
        lambda: nn.Linear(channels * 16, 4),
        lambda: snn.Leaky(0.9, threshold=0.3, **ZERO),
    )


def test_decays_up_to_the_depth_are_exact_and_beyond_it_clustered():
    given = spikes(2, 4, 4)
    exact = conversion.from_snntorch(many(DEPTH_MAX), given)
    assert "approximate" not in exact.meta
    beyond = many(DEPTH_MAX + 1)
    with pytest.raises(NetworkRefused, match=r"17 pairs of decays.*up to 16.*approximate=True"):
        conversion.from_snntorch(beyond, given)
    graph = conversion.from_snntorch(beyond, given, approximate=True, calibration=given)
    first, last = graph.meta["approximate"]
    assert first["approximated"] == ["17 pairs of decays became 4"]
    assert last["approximated"] == []
    assert len(np.unique(graph["1"].beta)) == 4
    assert first["spike_agreement_after"] > 0.5
    chip = conversion.quantize(graph, calibration=given, check=False)
    assert len(chip.layers) == 5


def test_nothing_to_approximate_changes_nothing():
    given = spikes(2, 4, 4)
    module = many(3)
    plain = conversion.from_snntorch(module, given)
    asked = conversion.from_snntorch(module, given, approximate=True, calibration=given)
    assert "approximate" not in asked.meta
    assert str(asked) == str(plain)


@pytest.mark.parametrize(
    ("norm", "reason"), [(-1.0, "weighted sums"), (1.0, None)], ids=["negative", "positive"]
)
def test_a_norm_that_turns_signs_keeps_the_pool_where_it_is(norm, reason):
    module = taught(
        lambda: nn.Conv2d(2, 3, 3, padding=1),
        lambda: nn.MaxPool2d(2),
        lambda: nn.BatchNorm2d(3),
        lambda: snn.Leaky(0.8, threshold=0.3, **ZERO),
    )
    nn.init.constant_(module[2].weight, norm)
    given = spikes(2, 8, 8)
    if reason is None:
        graph = conversion.from_snntorch(module, given, approximate=True, calibration=given)
        # Behind the last neurons the pooling is left to whoever reads the spikes.
        assert [node.name for node in graph.nodes] == ["input", "0", "2", "3"]
        assert graph.meta["approximate"][0]["spikes_after"] > 0
        return
    with pytest.raises(NetworkRefused, match=reason):
        conversion.from_snntorch(module, given, approximate=True, calibration=given)


def test_clusters_are_means_of_their_points_and_always_the_same():
    rng = np.random.default_rng(0)
    points = np.stack([rng.random(40), np.repeat([0.0, 0.5], 20)], 1)
    found = cluster(points, 4)
    assert len(np.unique(found, axis=0)) == 4
    for centre in np.unique(found, axis=0):
        np.testing.assert_allclose(points[(found == centre).all(1)].mean(0), centre)
    np.testing.assert_array_equal(found, cluster(points, 4))
    apart = cluster(np.array([[0.1, 0], [0.11, 0], [0.9, 0], [0.91, 0]]), 2)
    np.testing.assert_allclose(apart[:, 0], [0.105, 0.105, 0.905, 0.905])


def test_convert_approximates_a_nir_graph(tmp_path, capsys):
    count = 20
    ones = np.ones(count, np.float32)
    nodes = {
        "input": nir.Input(np.array([6])),
        "fc": nir.Affine(
            np.random.default_rng(0).normal(0, 2, (count, 6)).astype(np.float32), 0 * ones
        ),
        "lif": nir.LIF(
            tau=np.linspace(2e-3, 9e-3, count).astype(np.float32),
            r=3 * ones,
            v_leak=0 * ones,
            v_threshold=ones,
        ),
        "output": nir.Output(np.array([count])),
    }
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "output")]
    nir.write(tmp_path / "m.nir", nir.NIRGraph(nodes, edges, type_check=False))
    write_spikes(tmp_path / "s.npz", spikes(6))
    words = ["convert", str(tmp_path / "m.nir"), str(tmp_path / "m.net"), "--dt", "1e-3"]
    assert main([*words, "--calibrate", str(tmp_path / "s.npz")]) == 2
    assert "20 pairs of decays" in capsys.readouterr().err
    assert main([*words, "--calibrate", str(tmp_path / "s.npz"), "--approximate"]) == 0
    assert "20 pairs of decays became 4" in capsys.readouterr().out
    (entry,) = json.loads((tmp_path / "m.net.json").read_text())["approximate"]
    assert entry["name"] == "lif"
    assert entry["spikes"] > 0


class Skip(nn.Module):
    """snnTorch's defaults: reset by subtraction, with the next step; two of the three the same."""

    def __init__(self, make):
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(2, 4, 3, padding=1), make(0)
        self.conv2, self.lif2 = nn.Conv2d(4, 4, 3, padding=1), make(1)
        self.fc, self.lif3 = nn.Linear(256, 5), make(2)

    def forward(self, x):
        one = self.lif1(self.conv1(x))
        return self.lif3(self.fc((one + self.lif2(self.conv2(one))).flatten(1)))


def plain(index):
    return snn.Leaky(0.8, threshold=0.4, init_hidden=True)


RESETS = {
    "late subtraction": (plain, "reset by subtraction became reset to zero"),
    "subtraction at once": (
        lambda index: snn.Leaky(0.8, threshold=0.4, init_hidden=True, reset_delay=False),
        "reset by subtraction became reset to zero",
    ),
    "late, behind a current": (
        lambda index: snn.Synaptic(0.4, 0.8, threshold=0.4, **ZERO),
        "a reset one step late, which swallows that step's input, became immediate",
    ),
    "late, recurrent": (
        lambda index: (
            plain(0) if index < 2 else snn.RLeaky(0.8, linear_features=5, threshold=0.4, **ZERO)
        ),
        "a reset one step late, which swallows that step's input, became immediate",
    ),
}


@pytest.mark.parametrize("name", RESETS)
def test_a_graph_whose_neurons_reset_otherwise_is_approximated_and_measured(name):
    make, words = RESETS[name]
    torch.manual_seed(0)
    module = Skip(make).eval()
    given = spikes(2, 8, 8)
    with pytest.raises(NetworkRefused, match=r"approximate=True and calibration data"):
        conversion.from_snntorch(module, given)
    graph = conversion.from_snntorch(module, given, approximate=True, calibration=given)
    entries = graph.meta["approximate"]
    assert words in entries[-1]["approximated"]
    utils.reset(module)
    sent = {"lif1": [], "lif2": [], "lif3": []}
    for each, into in sent.items():
        neuron = getattr(module, each)
        neuron.register_forward_hook(lambda _, __, out, into=into: into.append(out))
    with torch.no_grad():
        for step in torch.from_numpy(given).float():
            module(step)
    for entry in entries:
        # The original's spikes are the module's own, run by snnTorch.
        own = torch.stack(sent[entry["name"]]).sum()
        assert abs(entry["spikes"] - own) <= 0.002 * own
        assert abs(entry["spikes_after"] - own) <= 0.03 * own + 2
    chip = conversion.quantize(graph, calibration=given, check=False)
    record = run(chip, given)
    for index, entry in enumerate(entries):
        sent_by_chip = int(record.spikes[index].sum())
        assert abs(sent_by_chip - entry["spikes"]) <= 0.1 * entry["spikes"] + 5
    certificate = verify(chip, given, against=["snntorch-int"], cache=False)
    assert [pair.holds for pair in certificate.pairs] == [None, True]


def test_a_bias_before_a_current_becomes_the_constant_that_it_tends_to():
    torch.manual_seed(0)
    module = Skip(lambda i: snn.Synaptic(0.6, 0.8, threshold=0.4, reset_delay=False, **ZERO)).eval()
    given = spikes(2, 8, 8)
    with pytest.raises(NetworkRefused, match=r"current's decay.*approximate=True"):
        conversion.from_snntorch(module, given)
    graph = conversion.from_snntorch(module, given, approximate=True, calibration=given)
    for entry in graph.meta["approximate"]:
        assert entry["approximated"] == [
            "a bias after the current's decay became the constant it tends to"
        ]
        assert entry["spike_agreement_after"] > 0.7
    drive = np.asarray(graph["lif1"].drive)[:, 0, 0]
    np.testing.assert_allclose(drive, module.conv1.bias.detach().double() / 0.4, rtol=1e-6)
    assert len(conversion.quantize(graph, calibration=given, check=False).layers) >= 3


@pytest.mark.parametrize(
    ("writer", "reset", "words"),
    [
        ("spyx", 0.0, "reset by subtraction became reset to zero"),
        ("nir", -0.25, "a reset to -0.25 became the zero that is counted from"),
    ],
)
def test_nir_graphs_whose_neurons_reset_otherwise_are_approximated(writer, reset, words):
    rng = np.random.default_rng(0)
    dt = 1.0 if writer == "spyx" else 1e-3

    def lif(count):
        ones = np.ones(count, np.float32)
        return nir.LIF(
            tau=ones * 5 * dt,
            r=ones * (0.8 if writer == "spyx" else 5),
            v_leak=0 * ones,
            v_threshold=ones,
            v_reset=reset * ones,
        )

    def affine(outputs, inputs):
        return nir.Affine(
            rng.normal(0, 0.5, (outputs, inputs)).astype(np.float32),
            np.zeros(outputs, np.float32),
        )

    nodes = {
        "input": nir.Input(np.array([6])),
        "fc1": affine(8, 6),
        "lif1": lif(8),
        "fc2": affine(4, 8),
        "skip": affine(4, 6),
        "lif2": lif(4),
        "output": nir.Output(np.array([4])),
    }
    edges = [("input", "fc1"), ("fc1", "lif1"), ("lif1", "fc2"), ("input", "skip")]
    edges += [("fc2", "lif2"), ("skip", "lif2"), ("lif2", "output")]
    written = nir.NIRGraph(nodes, edges, type_check=False)
    given = spikes(6)
    asked = {"dt": dt, "writer": writer}
    with pytest.raises(NetworkRefused, match="approximate=True"):
        conversion.from_nir(written, **asked)
    graph = conversion.from_nir(written, **asked, approximate=True, calibration=given)
    for entry in graph.meta["approximate"]:
        assert entry["approximated"][0].startswith(words)
        assert abs(entry["spikes_after"] - entry["spikes"]) <= 0.05 * entry["spikes"] + 2
    chip = conversion.quantize(graph, calibration=given, check=False)
    assert run(chip, given).spikes[1].sum() > 0
