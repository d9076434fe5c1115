"""Networks compare by content, hash, and show themselves as tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro import FloatNetwork, IntNetwork
from sdcl_neuro.conversion import from_netx, to_netx
from sdcl_neuro.network.spec_convert import dequantize
from sdcl_neuro.testing import random_network

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_equals_itself_made_again_and_read_back(seed: int, tmp_path: Path) -> None:
    net, again = random_network(seed), random_network(seed)
    assert net is not again
    assert net == again
    assert hash(net) == hash(again)
    if all(layer.delay is None for layer in net.layers):  # else there is no float description
        assert dequantize(net) == dequantize(again)
        assert net != dequantize(net)
    to_netx(net, tmp_path / "m.net")
    back = from_netx(tmp_path / "m.net")
    assert back == net
    assert len({net, again, back}) == 1


def _changes(net: IntNetwork) -> list[IntNetwork]:
    layer = net.layers[0]
    weight = layer.weight.copy()
    weight.flat[0] += 2
    neuron = replace(layer.neuron, threshold=layer.neuron.threshold + 1)
    changed = [replace(layer, weight=weight), replace(layer, neuron=neuron)]
    if layer.bias is None:
        changed.append(replace(layer, bias=np.ones(layer.weight.shape[0], np.int32)))
    else:
        changed.append(replace(layer, bias=None))
    return [replace(net, layers=(one, *net.layers[1:])) for one in changed]


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_changes_arithmetic_changes_equality(seed: int) -> None:
    net = random_network(seed)
    different = [*_changes(net), replace(net, message_bits=net.message_bits + 1)]
    assert all(other != net for other in different)
    labelled = replace(net, meta={"origin": "elsewhere"})
    named = replace(net, layers=tuple(replace(x, name=f"{x.name}'") for x in net.layers))
    assert labelled == net == named
    assert net != "a network"


def test_printing_shows_layers_and_never_arrays() -> None:
    net = random_network(3)
    text = str(net)
    assert text.splitlines()[0] == repr(net)
    assert len(text.splitlines()) == 2 + len(net.layers)
    for layer, line in zip(net.layers, text.splitlines()[2:], strict=True):
        assert layer.name in line
        assert f"{layer.weight.size:,}" in line
        assert f"vThMant {layer.neuron.threshold}" in line
    for shown in (text, repr(net.layers[0]), repr(dequantize(net)), repr(dequantize(net).layers)):
        assert "array" not in shown
    assert "beta" in str(dequantize(net))


def test_a_notebook_shows_a_table_with_every_cell_escaped() -> None:
    net = random_network(3)
    layers = (replace(net.layers[0], name="<script>"), *net.layers[1:])
    html = replace(net, layers=layers)._repr_html_()
    assert html.count("<tr>") == 1 + len(net.layers)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_an_empty_network_can_be_shown() -> None:
    for kind in (FloatNetwork, IntNetwork):
        assert "0 layers" in str(kind((4,), ()))
