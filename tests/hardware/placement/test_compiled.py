"""Loihi 2's compiler rule: by hand, against a count of every synapse, and where it is stretched."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import placement_oracle as oracle
from sdcl_neuro.engine import run_network
from sdcl_neuro.hardware import Quantity, load_profile
from sdcl_neuro.hardware.placement import Fit, fit
from sdcl_neuro.hardware.placement.chip import chip_of
from sdcl_neuro.hardware.placement.compiled import CompilerRule, compile_layers
from sdcl_neuro.hardware.placement.layers import populations
from sdcl_neuro.hardware.placement.packing import DenseFormat
from sdcl_neuro.hardware.placement.strategies import _placement, _uses
from sdcl_neuro.hardware.placement.usage import Core
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.profiling import profile
from sdcl_neuro.snn.branch_description import COMPACT, PAPER
from sdcl_neuro.testing import random_network

NEURON = IntNeuron(current_decay=4096, voltage_decay=100, threshold=10)


def dense(inputs: int, outputs: int) -> IntNetwork:
    weight = np.full((outputs, inputs), 2, dtype=np.int32)
    layer = IntLayer("head", "dense", weight, NEURON, (inputs,), (outputs,))
    return IntNetwork((inputs,), (layer,))


def conv(shape: tuple[int, int, int], channels: int) -> IntNetwork:
    """One 1x1 convolution, so that input and output have one size."""
    weight = np.full((channels, shape[0], 1, 1), 2, dtype=np.int32)
    layer = IntLayer(
        "conv", "conv", weight, NEURON, shape, (channels, *shape[1:]), convolution=Convolution()
    )
    return IntNetwork(shape, (layer,))


def cores(net: IntNetwork) -> int | None:
    return fit(net, "loihi2").cores


def test_words_of_a_dense_axon() -> None:
    # The log's allocations: 24 words for 100 synapses, 5 for 17.
    assert DenseFormat(15).axon_bits(100) == 24 * 64
    assert DenseFormat(15).axon_bits(17) == 5 * 64
    assert DenseFormat(15).axon_bits(1, delayed=True) == 64
    assert DenseFormat(15).axon_bits(3, delayed=True) == 2 * 64


def test_dense_layers_are_divided_until_they_fit() -> None:
    found = fit(dense(2560, 100), "loihi2")
    # 61,440 of 12,000 words: six parts of 17, 12,800 words each: twelve of 9.
    assert found.cores == 12
    assert found.layers[0].largest == (9, 1, 1)
    assert found.layers[0].loads["synapse_bits"].most == 2560 * 64 * ceil((9 * 15 + 10) / 64)
    assert found.layers[0].core_range == (5, 13)
    assert found.core_range == (5, 13)
    assert found.to_dict()["layers"][0]["cores_low"] == 5
    assert found.summary()["cores_high"] == 13
    assert cores(dense(100, 50)) == cores(dense(10, 1)) == 1
    assert cores(dense(1, 8193)) == 2  # neurons of a core


def test_a_single_neuron_that_does_not_fit_is_named() -> None:
    (broken,) = fit(dense(12_001, 2), "loihi2").broken
    assert (broken.limit, broken.value, broken.allowed) == (
        "synapse_memory_per_core", 12_001 * 64, 768_000,
    )  # fmt: skip
    assert fit(dense(12_000, 2), "loihi2").fits is True


@pytest.mark.parametrize(
    ("shape", "channels", "expected"),
    [
        ((3, 66, 200), 3, 13),  # PilotNet's, as its log has them
        ((24, 32, 99), 24, 25),
        ((36, 15, 49), 36, 13),
        ((48, 7, 24), 48, 3),
        ((64, 4, 22), 64, 3),
        ((64, 2, 20), 64, 2),
        ((2, 1, 2047), 2, 2),  # 1024 columns; a block of 2048 would be one neuron too many
        ((2, 1, 1024), 2, 1),
        ((1, 5, 1), 1, 1),
    ],
)
def test_convolutions_are_cut_by_powers_of_two(
    shape: tuple[int, int, int], channels: int, expected: int
) -> None:
    found = fit(conv(shape, channels), "loihi2")
    assert found.cores == expected
    assert found.core_range == (expected, expected)
    largest = found.layers[0].largest
    assert largest is not None
    assert largest[:2] == (channels, shape[1])


def test_columns_too_large_for_a_core_are_said() -> None:
    found = fit(conv((1, 1024, 3), 8), "loihi2")
    assert found.layers[0].largest == (8, 256, 1)
    assert found.cores == 4 * 3
    assert "conv: a single column is too large" in str(found)
    assert "a single column" not in str(fit(PAPER, "loihi2", size=(256, 128)))


def test_kernels_too_large_for_a_core_cut_the_channels() -> None:
    # 512 x 512 weights of 8 bits are 2,097,152 bits, of which a core holds 768,000.
    found = fit(conv((512, 1, 1), 512), "loihi2")
    assert found.fits is True
    assert found.layers[0].largest == (128, 1, 1)
    assert found.cores == 4


def test_the_fit_says_where_the_rule_is_from_and_what_hangs() -> None:
    found = fit(PAPER, "loihi2", size=(128, 64))
    notes = " ".join(found.notes)
    assert "one version of the compiler" in notes
    assert "2023" in notes
    assert "Lava issue 826" in notes
    assert "128x64x2" in notes
    small = fit(COMPACT, "loihi2", size=(57, 58))
    assert "826" not in str(small)
    assert "826" in str(fit(COMPACT, "loihi2", size=(58, 58)))
    assert "826" not in str(fit(PAPER, "loihi1", size=(128, 64)))
    assert "826" not in str(fit(dense(7000, 3), "loihi2"))
    assert "15 to 20 bits" in str(fit(dense(10, 3), "loihi2"))


def test_paper_no_longer_fits_one_chip_at_full_size() -> None:
    found = fit(PAPER, "loihi2", size=(256, 128))
    assert (found.fits, found.cores, found.chips) == (False, 256, 3)
    assert fit(PAPER, "kapoho_point", size=(256, 128)).fits is True


def test_flat_input_neurons_are_no_matrix() -> None:
    # MNIST's 784 input neurons in a netx file: one weight each, not 784 x 784.
    weight = np.diag(np.full(784, 64, dtype=np.int32))
    first = IntLayer("input", "dense", weight, NEURON, (784,), (784,))
    net = IntNetwork((784,), (first, dense(784, 64).layers[0]))
    found = fit(net, "loihi2")
    assert [layer.cores for layer in found.layers] == [1, 2]
    assert found.layers[0].synapses == 784
    assert found.input_shape == (784,)
    assert fit(net, "loihi1").fits is True
    spikes = (np.random.default_rng(0).random((4, 1, 784)) < 0.2).astype(np.uint8)
    counted = profile(net, spikes, hw="loihi2")
    assert counted.layers[0].synops_nonzero == int(spikes.sum())
    even = profile(net, record=replace(run_network(net, spikes), spikes={}), hw="loihi2")
    slow, mean = (p.targets["loihi2"].latency.stream_step_us for p in (counted, even))
    assert slow is not None
    assert mean is not None
    assert mean.low <= slow.high
    assert slow.low <= mean.high


def test_unshared_kernels_and_other_chips_are_cut_as_before() -> None:
    found = fit(COMPACT, "loihi2", size=(64, 32), shared_kernels=False)
    assert "version of the compiler" not in str(found)
    hw = load_profile("loihi2")
    other = replace(hw, limits={k: v for k, v in hw.limits.items() if k != "cutting"})
    assert chip_of(other).rule is None
    words = Quantity("", text="by whim", kind="code", source="a test")
    assert chip_of(replace(hw, limits={**hw.limits, "cutting": words})).rule is None
    assert chip_of(hw).rule is not None


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    room=st.sampled_from([3, 9, 40]),
    memory=st.sampled_from([1000, 8000, 10**9]),
)
def test_every_tile_counted_by_synapses(seed: int, room: int, memory: int) -> None:
    layers = populations(random_network(seed))
    limits = {"neurons": 2 * room, "synapse_bits": memory}
    core = Core(limits, None, shared=True, dense_format=DenseFormat(15))
    rule = CompilerRule(room, (15, 20), "a test")
    done = compile_layers(layers, core, rule)
    cuts = [entry.cut for entry in done]
    chip = replace(chip_of(load_profile("loihi2")), core=core, cores=6, rule=rule)
    uses = [tile for tiles in _uses(chip, layers, cuts) for tile in tiles]
    placement = _placement(chip, layers, cuts, [use["synapses"] for use in uses])
    tiles = list(placement.tiles)
    counted, sends, _ = oracle.count(list(layers), tiles, pooled=False)
    assert len(oracle.owner(tiles)) == sum(layer.neurons for layer in layers)
    for use, own, tile in zip(uses, counted, tiles, strict=True):
        for name in ("neurons", "synapses"):
            assert use[name] == own[name], name
        layer = layers[tile.layer]
        assert tile.neurons <= (room if layer.kind == "conv" else 2 * room)
        if layer.kind != "conv":
            assert use["axons_in"] == own["axons_in"]
            each = 15 + (6 if layer.delay else 0)
            words = ceil((each * tile.neurons + 10) / 64)
            assert use["synapse_bits"] == own["axons_in"] * words * 64
        else:
            wide = prod(cuts[tile.layer].largest)
            assert wide <= room
    assert {(k.source, k.target): k.neurons for k in placement.links} == sends
    for entry in done:
        for name, value in entry.broken.items():
            assert value > limits[name]
            assert name == "synapse_bits"


def test_every_fit_with_a_rule_answers_in_json(tmp_path: Path) -> None:
    found = fit(COMPACT, "hala_point", size=(64, 32))
    assert isinstance(found, Fit)
    assert found.to_json(tmp_path / "fit.json")
    assert found.core_range == (3, 3)
