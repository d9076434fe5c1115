"""Speck's integers: exact where nothing is rounded; sinabs' own neurons; what is refused."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.conversion.targets.speck.layers import SpeckLayer, speck_layers
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import NetworkRefused
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.testing import random_spikes

needs_sinabs = pytest.mark.skipif(
    importlib.util.find_spec("sinabs") is None, reason="sinabs is not installed"
)


def network(*, step: int = 2, decay: int = 0, threshold: int = 151) -> IntNetwork:
    """A convolution with stride and padding and a dense layer, weights multiples of `step`."""
    rng = np.random.default_rng(0)
    geometry = Convolution((2, 2), (1, 1), (1, 1), 1)
    convolution = IntLayer(
        "conv", "conv", (step * rng.integers(-20, 30, (4, 2, 3, 3))).astype(np.int32),
        IntNeuron(4096, decay, threshold), (2, 8, 8), (4, 4, 4),
        bias=(step * rng.integers(-9, 20, 4)).astype(np.int32), convolution=geometry,
    )  # fmt: skip
    dense = IntLayer(
        "dense", "dense", (step * rng.integers(-20, 25, (5, 64))).astype(np.int32),
        IntNeuron(4096, 0, 300), (4, 4, 4), (5,),
    )  # fmt: skip
    return IntNetwork((2, 8, 8), (convolution, dense), 0, {})


def loop(layer: SpeckLayer, spikes: np.ndarray) -> np.ndarray:
    """One layer without leak, in whole numbers: ``[T, B, ...]`` of the input to the output."""
    steps, samples = spikes.shape[:2]
    padded = np.pad(
        spikes.reshape(steps, samples, *layer.in_shape).astype(np.int64),
        ((0, 0), (0, 0), (0, 0), *((pad, pad) for pad in layer.padding)),
    )
    channels, rows, columns = layer.out_shape
    height, width = layer.weight.shape[2:]
    membrane = np.zeros((samples, *layer.out_shape), np.int64)
    found = np.zeros((steps, samples, *layer.out_shape), np.uint8)
    for step in range(steps):
        for row in range(rows):
            for column in range(columns):
                top, left = row * layer.stride[0], column * layer.stride[1]
                patch = padded[step, :, :, top : top + height, left : left + width]
                membrane[:, :, row, column] += np.einsum("bihw,oihw->bo", patch, layer.weight)
        if layer.bias is not None:
            membrane += layer.bias.reshape(channels, 1, 1)
        found[step] = membrane >= layer.threshold
        membrane[found[step] > 0] = 0
    return found


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("threshold", [150, 151])
def test_without_a_leak_nothing_changes_where_nothing_is_rounded(step: int, threshold: int) -> None:
    """Weights of one are kept, those of two are halved, and the threshold with them."""
    net = network(step=step, threshold=threshold)
    layers = speck_layers(net)
    assert {layer.scale for layer in layers} == {0.5 if step == 2 else 1.0}
    assert not any(layer.rounded for layer in layers)
    spikes = random_spikes(net, 3, steps=9, samples=3, rate=0.3)
    expected, given = run_network(net, spikes).spikes, spikes
    for index, layer in enumerate(layers):
        given = loop(layer, given)
        assert given.any()
        np.testing.assert_array_equal(given.reshape(expected[index].shape), expected[index])


def test_larger_weights_are_scaled_to_8_bits() -> None:
    net = network(step=7)
    layers = speck_layers(net)
    for layer, own in zip(layers, net.layers, strict=True):
        assert int(np.abs(layer.weight).max()) == 127
        assert 0 < layer.rounded <= 0.5
        assert layer.threshold == int(own.neuron.threshold * layer.scale) + 1


@needs_sinabs
def test_sinabs_runs_them_and_measures_what_the_chip_does_otherwise(tmp_path: Path) -> None:
    from sdcl_neuro.conversion.targets.speck.writer import to_speck

    net = network(decay=600)
    spikes = random_spikes(net, 1, steps=10, samples=2, rate=0.3)
    written = to_speck(net, tmp_path / "m.speck", spikes=spikes)
    value = json.loads((tmp_path / "m.speck").read_text())
    leak, none, events = value["differences"]
    assert [one["way"] for one in (leak, none, events)] == ["leak", "no leak", "events"]
    assert leak["differ"] <= none["differ"]  # the leak is what is lost
    assert none["differ"] > 0
    assert (leak["samples"], events["samples"]) == (2, 1)
    assert none["ours"] == sum(int(s.sum()) for s in run_network(net, spikes).spikes.values())
    assert value["neuron"]["leak_lost"] == [600 / 4096, 0]
    assert [len(layer["weight"]) for layer in value["layers"]] == [4, 5]
    assert "without a leak" in str(written)


@needs_sinabs
def test_event_by_event_each_event_passes_before_the_next() -> None:
    """Two inputs of one step, one exciting and one inhibiting: only their order decides."""
    from sdcl_neuro.conversion.targets.speck.module import SpeckModule, run_events, run_steps

    weight = np.array([[20, -20]], np.int32)
    layer = IntLayer("one", "dense", weight, IntNeuron(4096, 0, 10), (2,), (1,))
    module = SpeckModule(speck_layers(IntNetwork((2,), (layer,), 0, {})))
    both = np.ones((1, 1, 2), np.uint8)
    assert run_steps(module, both)[0].sum() == 0  # the sum is nothing
    found = {int(run_events(module, both, seed=seed)[0].sum()) for seed in range(8)}
    assert found == {0, 1}


def test_what_the_chip_cannot_hold_is_refused_at_once() -> None:
    net = network()
    first, dense = net.layers
    slow = replace(first, neuron=replace(first.neuron, current_decay=900))
    recurrent = replace(dense, kind="dense_rec", recurrent_weight=np.eye(5, dtype=np.int32) * 2)
    with pytest.raises(NetworkRefused) as caught:
        speck_layers(replace(net, layers=(slow, recurrent), message_bits=3))
    said = " ".join(map(str, caught.value.refusals))
    for word in ("counts", "a current that decays", "recurrence"):
        assert word in said
    with pytest.raises(NetworkRefused, match=r"a threshold of .* at 8-bit weights"):
        speck_layers(network(threshold=90_000))
