"""Speck's integers: exact where nothing is rounded; sinabs' own neurons; what is refused."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sdcl_neuro.conversion.targets.speck.configuration import core_settings, speck_configuration
from sdcl_neuro.conversion.targets.speck.layers import SpeckLayer, speck_layers
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import EnvironmentFault, NetworkRefused
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.schemas import check_document
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
    side, (_, height, width) = layer.pool, layer.in_shape
    whole = spikes.reshape(steps, samples, layer.in_shape[0], height * side, width * side)
    summed = whole.reshape(*whole.shape[:3], height, side, width, side).sum(axis=(4, 6))
    padded = np.pad(
        summed.astype(np.int64),
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


def pooled() -> IntNetwork:
    """Groups; a kernel and a matrix that hold 2x2 poolings, the second one of a convolution."""
    rng = np.random.default_rng(1)

    def even(*shape: int) -> np.ndarray:
        return (2 * rng.integers(-9, 16, shape)).astype(np.int32)

    neuron, window = IntNeuron(4096, 0, 31), np.ones((2, 2), np.int32)
    first = IntLayer(
        "grouped", "conv", even(4, 2, 3, 3), neuron, (4, 12, 12), (4, 12, 12),
        bias=even(4), convolution=Convolution((1, 1), (1, 1), (1, 1), 2),
    )  # fmt: skip
    second = IntLayer(
        "pooled", "conv", np.kron(even(6, 4, 3, 3), window), neuron, (4, 12, 12), (6, 6, 6),
        convolution=Convolution((2, 2), (2, 2)),
    )  # fmt: skip
    kernel, matrix = even(3, 6, 3, 3), np.zeros((3, 3, 3, 6, 3, 3), np.int32)
    for y, x, a, b in np.ndindex(3, 3, 3, 3):
        if 0 <= y + a - 1 < 3 and 0 <= x + b - 1 < 3:
            matrix[:, y, x, :, y + a - 1, x + b - 1] = kernel[:, :, a, b]
    dense = np.kron(matrix.reshape(27, 6, 3, 3), window).reshape(27, -1)
    third = IntLayer(
        "matrix", "dense", dense, neuron, (6, 6, 6), (27,),
        bias=np.repeat(even(3), 9),
    )  # fmt: skip
    return IntNetwork((4, 12, 12), (first, second, third), 0, {})


def test_the_chips_own_pooling_and_kernels_are_taken_out_of_the_weights() -> None:
    net = pooled()
    layers = speck_layers(net)
    assert [layer.pool for layer in layers] == [1, 2, 2]
    assert [layer.weight.shape for layer in layers] == [(4, 4, 3, 3), (6, 4, 3, 3), (3, 6, 3, 3)]
    assert [layer.out_shape for layer in layers] == [(4, 12, 12), (6, 6, 6), (3, 3, 3)]
    assert len({layer.core for layer in layers}) == 3
    spikes = random_spikes(net, 2, steps=8, samples=2, rate=0.2)
    expected, given = run_network(net, spikes).spikes, spikes
    for index, layer in enumerate(layers):
        given = loop(layer, given)
        assert given.any()
        np.testing.assert_array_equal(given.reshape(expected[index].shape), expected[index])


def test_biases_that_differ_within_a_channel_are_refused() -> None:
    net = pooled()
    uneven = replace(net.layers[2], bias=np.arange(0, 54, 2, dtype=np.int32))
    with pytest.raises(NetworkRefused, match="biases that differ within a channel"):
        speck_layers(replace(net, layers=(*net.layers[:2], uneven)))


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
    assert check_document(value) == ("sdcl_neuro.speck 1", ())
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
def test_sinabs_pools_as_the_chip_does() -> None:
    from sdcl_neuro.conversion.targets.speck.module import SpeckModule, run_events, run_steps

    net = pooled()
    module = SpeckModule(speck_layers(net))
    spikes = random_spikes(net, 2, steps=6, samples=1, rate=0.1)
    expected, found = run_network(net, spikes).spikes, run_steps(module, spikes)
    for index, layer in enumerate(found):
        assert layer.any()
        np.testing.assert_array_equal(layer.reshape(expected[index].shape), expected[index])
    assert [one.shape for one in run_events(module, spikes)] == [one.shape for one in found]


class _Recorded:
    """Takes every attribute, as samna's configuration does, and makes what is not there yet."""

    def __init__(self) -> None:
        self.__dict__["items"] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.__dict__.setdefault(name, _Recorded())

    def __getitem__(self, index: int) -> Any:
        return self.__dict__["items"].setdefault(index, _Recorded())

    def plain(self) -> Any:
        """What was set."""
        found = {**self.__dict__, **self.__dict__["items"]}
        found.pop("items")
        return {
            key: value.plain() if isinstance(value, _Recorded) else value
            for key, value in found.items()
        }


@pytest.fixture
def samna(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for samna's names: its wheel downloads itself when it is imported."""

    class Names(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {}) if name[0].isupper() else Names(name)

    for name in ("samna", "samnagui", "samna.speck2e", "samna.speck2f"):
        monkeypatch.setitem(sys.modules, name, Names(name))
    for chip in ("speck2e", "speck2f"):
        module = Names(f"samna.{chip}.configuration")
        module.SpeckConfiguration = _Recorded  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)


@needs_sinabs
@pytest.mark.usefixtures("samna")
def test_the_configuration_is_the_one_that_sinabs_builds() -> None:
    """sinabs' own builder, given the same integers, sets the same values."""
    import torch
    from sinabs import activation
    from sinabs.backend.dynapcnn.chips.speck2f import Speck2FConfigBuilder
    from sinabs.backend.dynapcnn.dynapcnn_layer import DynapcnnLayer
    from sinabs.layers import IAFSqueeze

    layers = speck_layers(pooled())
    theirs = {}
    for index, layer in enumerate(layers):
        outputs, inputs, *size = layer.weight.shape
        convolution = torch.nn.Conv2d(
            inputs, outputs, tuple(size), layer.stride, layer.padding,
            bias=layer.bias is not None,
        )  # fmt: skip
        convolution.weight.data = torch.from_numpy(layer.weight).float()
        if layer.bias is not None:
            convolution.bias.data = torch.from_numpy(layer.bias).float()
        neuron = IAFSqueeze(
            spike_threshold=torch.tensor(float(layer.threshold)), batch_size=1,
            reset_fn=activation.MembraneReset(), min_v_mem=-32_767.0,
        )  # fmt: skip
        pool = layers[index + 1].pool if index + 1 < len(layers) else 1
        theirs[index] = DynapcnnLayer(
            convolution, neuron, layer.in_shape, [(pool, pool)], discretize=False
        )
    cores = {index: layer.core for index, layer in enumerate(layers)}
    built = Speck2FConfigBuilder.build_config(theirs, cores, {0: [1], 1: [2], 2: [-1]})
    expected = built.plain()
    ours = speck_configuration(layers).plain()
    assert ours["cnn_layers"][layers[-1].core].pop("monitor_enable") is True
    assert expected["cnn_layers"][layers[-1].core].pop("monitor_enable") is False
    for one in expected["cnn_layers"].values():
        one["leak_enable"] = bool(one["leak_enable"])
    assert ours == expected
    assert set(ours["cnn_layers"]) == set(core_settings(layers)) == {one.core for one in layers}


def test_without_samna_one_line_says_so() -> None:
    if importlib.util.find_spec("samna") is not None:
        pytest.skip("samna is installed")
    with pytest.raises(EnvironmentFault, match="samna"):
        speck_configuration(speck_layers(network()))


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
