"""Input neurons: read, run in the engine and in Lava alike, written again, skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from sdcl_neuro import load, run, verify
from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_netx, to_bundle, to_netx
from sdcl_neuro.conversion.targets.netx.input_neurons import (
    META,
    drive,
    input_layer,
    largest_count_bits,
)
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.network.notes import ASSUMED, notes_of
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.network.spike_file import write_spikes

# (stride, padding) of PilotNet's convolutions, all 3x3, on 66x200 (lava-dl's PilotNet LIF).
PILOTNET = [
    ((2, 2), (0, 0)),
    ((2, 2), (0, 0)),
    ((2, 2), (0, 0)),
    ((2, 1), (1, 0)),
    ((1, 1), (0, 0)),
]
WIDE, NARROW = (24, 36, 64, 64, 64), (4, 4, 6, 6, 6)


def _pilotnet(channels: Sequence[int], size: tuple[int, int], *, seed: int = 0) -> IntNetwork:
    """PilotNet's layout with random weights that let every layer fire."""
    rng = np.random.default_rng(seed)
    shape: tuple[int, ...] = (3, *size)
    neuron = IntNeuron(4096, 1024, 25)
    layers = [input_layer("input", shape, weight=36, bias=34, neuron=IntNeuron(1, 200, 300))]
    for index, (outputs, (stride, padding)) in enumerate(zip(channels, PILOTNET, strict=True)):
        weight = 2 * rng.integers(-20, 25, (outputs, shape[0], 3, 3)).astype(np.int32)
        geometry = Convolution(stride, padding)
        out = (outputs, *geometry.output_size((shape[1], shape[2]), (3, 3)))
        bias = rng.integers(-8, 9, outputs).astype(np.int32)
        layers.append(IntLayer(f"conv{index}", "conv", weight, neuron, shape, out, bias, geometry))
        shape = out
    for index, outputs in enumerate((100, 50, 10)):
        weight = 2 * rng.integers(-20, 25, (outputs, prod(shape))).astype(np.int32)
        layers.append(IntLayer(f"dense{index}", "dense", weight, neuron, shape, (outputs,)))
        shape = (outputs,)
    return IntNetwork((3, *size), tuple(layers), message_bits=5, meta={META: True})


def _counts(net: IntNetwork, *, steps: int, samples: int = 1, seed: int = 1) -> NDArray[np.uint8]:
    most = max(1, (1 << net.message_bits) - 1)
    rng = np.random.default_rng(seed)
    return rng.integers(0, most + 1, (steps, samples, *net.input_shape)).astype(np.uint8)


def _by_lava_dl(net: IntNetwork, path: Path, *, arrays: bool = False) -> None:
    """Write a file as lava-dl's own are: no schema, floats, and one-element arrays if asked."""
    to_netx(net, path)
    with h5py.File(path, "r+") as file:
        for name in list(file.attrs):
            del file.attrs[name]
        first = file["layer/0"]
        for name in ("weight", "bias"):
            value = float(first[name][()])
            del first[name]
            first[name] = np.array([value]) if arrays else value


def _oracle(net: IntNetwork, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lava's neuron driven by ``weight * x + bias``, written from its equations."""
    weight, bias = drive(net) or (0, 0)
    neuron = net.layers[0].neuron
    v = np.zeros(values.shape[1:], np.int64)
    spikes = np.zeros(values.shape, np.uint8)
    for step, row in enumerate(values.astype(np.int64)):
        decayed = np.sign(v) * ((np.abs(v) * (4096 - neuron.voltage_decay)) >> 12)
        v = np.clip(decayed + ((weight * row + bias) << 6), -(2**23) + 1, 2**23 - 1)
        spikes[step] = v > neuron.threshold << 6
        v[spikes[step] == 1] = 0
    return spikes


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
@pytest.mark.parametrize(("weight", "bias"), [(36, 34), (-60, 700), (255, 0), (64, -5)])
def test_input_neurons_compute_as_lava_writes_them(
    shape: tuple[int, ...], weight: int, bias: int
) -> None:
    layer = input_layer("in", shape, weight=weight, bias=bias, neuron=IntNeuron(7, 900, 500))
    net = IntNetwork(shape, (layer,), message_bits=4, meta={META: True})
    values = _counts(net, steps=30, samples=3)
    spikes = run_network(net, values).spikes[0]
    assert np.array_equal(spikes, _oracle(net, values))
    assert 0 < spikes.sum() < spikes.size


@pytest.mark.parametrize("arrays", [False, True])
def test_files_of_lava_dl_are_read_and_written_again(arrays: bool, tmp_path: Path) -> None:
    net = _pilotnet(NARROW, (66, 200))
    _by_lava_dl(net, tmp_path / "theirs.net", arrays=arrays)
    read = from_netx(tmp_path / "theirs.net", message_bits=5)
    assert read == net
    assert drive(read) == (36, 34)
    to_netx(read, tmp_path / "ours.net")
    again = from_netx(tmp_path / "ours.net")
    assert again == net
    assert again.layers[0].name == "input"
    with h5py.File(tmp_path / "ours.net") as file:
        assert file["layer/0/type"][0] == b"input"
        assert file["layer/0/neuron/vThMant"][()] == 300
        assert len(file["layer"]) == 10  # one flatten


def test_the_count_that_the_bias_can_hold_is_taken_where_none_is_stated(tmp_path: Path) -> None:
    net = _pilotnet(NARROW, (66, 200))
    _by_lava_dl(net, tmp_path / "m.net")
    read = from_netx(tmp_path / "m.net")
    assert read.message_bits == 6  # 36 * 63 + 34 is below 4096
    (note,) = notes_of(read.meta, ASSUMED)
    assert note.what == "counts of the input neurons below 64"
    assert not notes_of(from_netx(tmp_path / "m.net", message_bits=5).meta, ASSUMED)
    assert largest_count_bits(36, 34) == 6
    assert largest_count_bits(4095, 0) == 0
    assert largest_count_bits(1, 0) == 8
    with pytest.raises(NetworkRefused, match=r"13 signed bits.*message_bits of at most 6"):
        from_netx(tmp_path / "m.net", message_bits=8)


@pytest.mark.lava
@pytest.mark.parametrize(("samples", "steps"), [(1, 8), (3, 5)])
def test_pilotnets_layout_is_equal_in_engine_and_lava(
    samples: int, steps: int, tmp_path: Path
) -> None:
    net = _pilotnet(NARROW, (66, 200))
    _by_lava_dl(net, tmp_path / "m.net")
    values = _counts(net, steps=steps, samples=samples)
    certificate = verify(tmp_path / "m.net", spikes=values, against=["lava"], cache=False)
    (pair,) = certificate.pairs
    assert pair.holds
    assert len(pair.layers) == 9
    assert all(layer.spikes[0] > 0 for layer in pair.layers)


@pytest.mark.slow
@pytest.mark.lava
def test_pilotnet_at_its_own_width_is_equal_in_engine_and_lava() -> None:
    net = _pilotnet(WIDE, (66, 200))
    assert verify(net, spikes=_counts(net, steps=8), against=["lava"], cache=False).holds


@pytest.mark.lava
def test_recurrence_and_delays_behind_input_neurons() -> None:
    rng = np.random.default_rng(3)
    neuron = IntNeuron(2000, 500, 40)
    first = input_layer("in", (6,), weight=30, bias=10, neuron=IntNeuron(4096, 300, 90))
    weight = 2 * rng.integers(-20, 30, (7, 6)).astype(np.int32)
    square = 2 * rng.integers(-20, 20, (7, 7)).astype(np.int32)
    bias = np.full(7, 60, np.int32)
    loop = IntLayer("loop", "dense_rec", weight, neuron, (6,), (7,), bias, None, square)
    late = rng.integers(0, 4, (5, 7)).astype(np.int32)
    weight = 2 * rng.integers(-20, 30, (5, 7)).astype(np.int32)
    last = IntLayer("late", "dense", weight, neuron, (7,), (5,), bias[:5], None, None, late)
    net = IntNetwork((6,), (first, loop, last), message_bits=3, meta={META: True})
    values = _counts(net, steps=9, samples=3)
    assert verify(net, spikes=values, against=["lava"], cache=False).holds


def test_skipping_them_starts_behind(tmp_path: Path) -> None:
    net = _pilotnet(NARROW, (66, 200))
    to_netx(net, tmp_path / "m.net")
    rest = from_netx(tmp_path / "m.net", skip_input=True)
    assert rest.layers == net.layers[1:]
    assert rest.input_shape == (3, 66, 200)
    assert rest.message_bits == 0
    assert drive(rest) is None
    whole = run(net, _counts(net, steps=4))
    behind = run(rest, whole.spikes[0])
    assert all(np.array_equal(behind.spikes[k], whole.spikes[k + 1]) for k in behind.spikes)
    to_netx(rest, tmp_path / "rest.net")
    with pytest.raises(InputError, match="no input neurons to skip"):
        from_netx(tmp_path / "rest.net", skip_input=True)


@pytest.mark.lava
def test_a_file_read_behind_its_input_neurons_runs_so_in_lava(tmp_path: Path) -> None:
    net = _pilotnet(NARROW, (66, 200))
    to_netx(net, tmp_path / "m.net")
    spikes = run(net, _counts(net, steps=4)).spikes[0]
    rest = load(tmp_path / "m.net", skip_input=True)
    assert verify(rest, spikes=spikes, against=["lava"], cache=False).holds


def test_a_changed_first_layer_is_written_as_what_it_is(tmp_path: Path) -> None:
    net = _pilotnet(NARROW, (66, 200))
    kernel = net.layers[0].weight.copy()
    kernel[1] = 40
    changed = replace(net, layers=(replace(net.layers[0], weight=kernel), *net.layers[1:]))
    assert drive(changed) is None
    to_netx(changed, tmp_path / "m.net")
    assert from_netx(tmp_path / "m.net") == changed


def test_what_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    net = _pilotnet(NARROW, (66, 200))
    _by_lava_dl(net, tmp_path / "m.net")
    with h5py.File(tmp_path / "m.net", "r+") as file:
        del file["layer/0/weight"]
        file["layer/0/weight"] = 36.5
        del file["layer/0/neuron/vThMant"]
    with pytest.raises(NetworkRefused) as caught:
        from_netx(tmp_path / "m.net")
    said = [str(refusal) for refusal in caught.value.refusals]
    assert any("weight" in one and "36.5" in one for one in said)
    assert any("vThMant" in one for one in said)


def test_a_bundle_says_what_to_do(tmp_path: Path) -> None:
    net = _pilotnet(NARROW, (66, 200))
    with pytest.raises(NetworkRefused, match="skip_input"):
        to_bundle(net, _counts(net, steps=2), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_every_verb_takes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = _pilotnet(NARROW, (66, 200))
    path = str(tmp_path / "m.net")
    _by_lava_dl(net, Path(path))
    given = str(tmp_path / "in.npz")
    write_spikes(given, _counts(net, steps=2))
    out = str(tmp_path / "out.npz")
    calls = [
        ["run", path, "--spikes", given, "--out", out],
        ["verify", path, "--spikes", given, "--against", "snntorch-int", "--no-cache"],
        ["profile", path, "--spikes", given, "--hw", "loihi2"],
        ["convert", path, str(tmp_path / "again.net")],
        ["hw", "fit", path, "loihi2"],
    ]
    for call in calls:
        assert main(call) in {0, 1}, call
    assert from_netx(tmp_path / "again.net") == from_netx(path)
    rest = ["run", path, "--spikes", given, "--out", out, "--skip-input"]
    assert main(rest) == 2
    assert "takes at most 1" in capsys.readouterr().err
