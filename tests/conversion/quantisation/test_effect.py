"""Rounding that changes what a network does is warned about, with and without data."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import (
    QuantizationWarning,
    from_snntorch,
    quantization_report,
    quantize,
    to_netx,
    to_nir,
)
from sdcl_neuro.conversion.quantisation.effect import (
    CHANGE_MAX,
    RANDOM,
    LayerEffect,
    effect_of,
    measure_effect,
)
from sdcl_neuro.engine import run_network
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, FloatNeuron
from sdcl_neuro.network.spike_file import write_spikes
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

INPUTS = 40


def _layer(name: str, weight: NDArray[Any], *, threshold: float = 1.0) -> FloatLayer:
    weight = np.asarray(weight, np.float32)
    outputs, inputs = weight.shape
    return FloatLayer(name, "dense", weight, FloatNeuron(0.9, threshold), (inputs,), (outputs,))


def _network(*layers: FloatLayer) -> FloatNetwork:
    return FloatNetwork(layers[0].in_shape, tuple(layers))


@pytest.fixture
def fine() -> FloatNetwork:
    rng = np.random.default_rng(0)
    first = _layer("first", rng.normal(0.1, 0.3, (30, INPUTS)))
    return _network(first, _layer("second", rng.normal(0.1, 0.3, (10, 30))))


@pytest.fixture
def coarse(fine: FloatNetwork) -> FloatNetwork:
    """One weight is so large that all others are rounded to one step of the grid, 0.24."""
    weight = np.random.default_rng(1).uniform(0.12, 0.2, (30, INPUTS))
    weight[0, 0] = 30.0
    return _network(_layer("first", weight), fine.layers[1])


@pytest.fixture
def spikes() -> NDArray[np.uint8]:
    return (np.random.default_rng(3).random((20, 3, INPUTS)) < 0.2).astype(np.uint8)


def _warned(net: FloatNetwork, **options: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quantize(net, **options)
    assert all(entry.category is QuantizationWarning for entry in caught)
    assert all(Path(entry.filename) == Path(__file__) for entry in caught)
    return [str(entry.message) for entry in caught]


def test_a_network_that_rounds_well_is_taken_in_silence(
    fine: FloatNetwork, spikes: NDArray[np.uint8]
) -> None:
    assert _warned(fine) == []
    assert _warned(fine, calibration=spikes) == []


def test_changed_counts_are_warned_about_with_both_counts(
    coarse: FloatNetwork, spikes: NDArray[np.uint8]
) -> None:
    chip = quantize(coarse, check=False)
    (first, *_) = _warned(coarse)
    drawn = RANDOM.draw((INPUTS,))
    after = int(run_network(chip, drawn).spikes[0].sum())
    assert f"to {after:,} (more than 5 %) on random input (rate 0.1, seed 0)" in first
    assert first.startswith("layer 0 (first) rounding changed its spikes by ")
    assert first.endswith("give calibration=spikes of your own data")
    (given, *_) = _warned(coarse, calibration=spikes)
    assert "on the given input; train on in integers" in given
    assert _warned(coarse, check=False) == []


def test_the_counts_are_those_of_both_networks(
    coarse: FloatNetwork, spikes: NDArray[np.uint8]
) -> None:
    chip = quantize(coarse, calibration=spikes, check=False)
    report = quantization_report(coarse, chip, spikes)
    found = measure_effect(coarse, chip, spikes)
    assert found == effect_of(report, chip)
    for layer, expected in zip(found.layers, report.layers, strict=True):
        assert layer.spikes_float == expected.spikes_float > 0
        assert layer.spikes_int == expected.spikes_int
        assert layer.change == expected.rate_change
    assert abs(found.layers[0].change or 0) > CHANGE_MAX


def test_a_layer_that_never_fires_is_warned_about(fine: FloatNetwork) -> None:
    quiet = replace(fine.layers[1], neuron=FloatNeuron(0.9, 1000.0))
    (text,) = _warned(replace(fine, layers=(fine.layers[0], quiet)))
    assert text.startswith("layer 1 (second) never fires on random input (rate 0.1, seed 0); give")


def test_a_layer_that_rounding_silences_is_warned_about(fine: FloatNetwork) -> None:
    weight = np.full((30, INPUTS), 0.2)
    weight[0, 0] = -120.0
    weight[0, 1:] = 0.0
    first, second = _warned(_network(_layer("first", weight), fine.layers[1]))
    assert "layer 0 (first) never fires in integers," in first
    assert "times in float on random input" in first
    assert "layer 1 (second) never fires in integers" in second


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (1000, 1050, None),
        (1000, 951, None),
        (1000, 1051, "by +5.1 %, from 1,000 to 1,051"),
        (1000, 940, "by -6.0 %, from 1,000 to 940"),
        (100, 110, None),  # a tenth, but too few to tell
        (100, 111, "by +11.0 %, from 100 to 111"),
        (0, 0, "never fires"),
        (None, 0, "never fires"),
        (0, None, "never fires"),
        (0, 7, "never fires in float, 7 times in integers"),
        (7, 0, "never fires in integers, 7 times in float"),
        (None, 9, None),
        (9, None, None),
    ],
)
def test_where_the_line_is(before: int | None, after: int | None, said: str | None) -> None:
    complaint = LayerEffect(0, "a", before, after).complaint
    assert (complaint is None) == (said is None)
    assert said is None or said in str(complaint)


def test_what_training_computed_in_integers_is_not_compared_with_float() -> None:
    """Its scales are part of the network: the float weights beside them were never run."""
    branch = EventBranch(COMPACT)
    given = torch.from_numpy(RANDOM.draw((2, 64, 32))).float()
    branch.calibrate_rates(given)
    branch.prepare_quantization(given)
    net = from_snntorch(branch, given)
    chip = quantize(net)
    found = measure_effect(net, chip)
    assert [layer.spikes_float for layer in found.layers] == [None, None]
    assert found.warnings == ()


def test_only_some_samples_of_much_data_are_run(fine: FloatNetwork) -> None:
    many = (np.random.default_rng(0).random((5, 50, INPUTS)) < 0.2).astype(np.uint8)
    chip = quantize(fine, check=False)
    found = measure_effect(fine, chip, many)
    assert found == measure_effect(fine, chip, many[:, :8])


def test_counts_are_measured_as_counts(fine: FloatNetwork, spikes: NDArray[np.uint8]) -> None:
    counts = spikes * 3
    chip = quantize(fine, calibration=counts, message_bits=2, check=False)
    found = measure_effect(fine, chip, counts)
    assert found.layers[0].spikes_int == int(run_network(chip, counts).spikes[0].sum())


def test_convert_warns_on_the_terminal_and_in_its_account(
    coarse: FloatNetwork,
    fine: FloatNetwork,
    spikes: NDArray[np.uint8],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    to_nir(coarse, tmp_path / "coarse.nir")
    to_nir(fine, tmp_path / "fine.nir")
    write_spikes(tmp_path / "in.npz", spikes)
    out = tmp_path / "out.net"

    def convert(name: str, *more: str) -> tuple[str, dict[str, Any]]:
        assert main(["convert", str(tmp_path / name), str(out), *more]) == 0
        return capsys.readouterr().out, json.loads((tmp_path / "out.net.json").read_text())

    shown, account = convert("coarse.nir")
    (first, *_) = account["warnings"]
    assert "rounding changed its spikes" in first
    assert first.endswith("on random input (rate 0.1, seed 0); give --calibrate SPIKES")
    assert f"warning  {first}" in shown
    assert account["effect"]["input"] == "random input (rate 0.1, seed 0)"
    assert account["effect"]["change_max"] == CHANGE_MAX
    layer = account["effect"]["layers"][0]
    assert layer["change"] == layer["spikes_int"] / layer["spikes_float"] - 1
    shown, account = convert("coarse.nir", "--calibrate", str(tmp_path / "in.npz"))
    assert account["warnings"][0].endswith("on the given input; train on in integers")
    shown, account = convert("fine.nir")
    assert account["warnings"] == []
    assert "warning" not in shown
    assert "spikes   on random input (rate 0.1, seed 0): first " in shown


def test_convert_names_a_silent_layer_of_any_source(
    fine: FloatNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = replace(fine.layers[1], neuron=FloatNeuron(0.9, 1000.0))
    net = replace(fine, layers=(fine.layers[0], quiet))
    to_nir(net, tmp_path / "float.nir")
    to_netx(quantize(net, check=False), tmp_path / "chip.net")
    pairs = [("float.nir", "a.net"), ("float.nir", "b.nir"), ("chip.net", "c.net")]
    for source, target in [*pairs, ("chip.net", "d.nir")]:
        assert main(["convert", str(tmp_path / source), str(tmp_path / target)]) == 0
        shown = capsys.readouterr().out
        assert "never fires on random input (rate 0.1, seed 0)" in shown, (source, target)
        account = json.loads((tmp_path / f"{target}.json").read_text())
        assert len(account["warnings"]) == 1
