"""What differs between two networks, in meaning: every field planted, nothing else named."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_netx, from_nir, to_netx, to_nir
from sdcl_neuro.conversion.difference import difference
from sdcl_neuro.conversion.quantisation.rounding import quantize
from sdcl_neuro.conversion.targets.nir.weights import spread
from sdcl_neuro.network.spec import Convolution, FloatLayer, FloatNetwork, FloatNeuron
from sdcl_neuro.testing import random_network


def _with(net, index, **fields):
    layers = list(net.layers)
    layers[index] = replace(layers[index], **fields)
    return replace(net, layers=tuple(layers))


def _whats(found):
    return [(change.where.split(" (")[0], change.what) for change in found.changes]


@pytest.fixture
def net():
    return random_network(2, kind="conv", layers=2)


@pytest.mark.parametrize("kind", ["conv", "dense_rec", "delay"])
def test_a_network_is_itself_however_it_is_written(kind, tmp_path):
    net = random_network(7, kind=kind, layers=2)
    to_netx(net, tmp_path / "a.net")
    assert difference(net, tmp_path / "a.net").same
    if kind != "delay":
        to_nir(net, tmp_path / "a.nir", dt=1e-4)
        found = difference(tmp_path / "a.net", tmp_path / "a.nir")
        assert found.same
        assert found.arithmetic == "integer"


def test_every_field_that_changes_spikes_is_named_alone(net):
    layer = net.layers[1]
    weight = layer.weight.copy()
    weight.flat[3] += 6
    weight.flat[5] -= 20
    (change,) = difference(net, _with(net, 1, weight=weight)).changes
    assert (change.what, change.count, change.of) == ("weights", 2, weight.size)
    assert change.largest == 20
    assert change.values == (layer.weight.flat[5], weight.flat[5])
    assert "2 of" in str(change)
    neuron = layer.neuron
    for field in ("threshold", "voltage_decay", "current_decay"):
        other = replace(neuron, **{field: getattr(neuron, field) - 1})
        found = difference(net, _with(net, 1, neuron=other))
        assert _whats(found) == [("layer 1", field.replace("_", " "))]
    bias = np.zeros(len(layer.weight), np.int32) if layer.bias is None else layer.bias
    found = difference(net, _with(net, 1, bias=bias + np.int32(3)))
    assert _whats(found) == [("layer 1", "bias")]
    moved = replace(layer.convolution, padding=(9, 9))
    assert _whats(difference(net, _with(net, 1, convolution=moved))) == [("layer 1", "padding")]
    assert _whats(difference(net, replace(net, message_bits=5))) == [("network", "message bits")]
    fewer = difference(net, replace(net, layers=net.layers[:1]))
    assert _whats(fewer) == [("network", "layers"), ("layer 1", "only on one side")]


def test_what_changes_no_spike_is_told_apart(net):
    found = difference(net, replace(_with(net, 0, name="x"), meta={"made": (1, 2)}))
    assert found.same
    assert ("layer 0", "name") in [(c.where, c.what) for c in found.described]
    assert ("metadata", "made") in [(c.where, c.what) for c in found.described]
    zeros = np.zeros(len(net.layers[0].weight), np.int32)
    bare = _with(net, 0, bias=None)
    assert difference(bare, _with(net, 0, bias=zeros)).same
    # As JSON gives it back, a tuple is a list.
    assert not difference(replace(net, meta={"a": (1,)}), replace(net, meta={"a": [1]})).described


def test_groups_are_the_synapses_they_leave():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(4, 2, 3, 3)).astype(np.float32)
    unit, shape = FloatNeuron(0.9, 1.0), (4, 5, 5)
    layer = FloatLayer("a", "conv", weight, unit, shape, (4, 3, 3), None, Convolution(groups=2))
    net = FloatNetwork(shape, (layer,))
    other = _with(net, 0, weight=spread(weight, 2), convolution=Convolution())
    assert difference(net, other).same
    weight = spread(weight, 2)
    weight[0, 3, 0, 0] = 0.5
    (change,) = difference(net, _with(other, 0, weight=weight)).changes
    assert (change.what, change.count, change.largest) == ("weights", 1, 0.5)


def test_float_and_integers_are_compared_by_ratios():
    weight = np.array([[1.0, -0.5], [0.25, 0.75]], np.float32)
    layer = FloatLayer("a", "dense", weight, FloatNeuron(0.5, 2.0), (2,), (2,), scale=100.0)
    chip = quantize(FloatNetwork((2,), (layer,)))
    plain = FloatNetwork((2,), (replace(layer, scale=None),))
    found = difference(plain, chip)
    assert found.arithmetic == "units of the thresholds"
    # 25 and 75 are rounded to even weights, 24 or 26 and 74 or 76, of a threshold of 200.
    (change,) = found.changes
    assert (change.what, change.count) == ("weights", 2)
    assert change.largest == pytest.approx(1 / 200, rel=1e-5)
    halves = _with(plain, 0, weight=weight * np.float32(2), neuron=FloatNeuron(0.5, 4.0))
    assert not difference(plain, halves).same  # two floats are compared as they are


def test_the_command(net, tmp_path, capsys):
    to_netx(net, tmp_path / "a.net")
    neuron = replace(net.layers[0].neuron, threshold=net.layers[0].neuron.threshold + 7)
    to_netx(_with(net, 0, neuron=neuron), tmp_path / "b.net")
    a, b, out = (str(tmp_path / name) for name in ("a.net", "b.net", "d.json"))
    before = (tmp_path / "b.net").read_bytes()
    assert main(["convert", "--diff", a, a]) == 0
    assert "compute the same" in capsys.readouterr().out
    assert main(["convert", a, b, "--diff", "--json", out]) == 1
    shown = capsys.readouterr()
    assert "threshold" in shown.out
    assert "differ" in shown.err.splitlines()[-1]
    found = json.loads((tmp_path / "d.json").read_text())
    assert found["schema"] == {"name": "sdcl_neuro.difference", "version": 1}
    assert found["same"] is False
    assert [change["what"] for change in found["changes"]] == ["threshold"]
    assert (tmp_path / "b.net").read_bytes() == before
    assert main(["convert", "--diff", a, str(tmp_path / "none.net")]) == 2
    assert main(["convert", "--diff", a, b, "--bundle", str(tmp_path / "x")]) == 2
    assert "leave one out" in capsys.readouterr().err


def test_nir_from_a_stranger_and_the_net_made_of_it(make_float_net, tmp_path):
    to_nir(make_float_net(scale=50.0), tmp_path / "f.nir")
    to_netx(quantize(from_nir(tmp_path / "f.nir")), tmp_path / "f.net")
    found = difference(tmp_path / "f.nir", tmp_path / "f.net")
    assert (found.arithmetic, found.same) == ("integer", True)
    assert difference(from_netx(tmp_path / "f.net"), tmp_path / "f.net").same
