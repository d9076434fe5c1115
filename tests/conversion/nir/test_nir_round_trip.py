"""What is written comes back the same; what is edited is noticed."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import nir
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.depth import examples
from sdcl_neuro.conversion import from_nir, to_nir
from sdcl_neuro.conversion.targets.nir.weights import spread
from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.files import file_sha256
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, FloatNeuron, IntNetwork

SEEDS = st.integers(0, 10**6)
MANY = settings(
    deadline=None,
    derandomize=True,
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@MANY
@given(seed=SEEDS, dt=st.sampled_from([1e-3, 1e-4, 0.25, 1.0]))
def test_float_networks_come_back_equal(seed, dt, tmp_path, random_float, same):
    net = random_float(seed)
    path = tmp_path / "net.nir"
    digest = to_nir(net, path, dt=dt)
    assert digest == file_sha256(path)
    same(net, from_nir(path))


@MANY
@given(seed=SEEDS)
def test_integer_networks_come_back_equal(seed, tmp_path, random_int, same):
    net = random_int(seed)
    to_nir(net, tmp_path / "net.nir")
    same(net, from_nir(tmp_path / "net.nir"))


@MANY
@given(seed=SEEDS)
def test_the_graph_alone_means_the_same_network(seed, tmp_path, random_float):
    """Without our metadata, but for the step, only float32 rounding is lost."""
    net = random_float(seed, plain=True)
    path = tmp_path / "net.nir"
    to_nir(net, path, dt=1e-3)
    with h5py.File(path, "r+") as file:
        for key in [key for key in file["node/metadata"] if key.startswith("sdcl_neuro")]:
            del file["node/metadata"][key]
    alone = from_nir(path)
    assert alone.meta["dt_source"] == "stated by the file's metadata"
    for one, two in zip(net.layers, alone.layers, strict=True):
        groups = one.convolution.groups if one.convolution else 1
        if groups > 1:
            # The graph spreads a group's kernels over all channels, the rest is zero.
            whole = spread(one.weight, groups)
            one = replace(one, weight=whole, convolution=replace(one.convolution, groups=1))
        assert (one.kind, one.convolution, one.out_shape) == (
            two.kind,
            two.convolution,
            two.out_shape,
        )
        # tau in float32 keeps 1 - beta to 6e-8, and so does the gain on the weights.
        assert two.neuron.beta == pytest.approx(one.neuron.beta, abs=1e-7)
        assert two.neuron.threshold == pytest.approx(one.neuron.threshold, rel=1e-7)
        for name in ("weight", "bias", "recurrent_weight"):
            a, b = getattr(one, name), getattr(two, name)
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=5e-7)


def test_the_graph_says_what_norse_needs(tmp_path):
    """Formula of a Leaky: tau = dt / (1 - beta), r = 1, weights divided by 1 - beta."""
    weight, bias = np.array([[0.5, -0.25]], np.float32), np.array([0.125], np.float32)
    layer = FloatLayer("out", "dense", weight, FloatNeuron(0.75, 1.5), (2,), (1,), bias)
    to_nir(FloatNetwork((2,), (layer,)), tmp_path / "net.nir", dt=2e-3)
    graph = nir.read(tmp_path / "net.nir")
    neurons, synapse = graph.nodes["neurons_0"], graph.nodes["synapse_0"]
    assert isinstance(neurons, nir.LIF)
    np.testing.assert_allclose(neurons.tau, 8e-3, rtol=1e-6)
    assert (neurons.r, neurons.v_reset, neurons.v_leak) == (1, 0, 0)
    assert neurons.v_threshold == 1.5
    assert synapse.weight.tolist() == [[2.0, -1.0]]
    assert synapse.bias.tolist() == [0.5]
    assert graph.metadata["dt"] == 2e-3


def test_integrators_and_currents_have_their_own_nodes(tmp_path):
    layers = (
        FloatLayer("a", "dense", np.ones((3, 2), np.float32), FloatNeuron(1.0, 1.0), (2,), (3,)),
        FloatLayer(
            "b",
            "dense_rec",
            np.ones((3, 3), np.float32),
            FloatNeuron(0.5, 1.0, 0.75),
            (3,),
            (3,),
            recurrent_weight=np.eye(3, dtype=np.float32),
        ),
    )
    to_nir(FloatNetwork((2,), layers), tmp_path / "net.nir")
    graph = nir.read(tmp_path / "net.nir")
    assert isinstance(graph.nodes["neurons_0"], nir.IF)
    np.testing.assert_allclose(graph.nodes["neurons_0"].r, 1000)
    assert isinstance(graph.nodes["neurons_1"], nir.CubaLIF)
    assert graph.nodes["neurons_1"].w_in.tolist() == [4, 4, 4]
    assert ("neurons_1", "recurrent_1") in graph.edges
    assert ("recurrent_1", "neurons_1") in graph.edges


def test_the_file_is_the_same_bytes_each_time(tmp_path, random_float):
    assert to_nir(random_float(3), tmp_path / "a.nir") == to_nir(
        random_float(3), tmp_path / "b.nir"
    )


def _edit(path, key, change):
    with h5py.File(path, "r+") as file:
        values = change(file[key][()])
        del file[key]
        file[key] = values


EDITS = {
    "node/nodes/neurons_0/v_threshold": "threshold",
    "node/nodes/neurons_0/tau": "beta",
    "node/nodes/synapse_0/weight": "weight",
    "node/nodes/synapse_0/bias": "bias",
}


@pytest.mark.parametrize("key", EDITS)
def test_an_edited_graph_is_not_taken_for_its_integers(key, tmp_path):
    net = _small_int()
    path = tmp_path / "net.nir"
    to_nir(net, path)
    _edit(path, key, lambda values: values * np.float32(1.01))
    with pytest.raises(InputError, match=f"disagree on the {EDITS[key]} of layer 0"):
        from_nir(path)


def test_edited_integers_are_not_taken_either(tmp_path):
    path = tmp_path / "net.nir"
    to_nir(_small_int(), path)
    _edit(path, "node/metadata/sdcl_neuro_weight_0", lambda values: values + 2)
    with pytest.raises(InputError, match="disagree on the weight of layer 0; convert"):
        from_nir(path)


def _small_int() -> IntNetwork:
    from sdcl_neuro.network.spec import IntLayer, IntNeuron

    weight = np.array([[2, -4, 6]], np.int32)
    layer = IntLayer(
        "fc", "dense", weight, IntNeuron(4096, 400, 64), (3,), (1,), np.array([8], np.int32)
    )
    return IntNetwork((3,), (layer,))


@pytest.mark.parametrize(
    "change",
    [
        lambda body: "no json",
        lambda body: json.dumps([]),
        lambda body: json.dumps({**body, "version": 99}),
        lambda body: json.dumps({**body, "layers": []}),
        lambda body: json.dumps({**body, "layers": [{}]}),
        lambda body: json.dumps({**body, "layers": [{**body["layers"][0], "threshold": "64"}]}),
        lambda body: json.dumps({**body, "layers": [{**body["layers"][0], "has": ["delay"]}]}),
    ],
)
def test_damaged_metadata_is_refused(change, tmp_path):
    path = tmp_path / "net.nir"
    to_nir(_small_int(), path)
    _edit(path, "node/metadata/sdcl_neuro", lambda text: change(json.loads(text)))
    with pytest.raises(InputError, match="metadata 'sdcl_neuro' is damaged"):
        from_nir(path)


def test_what_nir_cannot_say_is_refused_at_once(tmp_path, random_float):
    ones = np.ones((1, 1), np.float32)
    layers = (
        FloatLayer("a", "dense", ones, FloatNeuron(1.0, 1.0, 0.5), (1,), (1,)),
        FloatLayer("b", "dense", ones * np.nan, FloatNeuron(0.5, 1.0), (1,), (1,)),
        FloatLayer("c", "dense", ones, FloatNeuron(1.5, 1.0), (1,), (1,)),
        FloatLayer("d", "dense", ones * 1e38, FloatNeuron(0.99, 1.0), (1,), (1,)),
    )
    with pytest.raises(NetworkRefused) as caught:
        to_nir(FloatNetwork((1,), layers), tmp_path / "net.nir")
    assert [refusal.where for refusal in caught.value.refusals] == [
        "layer 0 (a)",
        "layer 1 (b)",
        "layer 2 (c)",
        "layer 3 (d)",
    ]
    net = random_float(1)
    with pytest.raises(InputError, match="dt is 0 s"):
        to_nir(net, tmp_path / "net.nir", dt=0)
    with pytest.raises(InputError, match="not plain JSON"):
        to_nir(replace(net, meta={"x": object()}), tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())
