"""Spikes recorded elsewhere against a file's own run: aligned, compared, explained."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.conversion.parity.alignment import align, find_shift
from sdcl_neuro.conversion.parity.source_check import WITHOUT
from sdcl_neuro.conversion.parity.verify import RandomInput, verify
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.network.spec import IntLayer, IntNetwork
from sdcl_neuro.network.spike_file import read_layers, read_spikes, write_spikes

Spikes = NDArray[np.uint8]
Fault = Callable[[IntLayer], IntLayer]
STEPS = 14


@pytest.fixture
def given() -> Spikes:
    return RandomInput(steps=STEPS, samples=3, rate=0.3, seed=4).draw((2, 8, 7))


@pytest.fixture
def layers(int_net: IntNetwork, given: Spikes) -> dict[int, Spikes]:
    """The right spikes of every layer, made by the plain dense path."""
    return dict(run_network(int_net, given, path="reference").spikes)


def _late(spikes: Spikes, steps: int, *, longer: bool = False) -> Spikes:
    """The same, recorded late; cut at the end as a recording of the same length is."""
    later = np.concatenate([np.zeros_like(spikes[:steps]), spikes])
    return later if longer else later[: len(spikes)]


def _certify(net: IntNetwork, given: Spikes | None, recorded: Any, **options: Any) -> Any:
    return verify(net, spikes=given, recorded=recorded, cache=False, **options)


@pytest.mark.parametrize("ending", [".npz", ".h5"])
def test_what_run_writes_is_compared(
    ending: str, int_net: IntNetwork, given: Spikes, layers: Mapping[int, Spikes], tmp_path: Path
) -> None:
    file = tmp_path / f"board{ending}"
    write_spikes(file, layers)
    certificate = _certify(int_net, given, file)
    (pair,) = certificate.pairs  # no other backend is run of its own accord
    assert pair.backends == ("loihi", "recorded")
    assert (pair.kind, pair.holds, certificate.exit_code) == ("exact", True, 0)
    assert certificate.not_checked == (WITHOUT,)
    assert certificate.assumed == ()
    assert [layer.shift for layer in pair.layers] == [0, 0]
    assert [layer.compared for layer in pair.layers] == [layers[k].size for k in (0, 1)]
    assert [layer.spikes[1] for layer in pair.layers] == [int(layers[k].sum()) for k in (0, 1)]
    assert certificate.recorded["name"] == file.name
    assert certificate.recorded["shift"] is None


def test_the_input_may_be_recorded_too(
    int_net: IntNetwork, given: Spikes, layers: Mapping[int, Spikes], tmp_path: Path
) -> None:
    file = tmp_path / "board.npz"
    np.savez_compressed(file, spikes=given, **{f"layer_{k}": v for k, v in layers.items()})
    certificate = _certify(int_net, None, file)
    assert certificate.holds
    assert certificate.spikes["source"] == "as recorded"
    assert _certify(int_net, given, file).spikes["source"] == "given"
    with pytest.raises(InputError, match=r"board\.npz: was recorded on another input"):
        _certify(int_net, 1 - given, file)


def test_a_wrong_spike_is_found_with_its_place(
    int_net: IntNetwork, given: Spikes, layers: dict[int, Spikes]
) -> None:
    layers[1] = layers[1].copy()
    layers[1][9, 2, 4] ^= 1
    layers[1][11, 0, 0] ^= 1
    certificate = _certify(int_net, given, layers)
    assert certificate.exit_code == 1
    first, second = certificate.pairs[0].layers
    assert first.mismatches == 0
    assert second.mismatches == 2
    assert (second.first.step, second.first.sample, second.first.neuron) == (9, 2, (4,))
    assert second.first.cause == "unknown"
    assert "PARITY BROKEN" in str(certificate)


@pytest.mark.parametrize("delays", [(0, 0), (1, 2), (3, 3)])
@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (lambda la: replace(la, neuron=replace(la.neuron, threshold=201)), "threshold: one too la"),
        (lambda la: replace(la, bias=None), "bias: left out"),
    ],
)
def test_the_cause_is_found_behind_any_delay(
    delays: tuple[int, int], fault: Fault, cause: str, int_net: IntNetwork, given: Spikes
) -> None:
    first, second = int_net.layers
    theirs = run_network(replace(int_net, layers=(fault(first), second)), given).spikes
    late = {k: _late(theirs[k], delays[k]) for k in (0, 1)}
    certificate = _certify(int_net, given, late)
    one, two = certificate.pairs[0].layers
    assert certificate.exit_code == 1
    assert cause in one.first.cause
    assert two.first is None or two.first.cause == "follows from layer 0 (first)"
    assert (one.shift, two.shift) == delays


@pytest.mark.parametrize("longer", [False, True])
@pytest.mark.parametrize("delays", [(1, 2), (4, 4), (0, 3)])
def test_a_delay_is_found_stated_and_taken_out(
    delays: tuple[int, int],
    longer: bool,
    int_net: IntNetwork,
    given: Spikes,
    layers: Mapping[int, Spikes],
) -> None:
    late = {k: _late(layers[k], delays[k], longer=longer) for k in (0, 1)}
    certificate = _certify(int_net, given, late)
    assert certificate.holds
    parity = certificate.pairs[0].layers
    assert tuple(layer.shift for layer in parity) == delays
    lost = [0 if longer else delay for delay in delays]
    assert [layer.compared for layer in parity] == [
        layers[k].size // STEPS * (STEPS - lost[k]) for k in (0, 1)
    ]
    assert (certificate.not_checked == (WITHOUT,)) == (not any(lost))
    for k, name in enumerate(("first", "second")):
        assert any(
            f"layer {k} ({name}), its last {number_of(lost[k], 'step')}" == note.what
            for note in certificate.not_checked
        ) == bool(lost[k])
        late_by = number_of(delays[k], "step")
        assumed = f"layer {k} ({name}) was recorded {late_by} late"
        assert (assumed in [note.what for note in certificate.assumed]) == bool(delays[k])
        if delays[k]:
            assert f"recorded {late_by} late, taken out" in str(certificate)
    stated = _certify(int_net, given, late, recorded_shift=delays)
    assert stated.holds
    assert stated.assumed == ()
    assert stated.recorded["shift"] == list(delays)
    assert not _certify(int_net, given, late, recorded_shift=0).holds


def test_a_recording_that_begins_late_is_compared_from_there(
    int_net: IntNetwork, given: Spikes, layers: Mapping[int, Spikes]
) -> None:
    cut = {k: values[3:] for k, values in layers.items()}
    certificate = _certify(int_net, given, cut)
    assert certificate.holds
    assert [layer.shift for layer in certificate.pairs[0].layers] == [-3, -3]
    assert "layer 0 (first), its first 3 steps" in [n.what for n in certificate.not_checked]
    wrong = {k: values.copy() for k, values in cut.items()}
    wrong[0][0, 1, 2, 3, 4] ^= 1
    first = _certify(int_net, given, wrong, recorded_shift=-3).pairs[0].layers[0].first
    assert (first.step, first.sample, first.neuron) == (3, 1, (2, 3, 4))


def test_spikes_outside_of_our_run_are_counted_not_dropped(
    int_net: IntNetwork, given: Spikes, layers: Mapping[int, Spikes]
) -> None:
    early = {k: _late(v, 2, longer=True) for k, v in layers.items()}
    early[1][1, 0, :5] = 1
    certificate = _certify(int_net, given, early)
    assert certificate.holds
    without, note = certificate.not_checked
    assert without == WITHOUT
    assert note.what == "5 spikes of layer 1 (second)"


def test_a_missing_layer_is_not_checked(
    int_net: IntNetwork, given: Spikes, layers: Mapping[int, Spikes]
) -> None:
    certificate = _certify(int_net, given, {1: layers[1]})
    assert certificate.holds
    assert [layer.index for layer in certificate.pairs[0].layers] == [1]
    without, note = certificate.not_checked
    assert without == WITHOUT
    assert (note.what, note.reason) == ("layer 0 (first)", "not in recorded")
    second = int_net.layers[1]
    faulty = replace(second, weight=second.weight * 2)
    theirs = run_network(replace(int_net, layers=(int_net.layers[0], faulty)), given).spikes
    found = _certify(int_net, given, {1: theirs[1]})
    assert found.exit_code == 1
    assert "weights: twice as large" in found.pairs[0].layers[0].first.cause
    assert "layer 0, which was not recorded" in found.pairs[0].layers[0].first.cause


def test_a_merely_wrong_layer_is_not_moved(
    int_net: IntNetwork, given: Spikes, layers: Mapping[int, Spikes]
) -> None:
    rng = np.random.default_rng(0)
    noise = (rng.random(layers[0].shape) < layers[0].mean()).astype(np.uint8)
    certificate = _certify(int_net, given, {0: noise, 1: layers[1]})
    assert [layer.shift for layer in certificate.pairs[0].layers] == [0, 0]
    assert certificate.exit_code == 1


@pytest.mark.parametrize("shift", [-7, -1, 0, 1, 5, 40])
def test_a_shift_is_found_among_many_steps(shift: int) -> None:
    spikes = (np.random.default_rng(abs(shift)).random((60, 2, 30)) < 0.2).astype(np.uint8)
    wide = np.concatenate([np.zeros_like(spikes), spikes, np.zeros_like(spikes)])
    recorded = wide[60 - shift : 120]
    assert find_shift(spikes, recorded) == shift
    recorded = recorded.copy()
    flips = np.random.default_rng(1).random(recorded.shape) < 0.01
    assert find_shift(spikes, recorded ^ flips) == shift
    aligned = align(spikes, recorded, shift)
    np.testing.assert_array_equal(aligned.spikes, spikes)
    assert find_shift(np.zeros_like(spikes), np.zeros_like(spikes), before=shift) == shift


def test_a_flat_layer_is_taken_in_our_order_and_said(
    int_net: IntNetwork, given: Spikes, layers: Mapping[int, Spikes]
) -> None:
    flat = {0: layers[0].reshape(STEPS, 3, -1), 1: layers[1]}
    certificate = _certify(int_net, given, flat)
    assert certificate.holds
    (note,) = certificate.assumed
    assert str(note) == "layer_0 is flat: taken in the order of [4, 8, 7]"


def test_recordings_that_do_not_belong(
    int_net: IntNetwork, given: Spikes, layers: Mapping[int, Spikes], tmp_path: Path
) -> None:
    for recorded, said in [
        ({0: layers[0][:, :2]}, r"layer_0: shape \[14, 2, 4, 8, 7\], expected \[T, 3, 4, 8, 7\]"),
        ({0: layers[1]}, r"layer_0: shape \[14, 3, 6\]"),
        ({2: layers[1]}, r"layer_2: the network has layers 0 to 1"),
        ({}, "no layers"),
        ({0: layers[0] * 0.5}, "not whole numbers"),
    ]:
        with pytest.raises(InputError, match=said):
            _certify(int_net, given, recorded)
    with pytest.raises(InputError, match="no step in common"):
        _certify(int_net, given, layers, recorded_shift=99)
    with pytest.raises(InputError, match="3 shifts for 2 recorded layers"):
        _certify(int_net, given, layers, recorded_shift=[1, 2, 3])
    with pytest.raises(InputError, match="without recorded"):
        _certify(int_net, given, None, recorded_shift=1)
    with pytest.raises(InputError, match="holds no input"):
        _certify(int_net, None, layers)
    write_spikes(tmp_path / "in.npz", given)
    with pytest.raises(InputError, match=r"no array 'layer_0'.* among \['spikes'\]"):
        _certify(int_net, given, tmp_path / "in.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="not a readable"):
        _certify(int_net, given, tmp_path / "bad.npz")


def test_certificates_of_recordings_are_kept_by_their_content(
    int_net: IntNetwork, given: Spikes, layers: Mapping[int, Spikes], tmp_path: Path
) -> None:
    kept = {"spikes": given, "cache": tmp_path}
    assert not verify(int_net, recorded=layers, **kept).cached
    assert verify(int_net, recorded=layers, **kept).cached
    assert not verify(int_net, recorded=layers, recorded_shift=0, **kept).cached
    wrong = {**layers, 0: 1 - layers[0]}
    assert verify(int_net, recorded=wrong, **kept).exit_code == 1


def test_other_backends_are_compared_beside(
    int_net: IntNetwork, given: Spikes, layers: Mapping[int, Spikes]
) -> None:
    certificate = _certify(int_net, given, layers, against=["snntorch-int"])
    assert [pair.backends[1] for pair in certificate.pairs] == ["snntorch-int", "recorded"]


def test_the_command(
    int_net: IntNetwork, given: Spikes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, spikes, out = (str(tmp_path / name) for name in ("m.net", "in.npz", "out.h5"))
    to_netx(int_net, net)
    write_spikes(spikes, given)
    assert main(["run", net, "--spikes", spikes, "--out", out, "--backend", "snntorch-int"]) == 0
    common = ["verify", net, "--recorded", out, "--no-cache"]
    assert main([*common, "--spikes", spikes, "--strict"]) == 1, "its source is not known"
    assert "not checked: the source" in capsys.readouterr().err.splitlines()[-1]
    assert main([*common, "--spikes", spikes]) == 0
    assert "Loihi engine (software) and recorded: equal, 0 of" in capsys.readouterr().out
    assert main(common) == 2
    assert "--spikes IN" in capsys.readouterr().err.splitlines()[-1]
    layers, none = read_layers(out)
    assert none is None
    layers[1][3, 0, 2] ^= 1
    write_spikes(tmp_path / "wrong.npz", {k: _late(v, 2) for k, v in layers.items()})
    wrong = [*common[:2], "--recorded", str(tmp_path / "wrong.npz"), "--spikes", spikes]
    assert main([*wrong, "--recorded-shift", "2", "--json", str(tmp_path / "c.json")]) == 1
    captured = capsys.readouterr()
    assert "Loihi engine (software) and recorded" in captured.err.splitlines()[-1]
    assert "first at step 3, sample 0, neuron (2,)" in captured.out
    value = json.loads((tmp_path / "c.json").read_text())
    assert value["recorded"]["shift"] == [2]
    assert value["pairs"][0]["layers"][0]["shift"] == 2
    assert main([*wrong, "--recorded-shift", "two"]) == 2
    assert main(["verify", net, "--recorded-shift", "2"]) == 2
    np.testing.assert_array_equal(read_spikes(spikes), given)
