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
