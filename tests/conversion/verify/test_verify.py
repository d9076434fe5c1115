"""Certificates: what they say, where they are kept, and that they say no."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sdcl_neuro.conversion import to_netx, to_nir
from sdcl_neuro.conversion.backends import run as backends
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.parity.certificate import SCHEMA, Certificate
from sdcl_neuro.conversion.parity.verify import RandomInput, verify
from sdcl_neuro.errors import EnvironmentFault, InputError

INPUT = RandomInput(steps=12, samples=2, rate=0.3, seed=1)


def _replace_backend(monkeypatch, name, change):
    """Another program under a backend's name: ours, on a changed network or with other spikes."""
    real = backends.run

    def run(model, spikes, *, backend="loihi", **options):
        if backend != name:
            return real(model, spikes, backend=backend, **options)
        return replace(change(real, model, spikes, options), backend=name)

    monkeypatch.setattr(backends, "run", run)


def _on(layer_index, change):
    def run(real, model, spikes, options):
        layers = list(model.integer.layers)
        layers[layer_index] = change(layers[layer_index])
        return real(replace(model.integer, layers=tuple(layers)), spikes, **options)

    return run


def test_exact_pairs_hold(int_net, tmp_path):
    certificate = verify(int_net, spikes=INPUT, against=["snntorch-int"], cache=tmp_path)
    (pair,) = certificate.pairs
    assert pair.backends == ("loihi", "snntorch-int")
    assert (pair.kind, pair.holds, certificate.exit_code) == ("exact", True, 0)
    for layer in pair.layers:
        assert layer.spikes[0] == layer.spikes[1] > 0
        assert layer.mismatches == 0
        assert layer.first is None
    assert pair.layers[0].compared == 12 * 2 * 4 * 8 * 7
    text = str(certificate)
    assert "Loihi engine (software) and snntorch-int: equal" in text
    assert text.endswith("every verdict holds, 1 not checked"), "its source is not known"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda la: replace(la, neuron=replace(la.neuron, threshold=201)), "threshold: one too la"),
        (lambda la: replace(la, weight=la.weight[:, :, ::-1, ::-1].copy()), "layout: kernels flip"),
        (lambda la: replace(la, bias=None), "bias: left out"),
    ],
)
def test_a_broken_pair_says_where_and_why(change, cause, int_net, tmp_path, monkeypatch):
    _replace_backend(monkeypatch, "snntorch-int", _on(0, change))
    certificate = verify(int_net, spikes=INPUT, against=["snntorch-int"], cache=tmp_path)
    assert certificate.exit_code == 1
    (pair,) = certificate.pairs
    assert pair.holds is False
    first, second = pair.layers
    assert cause in first.first.cause
    assert len(first.first.neuron) == 3
    assert set(first.first.values) == {0, 1}
    layer = int_net.layers[0]
    for side, membrane, value in zip(
        (layer, change(layer)), first.first.membranes, first.first.values, strict=True
    ):
        assert (membrane > side.neuron.threshold * 64) == bool(value)
    assert (first.first.membranes[0] == first.first.membranes[1]) == ("threshold" in cause)
    assert second.first.cause == "follows from layer 0 (first)"
    assert "PARITY BROKEN" in str(certificate)
    assert cause in str(certificate)


def test_the_first_mismatch_is_the_earliest(int_net, tmp_path, monkeypatch):
    def change(real, model, spikes, options):
        record = real(model, spikes, **options)
        edited = {k: v.copy() for k, v in record.spikes.items()}
        edited[1][9, 0, 1] ^= 1
        edited[1][4, 1, 5] ^= 1
        edited[1][4, 1, 3] ^= 1
        return replace(record, spikes=edited)

    _replace_backend(monkeypatch, "lava", change)
    certificate = verify(int_net, spikes=INPUT, against=["lava"], cache=tmp_path)
    layer = certificate.pairs[0].layers[1]
    assert layer.mismatches == 3
    first = layer.first
    assert (first.step, first.sample, first.neuron) == (4, 1, (3,))
    assert first.cause == "unknown"
    assert first.membranes[0] is not None
    assert first.membranes[1] is None
    assert first.values[0] == 1 - first.values[1]


def test_a_float_network_is_judged_against_snntorch(make_float_net, tmp_path):
    certificate = verify(make_float_net(), spikes=INPUT, against="norse", cache=tmp_path)
    (pair,) = certificate.pairs
    assert (pair.backends, pair.kind, pair.holds) == (("snntorch", "norse"), "float", True)


def test_a_float_pair_beyond_rounding_is_broken(make_float_net, tmp_path, monkeypatch):
    def change(real, model, spikes, options):
        return real(Model(floating=make_float_net(threshold=1.01)), spikes, backend="norse")

    _replace_backend(monkeypatch, "norse", change)
    certificate = verify(make_float_net(), spikes=INPUT, against=["norse"], cache=tmp_path)
    (pair,) = certificate.pairs
    assert pair.holds is False
    assert "beyond rounding" in pair.verdict
    assert pair.layers[0].rounding["unexplained"] > 0


def test_a_float_pair_within_rounding_holds(tmp_path, monkeypatch):
    """A membrane exactly on the threshold: the other side fires, and may."""
    from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, FloatNeuron

    neuron = FloatNeuron(0.0, float(np.float32(0.1) + np.float32(0.2)))
    weight = np.array([[0.1, 0.2]], np.float32)
    net = FloatNetwork((2,), (FloatLayer("fc", "dense", weight, neuron, (2,), (1,)),))
    spikes = np.ones((3, 1, 2), np.uint8)
    for name, value in (("norse", 1), ("snntorch", 0)):
        fixed = np.full((3, 1, 1), value, np.uint8)
        _replace_backend(
            monkeypatch,
            name,
            lambda real, model, spikes, options, fixed=fixed: replace(
                real(Model(floating=net), spikes, backend="snntorch"), spikes={0: fixed}
            ),
        )
    certificate = verify(net, spikes=spikes, against=["norse"], cache=tmp_path)
    (pair,) = certificate.pairs
    assert pair.holds is True
    assert pair.verdict == "equal but for 1 neuron within rounding of the threshold"


def test_float_on_a_net_file_is_a_figure_only(int_net, tmp_path):
    to_netx(int_net, tmp_path / "m.net")
    certificate = verify(
        tmp_path / "m.net", spikes=INPUT, against=["norse", "snntorch"], cache=tmp_path / "cache"
    )
    assert [pair.kind for pair in certificate.pairs] == ["agreement", "agreement"]
    assert [pair.holds for pair in certificate.pairs] == [None, None]
    assert certificate.exit_code == 0
    assert "every verdict" not in str(certificate)
    assert certificate.model["name"] == "m.net"
    assert [note.what for note in certificate.not_checked] == [
        "the source",
        "norse against Loihi engine (software)",
        "snntorch against Loihi engine (software)",
    ]


def test_the_json_has_a_fixed_shape(int_net, tmp_path, monkeypatch):
    _replace_backend(monkeypatch, "lava", _on(1, lambda la: replace(la, weight=la.weight * 2)))
    certificate = verify(int_net, spikes=INPUT, against=["lava"], layers=[1], cache=tmp_path)
    value = json.loads(json.dumps(certificate.to_json()))
    assert list(value) == [
        "schema", "holds", "model", "spikes", "versions", "pairs",
        "recorded", "not_checked", "assumed",
    ]  # fmt: skip
    assert value["schema"] == {"name": "sdcl_neuro.certificate", "version": 2}
    assert value["recorded"] is None
    source, left_out = value["not_checked"]
    assert source["what"] == "the source"
    assert left_out["what"] == "layer 0 (first)"
    assert "asked for" in left_out["reason"]
    assert value["assumed"] == []
    assert set(value["model"]) == {"name", "sha256", "network_sha256", "step"}
    assert set(value["spikes"]) == {"sha256", "shape", "total", "source"}
    assert value["spikes"]["shape"] == [12, 2, 2, 8, 7]
    assert value["spikes"]["source"] == "random, rate 0.3, seed 1"
    assert {
        "python",
        "torch",
        "snntorch",
        "numpy",
        "lava-nc",
        "lava-dl",
        "norse",
        "sdcl-neuro",
    } <= (set(value["versions"]))
    (pair,) = value["pairs"]
    assert set(pair) == {"backends", "kind", "holds", "verdict", "layers", "spikes"}
    assert pair["spikes"] is None
    (layer,) = pair["layers"]
    assert list(layer) == [
        "index", "name", "spikes", "compared", "mismatches", "first", "rounding", "shift",
    ]  # fmt: skip
    assert set(layer["spikes"]) == {"loihi", "lava"}
    assert set(layer["first"]) == {
        "step", "sample", "neuron", "values", "cause", "membranes",
    }  # fmt: skip
    assert layer["first"]["cause"] == "weights: twice as large"
    assert set(layer["first"]["values"]) == {"loihi", "lava"}
    assert Certificate.from_json(value) == certificate


@pytest.mark.parametrize("value", [{}, {"schema": SCHEMA}, {"schema": {"name": "x"}}, []])
def test_another_json_is_no_certificate(value):
    with pytest.raises(InputError, match="verify again"):
        Certificate.from_json(value)


def test_a_certificate_is_computed_once(int_net, tmp_path, monkeypatch):
    first = verify(int_net, spikes=INPUT, against=["snntorch-int"], cache=tmp_path)
    assert not first.cached

    def never(*args, **more):
        raise AssertionError("computed twice")

    monkeypatch.setattr(backends, "run", never)
    again = verify(int_net, spikes=INPUT, against=["snntorch-int"], cache=tmp_path)
    assert again.cached
    assert replace(again, cached=False) == first
    assert "kept from an earlier run" in str(again)
    for other in (
        {"spikes": replace(INPUT, seed=2)},
        {"against": ["snntorch"]},
        {"layers": [0]},
        {"cache": False},
        {"cache": tmp_path / "other"},
    ):
        wanted = {"spikes": INPUT, "against": ["snntorch-int"], "cache": tmp_path, **other}
        with pytest.raises(AssertionError, match="twice"):
            verify(int_net, **wanted)
    changed = replace(int_net, message_bits=3)
    with pytest.raises(AssertionError, match="twice"):
        verify(changed, spikes=INPUT, against=["snntorch-int"], cache=tmp_path)


def test_the_cache_stands_in_the_users_folder(int_net, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    verify(int_net, spikes=INPUT, against=["snntorch-int"])
    (kept,) = (tmp_path / "sdcl_neuro" / "certificates").iterdir()
    kept.write_text("{ damaged")
    assert not verify(int_net, spikes=INPUT, against=["snntorch-int"]).cached
    assert verify(int_net, spikes=INPUT, against=["snntorch-int"]).cached


def test_a_cache_that_cannot_be_written_is_no_failure(int_net, tmp_path):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "below"
    assert verify(int_net, spikes=INPUT, against=["snntorch-int"], cache=place).holds


def test_bad_arguments(int_net, make_float_net, tmp_path):
    with pytest.raises(InputError, match="unknown backend 'nest'"):
        verify(int_net, against=["nest"], cache=False)
    with pytest.raises(InputError, match="is what others are compared with"):
        verify(int_net, against=["loihi"], cache=False)
    with pytest.raises(InputError, match="no backend"):
        verify(int_net, against=[], cache=False)
    with pytest.raises(InputError, match="no layer 5"):
        verify(int_net, spikes=INPUT, against=["snntorch-int"], layers=[5], cache=False)
    with pytest.raises(InputError, match="rate 2"):
        verify(int_net, spikes=RandomInput(rate=2), against=["snntorch-int"], cache=False)
    with pytest.raises(InputError, match="0 steps"):
        verify(int_net, spikes=RandomInput(steps=0), against=["snntorch-int"], cache=False)
    with pytest.raises(InputError, match="quantise it"):
        verify(make_float_net(), spikes=INPUT, against=["lava"], cache=False)


def test_a_backend_that_fails_leaves_no_certificate(int_net, tmp_path, monkeypatch):
    def change(real, model, spikes, options):
        raise EnvironmentFault("not installed")

    _replace_backend(monkeypatch, "lava", change)
    with pytest.raises(EnvironmentFault):
        verify(int_net, spikes=INPUT, against=["lava"], cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_integer_nir_is_verified_like_its_net(int_net, tmp_path):
    to_nir(int_net, tmp_path / "m.nir")
    certificate = verify(tmp_path / "m.nir", spikes=INPUT, against=["snntorch-int"], cache=False)
    assert certificate.holds


@pytest.mark.lava
def test_lava_agrees_on_a_net_file(int_net, tmp_path):
    to_netx(int_net, tmp_path / "m.net")
    certificate = verify(
        tmp_path / "m.net",
        spikes=replace(INPUT, steps=5),
        against=["lava", "snntorch-int"],
        cache=False,
    )
    assert certificate.holds
    assert all(layer.spikes[0] > 0 for pair in certificate.pairs for layer in pair.layers)
