"""Random networks are what they promise: reproducible, varied, and within the chip's limits."""

from __future__ import annotations

import numpy as np
import pytest

from sdcl_neuro.conversion.targets.netx.constraints import refusals
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError
from sdcl_neuro.testing import KINDS, random_network, random_spikes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extreme", [False, True])
def test_every_network_could_go_to_the_chip(kind, extreme):
    for seed in range(60):
        assert refusals(random_network(seed, kind=kind, extreme=extreme)) == []


def test_a_seed_is_a_network():
    one, two, other = random_network(4), random_network(4), random_network(5)
    for first, second in zip(one.layers, two.layers, strict=True):
        np.testing.assert_array_equal(first.weight, second.weight)
        assert first.neuron == second.neuron
    assert one.input_shape != other.input_shape
    np.testing.assert_array_equal(random_spikes(one, 1), random_spikes(two, 1))


def test_kinds_are_varied_and_layers_fire():
    layers = [layer for seed in range(200) for layer in random_network(seed).layers]
    assert {layer.kind for layer in layers} == {"conv", "dense", "dense_rec"}
    assert any(layer.delay is not None for layer in layers)
    geometries = [layer.convolution for layer in layers if layer.convolution is not None]
    assert any(g.groups > 1 for g in geometries)
    assert any(g.dilation[0] > 1 for g in geometries)
    assert any(g.stride[0] != g.stride[1] for g in geometries)
    assert {layer.kernel[0] for layer in layers if layer.kind == "conv"} == set(range(1, 8))
    fired = []
    for seed in range(60):
        net = random_network(seed)
        record = run_network(net, random_spikes(net, seed))
        fired += [bool(layer.spikes_out.any()) for layer in record.activity]
    assert np.mean(fired) > 0.75


def test_bad_requests():
    with pytest.raises(InputError, match="kind"):
        random_network(0, kind="pool")
    with pytest.raises(InputError, match="layers"):
        random_network(0, layers=0)
