"""Fits counted by hand, every limit broken alone, and the shapes that scripts rely on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.errors import CheckFailed, InputError
from sdcl_neuro.hardware import HardwareProfile, Quantity, list_profiles, load_profile
from sdcl_neuro.hardware.placement import Fit, fit
from sdcl_neuro.hardware.placement.packing import (
    SynapseFormat,
    population_slots,
    speck_kernel_entries,
    speck_neuron_entries,
)
from sdcl_neuro.network.spec import Convolution, FloatNetwork, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.snn.branch_description import COMPACT, PAPER, BranchDescription, ConvolutionSpec
from sdcl_neuro.snn.event_branch import EventBranch

NEUROMORPHIC = [name for name in list_profiles() if load_profile(name).family == "neuromorphic"]
NEURON = IntNeuron(current_decay=4096, voltage_decay=100, threshold=10)


def dense(
    inputs: int, outputs: int, *, kind: str = "dense", delay: int = 0, weight: int = 254
) -> IntLayer:
    weights = np.full((outputs, inputs), weight, dtype=np.int32)
    weights[0, 0] = 2
    return IntLayer(
        "head",
        kind,  # type: ignore[arg-type]
        weights,
        NEURON,
        (inputs,),
        (outputs,),
        recurrent_weight=np.full((outputs,) * 2, 2, dtype=np.int32) if kind != "dense" else None,
        delay=np.full((outputs, inputs), delay, dtype=np.int32) if delay else None,
    )


def conv(channels: int, size: tuple[int, int], *, kernel: int = 3, **geometry: object) -> IntLayer:
    where = Convolution(**geometry)  # type: ignore[arg-type]
    return IntLayer(
        "conv",
        "conv",
        np.full((channels, 2, kernel, kernel), 254, dtype=np.int32),
        NEURON,
        (2, *size),
        (channels, *where.output_size(size, (kernel, kernel))),
        convolution=where,
    )


def one(layer: IntLayer) -> IntNetwork:
    return IntNetwork(layer.in_shape, (layer,))


def limits_of(found: Fit) -> list[tuple[str, str]]:
    return [(entry.limit, entry.where) for entry in found.broken]


def test_packing_by_hand() -> None:
    packing = SynapseFormat(8, (0, 6, 7, 8, 9, 10, 11, 12))
    # 64 * 8 + 10 = 522 bits are 9 words; 6 more synapses with a head are 58 bits, one word.
    assert packing.axon_bits(64) == 9 * 64
    assert packing.axon_bits(70) == 10 * 64
    assert packing.axon_bits(1, 6) == 64
    assert packing.axon_bits(0) == 0
    assert [packing.index_bits(largest) for largest in (0, 1, 63, 64, 4095)] == [0, 6, 6, 7, 12]
    assert packing.index_bits(4096) == float("inf")
    # 2 channels: 10 bits of axon; 64 channels need a sixth atom bit, which is taken from them.
    assert [population_slots(1024, 2), population_slots(1025, 2)] == [1, 2]
    assert [population_slots(512, 64), population_slots(513, 64)] == [1, 2]
    assert population_slots(1, 513) == 2


def test_speck_formulas_by_hand() -> None:
    assert speck_kernel_entries(2, 8, (5, 5)) == 2 * 2 ** (5 + 3)
    assert speck_kernel_entries(3, 9, (1, 1)) == 3 * 2**4
    assert speck_neuron_entries(8, (33, 16)) == 8 * 2 ** (6 + 4)


def test_compact_branch_on_loihi_1_by_hand() -> None:
    found = fit(COMPACT, "loihi1", size=(64, 32))
    assert found.fits is True
    first, second = found.layers
    # 8 x 32 x 16 neurons in four cores, 16 x 16 x 8 in two
    assert (first.cores, first.parts, first.largest) == (4, (1, 4, 1), (8, 8, 16))
    assert (second.cores, second.parts, second.largest) == (2, (1, 2, 1), (16, 8, 8))
    # Eight rows at stride 2 under a 5x5 kernel see 19 rows of 32 pixels
    assert first.loads["axons_in"].most == 19 * 32
    # Rows 15 and 16 are in parts 1 and 2; row 15 alone is seen by both cores behind
    assert first.loads["axons_out"].most == 8 * 16 * 9
    assert second.loads["axons_in"].most == 17 * 16
    assert (found.cores, found.chips) == (6, 1)


def test_unshared_kernels_cost_more() -> None:
    shared = fit(one(conv(4, (6, 6))), "loihi1")
    apart = fit(one(conv(4, (6, 6))), "loihi1", shared_kernels=False)
    load = apart.layers[0].loads
    # 72 input neurons; their 3x3 kernels reach 16 pixels: taps 1, 2, 3, 3, 2, 1 along each axis.
    taps = [a * b for a in (1, 2, 3, 3, 2, 1) for b in (1, 2, 3, 3, 2, 1)]
    words = [-(-(4 * n * (8 + 6) + 10) // 64) for n in taps]
    assert load["synapse_bits"].most == 2 * 64 * sum(words)
    assert load["axons_in"].most == 72
    # Shared: an axon a pixel for both channels; its weights once for each of 5 x 5 patterns
    assert shared.layers[0].loads["axons_in"].most == 36
    kinds = [a * b for a in (1, 2, 3, 2, 1) for b in (1, 2, 3, 2, 1)]
    expected = sum(-(-(8 * n * (8 + 6) + 10 * (-(-8 * n // 64))) // 64) for n in kinds)
    assert shared.layers[0].loads["synapse_bits"].most == pytest.approx(64 * expected, abs=64 * 25)
    assert shared.layers[0].loads["synapse_bits"].most < load["synapse_bits"].most


def test_dense_layer_is_cut_by_memory() -> None:
    found = fit(one(dense(4000, 600)), "loihi1")
    assert found.fits is True
    (layer,) = found.layers
    # 1,048,576 bits for 4000 axons are 262 bits each, four words: 246 bits of synapses, 30 a core
    assert layer.largest == (30, 1, 1)
    assert layer.cores == 20
    assert layer.loads["synapse_bits"].most == 4000 * 4 * 64


def test_what_no_cut_mends_is_named_and_the_rest_placed() -> None:
    found = fit(one(dense(5000, 300)), "loihi1")
    assert found.fits is False
    (broken,) = found.broken
    assert (broken.limit, broken.where) == ("axons_in_per_core", "head")
    assert (broken.value, broken.allowed, broken.excess) == (5000, 4096, 904)
    assert "no cut lowers this" in broken.hint
    assert found.layers[0].cores is not None
    with pytest.raises(CheckFailed, match="904 too many"):
        found.require()


def test_recurrence_takes_axons_to_every_core() -> None:
    found = fit(one(dense(10, 2000, kind="dense_rec")), "loihi1")
    (layer,) = found.layers
    assert layer.cores is not None
    assert layer.loads["axons_in"].most == 2010
    tile = layer.loads["neurons"].most
    assert layer.loads["axons_out"].most == layer.cores * tile
    assert found.placement is not None
    assert len(found.placement.links) == layer.cores**2


@pytest.mark.parametrize(
    ("layer", "hw", "limit"),
    [
        (dense(4, 4, delay=63), "loihi1", "delay"),
        (dense(4, 4), "akd1000", "weight_bits"),
        (dense(300, 4), "truenorth", "fan_in"),
        (dense(4, 300), "truenorth", "fan_out"),
        (dense(17, 4), "xylo_imu", "inputs"),
        (dense(4, 17), "xylo_imu", "outputs"),
        (dense(4, 600), "brainscales2", "neurons_per_chip"),
        (conv(8, (129, 8), stride=(2, 2)), "speck2e", "input_size"),
        (conv(8, (80, 8)), "speck2e", "output_size"),
        (conv(1025, (4, 4)), "speck2e", "channels"),
        (conv(2, (20, 20), kernel=17), "speck2e", "kernel_size"),
        (conv(2, (8, 8), stride=(3, 1)), "speck2e", "stride"),
        (conv(2, (8, 8), kernel=9, padding=(8, 8)), "speck2e", "padding"),
        (conv(512, (20, 20), kernel=8), "speck2e", "kernel_entries"),
        (conv(32, (64, 64), padding=(1, 1)), "speck2e", "neuron_entries"),
    ],
)
def test_each_limit_can_break(layer: IntLayer, hw: str, limit: str) -> None:
    found = fit(one(layer), hw)
    assert found.fits is False
    assert limit in [name for name, _ in limits_of(found)]
    assert all(entry.hint for entry in found.broken)


def test_weight_width_is_what_the_weights_need() -> None:
    assert fit(one(dense(4, 4, weight=6)), "akd1000").fits is None
    (broken,) = fit(one(dense(4, 4, weight=254)), "akd1000").broken
    assert (broken.value, broken.allowed) == (8, 4)


def test_speck_cores_go_to_the_layers_that_need_them() -> None:
    # Only cores 0 to 2 hold 64 Ki neurons, only 5 and 6 hold 64 Ki kernel entries.
    wide, deep = ConvolutionSpec(16, 3, 1, 1), ConvolutionSpec(256, 3, 8, 1)
    found = fit(BranchDescription((wide, wide, wide, deep)), "speck2e", size=(64, 64))
    assert found.fits is True
    assert found.placement is not None
    taken = [seat.core for seat in found.placement.seats]
    assert sorted(taken[:3]) == [0, 1, 2]
    assert taken[3] in (5, 6)
    many = fit(BranchDescription((wide,) * 4), "speck2e", size=(64, 64))
    assert limits_of(many) == [("cores", "network")]
    (broken,) = many.broken
    assert (broken.value, broken.allowed) == (4, 3)


def test_more_chips_than_there_are() -> None:
    found = fit(PAPER, "loihi1", size=(256, 128))
    assert limits_of(found) == [("cores", "network")]
    assert (found.cores, found.chips, found.chips_available) == (512, 4, 1)
    assert "take 4 chips" in found.broken[0].hint


def test_long_delays_leave_the_verdict_open() -> None:
    assert fit(one(dense(4, 4, delay=8)), "loihi1").fits is True
    found = fit(one(dense(4, 4, delay=20)), "loihi1")
    assert found.fits is None
    assert "room for fewer neurons" in found.reason


@pytest.mark.parametrize("name", NEUROMORPHIC)
def test_every_chip_answers_in_words_and_json(name: str, tmp_path: Path) -> None:
    found = fit(COMPACT, name, size=(64, 32))
    data = json.loads(found.to_json(tmp_path / "fit.json"))
    assert json.loads((tmp_path / "fit.json").read_text()) == data
    assert data["schema"] == {"name": "sdcl_neuro.fit", "version": 1}
    assert data["fits"] is found.fits
    assert (data["fits"] is False) == bool(data["broken"])
    assert ("reason" in data) == (found.fits is not True)
    assert all(entry["reason"] for entry in data["unchecked"])
    assert [layer["name"] for layer in data["layers"]] == ["conv1", "conv2"]
    assert found == fit(COMPACT, name, size=(64, 32))
    for layer in found.layers:
        assert layer.name in str(found)
    for entry in found.broken:
        assert entry.limit in str(found)


def test_a_description_an_untrained_network_and_integers_agree() -> None:
    branch = EventBranch(COMPACT)
    described = fit(COMPACT, "loihi1", size=(64, 32))
    floating = branch.float_network((64, 32))
    assert fit(floating, "loihi1") == described
    from sdcl_neuro.conversion import quantize

    integer = fit(quantize(floating), "loihi1")
    assert integer.layers == described.layers
    assert integer.placement == described.placement


def test_unknown_is_never_invented() -> None:
    hw = load_profile("loihi1")
    hidden = Quantity("neurons", unknown="secret")
    bare = replace(hw, limits={**hw.limits, "neurons_per_core": hidden})
    found = fit(COMPACT, bare, size=(64, 32))
    assert found.fits is None
    assert found.cores is None
    assert "secret" in found.reason
    assert found.placement is None


def test_a_users_own_chip(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'schema = 1\nextends = "loihi1"\nname = "mine"\ntitle = "Mine"\n[limits]\n'
        'neurons_per_core = { value = 100, unit = "neurons", kind = "code", '
        'source = "nengo_block" }\n'
    )
    found = fit(COMPACT, tmp_path / "mine.toml", size=(64, 32))
    assert found.layers[0].loads["neurons"].most <= 100
    assert found.cores is not None
    assert found.cores >= 62


def test_wrong_uses_are_refused() -> None:
    with pytest.raises(InputError, match="dense reference"):
        fit(COMPACT, "h200", size=(64, 32))
    with pytest.raises(InputError, match="without its input's size"):
        fit(COMPACT, "loihi1")
    with pytest.raises(InputError, match="its own input size"):
        fit(one(dense(2, 2)), "loihi1", size=(2, 2))
    with pytest.raises(InputError, match="leaves nothing"):
        fit(BranchDescription((ConvolutionSpec(1, 9),)), "loihi1", size=(4, 4))
    with pytest.raises(InputError, match="without layers"):
        fit(FloatNetwork((1,), ()), "loihi1")
    with pytest.raises(InputError, match="is not a network"):
        fit("model", "loihi1")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="does not share kernels"):
        fit(COMPACT, "truenorth", size=(64, 32), shared_kernels=True)
    wrong = replace(dense(7, 2), in_shape=(7,))
    with pytest.raises(InputError, match="conv gives"):
        fit(IntNetwork((2, 6, 6), (conv(4, (6, 6)), wrong)), "loihi1")


def test_giants_are_counted_or_refused_quickly() -> None:
    hw = load_profile("loihi1")
    one_each = Quantity("neurons", low=4, high=4, kind="code", source="a test")
    small = replace(hw, limits={**hw.limits, "neurons_per_core": one_each})
    many = fit(PAPER, small, size=(256, 128))
    assert many.placement is None
    assert many.cores == 2 * 262144 // 4
    assert many.chips == 1024
    assert many.fits is False
    for channels, size in ((8, (99999, 99999)), (10**9, (8, 8))):
        with pytest.raises(InputError, match="place a part"):
            fit(BranchDescription((ConvolutionSpec(channels, 3),)), "loihi1", size=size)


def test_profile_is_read_only_by_its_figures() -> None:
    hw = load_profile("loihi1")
    assert isinstance(hw, HardwareProfile)
    assert fit(COMPACT, hw, size=(64, 32)) == fit(COMPACT, "loihi1", size=(64, 32))
