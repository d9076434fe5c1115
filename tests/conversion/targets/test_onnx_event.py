"""ONNX: run by onnxruntime as a sequence and step by step, equal in every spike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from sdcl_neuro import run
from sdcl_neuro.conversion import to_onnx
from sdcl_neuro.conversion.backends import onnx as onnx_backend
from sdcl_neuro.conversion.targets.onnx_event import model as onnx_models
from sdcl_neuro.conversion.targets.onnx_event import writer
from sdcl_neuro.conversion.targets.onnx_event.model import sequence_model, step_model
from sdcl_neuro.conversion.targets.onnx_event.step import digits, states
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import CheckFailed, EnvironmentFault, InputError
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.testing import KINDS, random_network, random_spikes

from .conftest import NETWORKS, random_input

CASES = [(kind, extreme, bits) for kind in KINDS for extreme in (False, True) for bits in (0, 3, 8)]


def _equal(net: IntNetwork, spikes: np.ndarray) -> int:
    expected = run_network(net, spikes).spikes
    found = run(net, spikes, backend="onnx").spikes
    stepped = writer.run_steps(step_model(net).SerializeToString(), net, spikes)
    for index, layer in expected.items():
        assert np.array_equal(layer, found[index]), net.layers[index].name
        assert np.array_equal(layer, stepped[index]), net.layers[index].name
    return sum(int(layer.sum()) for layer in expected.values())


@pytest.mark.parametrize(("kind", "extreme", "bits"), CASES)
def test_random_networks(kind: str, extreme: bool, bits: int) -> None:
    for seed in range(3):
        net = random_network(40 + seed, kind=kind, extreme=extreme, message_bits=bits)
        _equal(net, random_spikes(net, seed, steps=10, samples=3))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_named_networks(networks: dict[str, IntNetwork], name: str) -> None:
    net = networks[name]
    assert _equal(net, random_input(net)) > 100


def test_all_features_at_once(everything: IntNetwork) -> None:
    assert _equal(everything, random_input(everything, steps=16)) > 100


def test_a_convolution_whose_sum_wraps() -> None:
    weight = np.full((1, 2, 1, 1), 5_000_001, np.int32)
    layer = IntLayer(
        "wide", "conv", weight, IntNeuron(4096, 100, 1), (2, 1, 1), (1, 1, 1), None, Convolution()
    )
    spikes = np.array([[1, 0], [1, 1], [0, 1], [1, 1]], np.uint8).reshape(4, 1, 2, 1, 1)
    assert _equal(IntNetwork((2, 1, 1), (layer,)), spikes) > 0


@pytest.mark.parametrize("largest", [1, 100, 254, 40_000, 2_000_000_000])
def test_digits_add_up_to_the_weights(largest: int) -> None:
    rng = np.random.default_rng(largest)
    for even in (1, 2, 6):
        weight = (rng.integers(-largest, largest, (40, 30)) // even * even).astype(np.int32)
        parts = list(digits(weight))
        total = sum(part.astype(np.int64) * unit for part, unit in parts)
        assert np.array_equal(total, weight)
    assert len(list(digits(np.array([[-256, 254]], np.int32)))) == 1  # even 9 bits need one part


def test_only_standard_operators(everything: IntNetwork) -> None:
    for model in (step_model(everything), sequence_model(everything)):
        onnx.checker.check_model(model, full_check=True)
        assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
        assert not model.functions


def test_the_files_and_what_they_say(everything: IntNetwork, tmp_path: Path) -> None:
    written = to_onnx(everything, tmp_path / "event.onnx")
    assert [path.name for path in written.files] == ["event.onnx", "event_step.onnx"]
    assert "0 of" in str(written)
    for path, form in zip(written.files, ("sequence", "step"), strict=True):
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        facts = session.get_modelmeta().custom_metadata_map
        assert facts["form"] == form
        assert [layer["name"] for layer in json.loads(facts["layers"])] == [
            "conv",
            "late */",
            "loop",
        ]
    assert json.loads(facts["states"]) == [state.name for state in states(everything)]
    # As docs/onnx.md shows it: every state fed back under its name.
    spikes = random_input(everything, steps=5, samples=1)
    held = {
        given.name: np.zeros([1, *given.shape[1:]], np.uint8 if "fed" in given.name else np.int32)
        for given in session.get_inputs()
        if given.name != "spikes"
    }
    outputs = [output.name for output in session.get_outputs()]
    expected = run_network(everything, spikes).spikes
    for step in range(5):
        found = dict(zip(outputs, session.run(None, {**held, "spikes": spikes[step]}), strict=True))
        held = {name: found[f"{name}_next"] for name in held}
        assert np.array_equal(found["layer_2"], expected[2][step])


def test_a_wrong_graph_is_found_and_nothing_is_written(
    everything: IntNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = replace(everything.layers[-1], neuron=IntNeuron(1500, 300, 1))
    model = step_model(replace(everything, layers=(*everything.layers[:-1], last)))
    monkeypatch.setattr(onnx_models, "step_model", lambda _: model)
    with pytest.raises(CheckFailed, match=r"event_step\.onnx: .* differ in onnxruntime"):
        to_onnx(everything, tmp_path / "event.onnx")
    assert list(tmp_path.iterdir()) == []


def test_samples_in_blocks_are_the_same(
    everything: IntNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    spikes = random_input(everything, samples=5)
    whole = run(everything, spikes, backend="onnx", layers=[1, 2])
    monkeypatch.setattr(onnx_backend, "CHUNK_ELEMENTS", 1)
    parts = run(everything, spikes, backend="onnx", layers=[1, 2])
    assert whole.spikes.keys() == parts.spikes.keys() == {1, 2}
    assert all(np.array_equal(whole.spikes[k], parts.spikes[k]) for k in (1, 2))


def test_what_is_refused(
    everything: IntNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"name it OUT\.onnx"):
        to_onnx(everything, tmp_path / "event.c")
    with pytest.raises(InputError, match="use cpu"):
        run(everything, random_input(everything), backend="onnx", device="cuda")
    monkeypatch.setattr(writer, "MAX_WEIGHTS", 10)
    with pytest.raises(InputError, match="an ONNX file holds 10"):
        to_onnx(everything, tmp_path / "event.onnx")
    monkeypatch.setattr("sdcl_neuro.extras.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match=r"pip install 'sdcl-neuro\[onnx\]'"):
        to_onnx(everything, tmp_path / "event.onnx")
    assert list(tmp_path.iterdir()) == []
