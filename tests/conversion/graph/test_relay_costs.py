"""What relays cost on a chip, with them and without; pictures of graphs in reports."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from sdcl_neuro import conversion, profile, run
from sdcl_neuro.cli import main
from sdcl_neuro.conversion.lowering.graph.nodes import PopulationNode
from sdcl_neuro.conversion.relaying import relay_costs
from sdcl_neuro.hardware.placement import fit
from sdcl_neuro.network.activity import nonzero_fan_out
from sdcl_neuro.testing import random_network

ZERO = {"reset_mechanism": "zero", "init_hidden": True}


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        decays = torch.tensor([0.5, 0.9] * 2).reshape(4, 1, 1)
        self.c1, self.l1 = nn.Conv2d(2, 4, 3, padding=1), snn.Leaky(0.8, threshold=0.3, **ZERO)
        self.pool, self.up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
        self.c2, self.l2 = nn.Conv2d(4, 4, 3, padding=1), snn.Leaky(decays, threshold=0.3, **ZERO)
        self.c3, self.l3 = nn.Conv2d(8, 4, 3, padding=1), snn.Leaky(0.8, threshold=0.3, **ZERO)

    def forward(self, x):
        one = self.l1(self.c1(x))
        two = self.l2(self.c2(self.pool(one)))
        return self.l3(self.c3(torch.cat([self.up(two), one], 1)))


@pytest.fixture(scope="module")
def graph():
    torch.manual_seed(0)
    return conversion.from_snntorch(UNet(), (torch.rand(6, 2, 2, 8, 8) < 0.4).float())


@pytest.fixture(scope="module")
def chip(graph):
    spikes = (np.random.default_rng(0).random((6, 2, 2, 8, 8)) < 0.4).astype(np.uint8)
    return conversion.quantize(graph, calibration=spikes, check=False)


def test_own_neurons_are_those_of_the_graph_and_the_rest_relays(chip):
    costs = relay_costs(chip, "loihi1")
    assert costs is not None
    own = 4 * 64 + 4 * 16 + 4 * 64
    assert costs.total("own_neurons") == own
    assert costs.total("neurons") == sum(layer.neurons for layer in chip.layers)
    assert costs.total("neurons") - own == sum(chip.meta["graph"]["relayed"])
    assert costs.total("synapses") == sum(int(nonzero_fan_out(x).sum()) for x in chip.layers)
    placed = fit(chip, "loihi1")
    assert costs.total("cores") == placed.cores
    assert costs.total("own_cores") < placed.cores
    # The first layer neither relays nor pools.
    first = costs.layers[0]
    assert (first.neurons, first.synapses) == (first.own_neurons, first.own_synapses)


def test_own_synapses_are_those_of_the_graphs_kernels(graph):
    """Three layers of kernels without zeros; the joined layout adds none."""
    spikes = (np.random.default_rng(0).random((6, 2, 2, 8, 8)) < 0.4).astype(np.uint8)
    chip = conversion.quantize(graph, calibration=spikes, check=False)
    costs = relay_costs(chip, "loihi2")
    assert costs is not None

    def taps(size):
        return (3 * size - 2) ** 2

    # c3 reads l2 through an upsampling: nine taps of 8x8 fall on fewer pixels of 4x4.
    up = sum(len({(y + d) // 2 for d in (-1, 0, 1) if 0 <= y + d < 8}) for y in range(8)) ** 2
    most = 4 * 2 * taps(8) + 4 * 4 * taps(4) + 4 * 4 * taps(8) + 4 * 4 * up
    assert 0.95 * most <= costs.total("own_synapses") <= most


def test_a_chain_has_no_relays():
    assert relay_costs(random_network(0), "loihi1") is None


def test_hw_fit_says_before_and_after_and_warns(chip, tmp_path, capsys):
    conversion.to_netx(chip, tmp_path / "u.net")
    files = [str(tmp_path / name) for name in ("fit.json", "fit.html")]
    words = ["hw", "fit", str(tmp_path / "u.net"), "loihi1", "--json", files[0], "--html", files[1]]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "relays and pooling on loihi1, without them and with them:" in out
    assert "warning: pool: max pooling takes" in out
    assert "warning: l2: its decays take 2 layers" in out
    stored = json.loads((tmp_path / "fit.json").read_text())["relays"]
    assert stored["own_neurons"] == 576
    assert stored["cores"] > stored["own_cores"]
    assert len(stored["layers"]) == len(chip.layers)
    assert main(["check", files[0]]) == 0
    page = (tmp_path / "fit.html").read_text(encoding="utf-8")
    assert 'class="graph-picture"' in page
    assert "576 -&gt;" in page


def test_the_profile_shows_the_graph_that_the_chain_came_from(graph, chip, tmp_path):
    conversion.to_netx(chip, tmp_path / "u.net")
    spikes = (np.random.default_rng(1).random((4, 1, 2, 8, 8)) < 0.3).astype(np.uint8)
    page = profile(tmp_path / "u.net", spikes).to_html()
    picture = page[page.index('<svg xmlns="http://www.w3.org/2000/svg" class="graph-picture"') :]
    root = ElementTree.fromstring(picture[: picture.index("</svg>") + 6])
    shown = [group[2].text for group in root if group.tag.endswith("}g")]
    assert shown == [node.name for node in graph.nodes]
    assert "layer_1 (chain 2, 3)" in picture
    net = random_network(0)
    chain = profile(net, np.zeros((2, 1, *net.input_shape), np.uint8)).to_html()
    assert "graph-picture" not in chain


def test_a_graph_draws_itself(graph, tmp_path):
    svg = graph.to_svg(tmp_path / "graph.svg")
    assert graph._repr_svg_() == svg == (tmp_path / "graph.svg").read_text(encoding="utf-8")
    assert "c3 (convolution" in svg


def test_a_profile_says_that_reading_membranes_costs_and_is_not_priced():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 8), snn.Leaky(0.8, threshold=0.3, **ZERO), nn.Linear(8, 5))
    spikes = (np.random.default_rng(0).random((7, 2, 6)) < 0.4).astype(np.uint8)
    chip = conversion.quantize(conversion.from_snntorch(module, spikes), spikes, check=False)
    costs = profile(chip, spikes, hw=["loihi1", "loihi2"])
    for target in costs.targets.values():
        why = target.energy.not_modelled["membrane_reads"]
        assert why.startswith("5 membranes of 24 bits are read after each of 7 steps, 105 bytes")
    assert "membrane reads" in str(costs)
    net = random_network(0)
    plain = profile(net, np.zeros((2, 1, *net.input_shape), np.uint8), hw="loihi2")
    assert "membrane_reads" not in plain.targets["loihi2"].energy.not_modelled


class Deep(nn.Module):
    """The input goes past `depth` layers; weights are even integers, thresholds as given."""

    def __init__(self, depth, threshold):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(2 if index == 0 else 3, 3, 3, padding=1, bias=False) for index in range(depth)
        )
        self.lifs = nn.ModuleList(snn.Leaky(0.5, threshold=threshold, **ZERO) for _ in self.convs)
        self.last, self.end = nn.Conv2d(5, 2, 3, padding=1, bias=False), snn.Leaky(0.5, **ZERO)

    def forward(self, x):
        now = x
        for conv, neurons in zip(self.convs, self.lifs, strict=True):
            now = neurons(conv(now))
        return self.end(self.last(torch.cat([now, x], 1)))


@pytest.mark.parametrize(("depth", "threshold"), [(1, 9.0), (3, 9.0), (2, 300.0), (3, 600.0)])
def test_relays_cost_what_their_spikes_cost(depth, threshold):
    """A relay adds a spike for each that it passes on, an operation for each that it receives."""
    generator = torch.Generator().manual_seed(0)
    module = Deep(depth, threshold).eval()
    module.end.threshold = torch.tensor(threshold)
    with torch.no_grad():
        for values in module.parameters():
            drawn = torch.randint(-3, 5, values.shape, generator=generator)
            values.copy_(2 * drawn * max(1, threshold // 20))
    sample = (torch.rand((8, 2, 2, 6, 6), generator=generator) < 0.3).float()
    graph = conversion.from_snntorch(module, sample)
    nodes = [
        replace(node, scale=1.0) if isinstance(node, PopulationNode) else node
        for node in graph.nodes
    ]
    chip = conversion.quantize(replace(graph, nodes=tuple(nodes)), relays="copies", check=False)
    record = run(chip, sample.numpy())

    def operations(weight, sent):
        """Operations at weights that are not zero, counted by torch alone."""
        taps = (weight != 0).double()
        return int(nn.functional.conv2d(sent.flatten(0, 1).double(), taps, padding=1).sum())

    own = [torch.from_numpy(record.spikes[index]) for index in range(depth)]
    given = [sample, *own[:-1]]
    synops = sum(operations(c.weight, s) for c, s in zip(module.convs, given, strict=True))
    synops += operations(module.last.weight, torch.cat([own[-1].float(), sample], 2))
    sent = sum(int(record.spikes[index].sum()) for index in range(depth + 1))
    relayed, needed = int(sample.sum()), -(-int(threshold + 1) // 254)
    # A layer sends as many copies as the next one, which relays too, needs to fire once.
    copies = [1] * depth if needed == 1 else [needed] * depth + [1]
    read = [1, *copies[:-1]]
    counted = {
        name: sum(int(getattr(layer, name).sum()) for layer in record.activity)
        for name in ("spikes_out", "synops_nonzero")
    }
    assert len(chip.layers) == len(copies) + 1
    assert min(sent, relayed) > 100
    assert counted["spikes_out"] == sent + relayed * sum(copies)
    assert counted["synops_nonzero"] == synops + relayed * int(np.dot(copies, read))
