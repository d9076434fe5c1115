"""Both paths against the slow oracle, spike for spike and count for count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import engine_oracle as oracle
from helpers.depth import examples
from sdcl_neuro.engine import run_network
from sdcl_neuro.engine.event.machine import Machine
from sdcl_neuro.engine.event.plan import LayerPlan
from sdcl_neuro.network.activity import count_activity
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.testing import KINDS, random_network, random_spikes

COUNTS = (
    "spikes_in", "spikes_out", "synops", "synops_nonzero", "updates", "saturations", "wraps",
    "accumulates", "multiplies", "membrane_updates",
)  # fmt: skip


def check(net, spikes, *, chunk=None):
    expected = oracle.run(net, spikes)
    for path in ("event", "reference"):
        record = run_network(net, spikes, path=path, chunk=chunk)
        for index, (layer_spikes, counts) in enumerate(expected):
            np.testing.assert_array_equal(record.spikes[index], layer_spikes, err_msg=path)
            got = {name: getattr(record.activity[index], name).tolist() for name in COUNTS}
            assert got == counts, path
    return expected


@settings(max_examples=examples(150), deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(KINDS),
    extreme=st.booleans(),
    message_bits=st.sampled_from([0, 0, 1, 3, 8]),
    rate=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    chunk=st.sampled_from([None, 1, 2, 5]),
)
def test_random_networks_equal_the_oracle(seed, kind, extreme, message_bits, rate, chunk):
    net = random_network(seed, kind=kind, extreme=extreme, message_bits=message_bits)
    spikes = random_spikes(net, seed, steps=6, samples=2, rate=rate)
    check(net, spikes, chunk=chunk)


@pytest.fixture(params=[0, 8], ids=["binary", "counts"])
def bits(request):
    """`message_bits` of a network made by hand: the main engine takes spikes, another counts."""
    return request.param


def largest(bits):
    """Largest value of an input."""
    return 2**bits - 1 if bits else 1


def network(layer, bits):
    net = IntNetwork(layer.in_shape, (layer,), bits)
    assert isinstance(Machine(net).plans[0], LayerPlan) == (bits == 0 and layer.delay is None)
    return net


def dense(weight, neuron, bits, **fields):
    outputs, inputs = weight.shape
    kind = "dense_rec" if "recurrent_weight" in fields else "dense"
    return network(IntLayer("only", kind, weight, neuron, (inputs,), (outputs,), **fields), bits)


@pytest.mark.parametrize("neuron", [(4096, 0), (1, 0), (1, 30), (50, 4095), (2048, 4096)])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_sums_beyond_the_registers(neuron, share, bits):
    """An activation beyond 2^24 wraps once only; one beyond 2^25 leaves 32 bits when shifted."""
    rng = np.random.default_rng(1)
    weight = rng.choice([-256, 255], (3, 800), p=[1 - share, share]).astype(np.int32)
    weight *= 255 // largest(bits)
    net = dense(weight, IntNeuron(*neuron, 100_000), bits)
    density = np.array([0.1, 0.5, 0.95, 0.3, 1.0, 0.7]).reshape(6, 1, 1)
    spikes = ((rng.random((6, 1, 800)) < density) * largest(bits)).astype(np.uint8)
    sums = np.abs(spikes.astype(np.int64) @ weight.T)
    assert share == 0.5 or sums.max() > 2**25 > sums.min()
    ((_, counts),) = check(net, spikes)
    assert sum(counts["wraps"]) > 0


@pytest.mark.parametrize("share", [0.03, 0.9])
def test_convolution_sums_wrap_to_24_bits(share, bits):
    rng = np.random.default_rng(2)
    weight = rng.choice([-256, 254], (2, 8, 7, 7), p=[1 - share, share]).astype(np.int32)
    weight *= 177 if bits == 0 else 1
    geometry = Convolution(padding=(3, 3))
    layer = IntLayer(
        "c", "conv", weight, IntNeuron(4096, 10, 9000), (8, 7, 6), (2, 7, 6), None, geometry
    )
    drawn = rng.integers(100, 256, (4, 1, 8, 7, 6))
    spikes = (drawn if bits else drawn > 110).astype(np.uint8)
    assert np.abs(weight.sum(axis=(1, 2, 3)) * spikes.mean()).max() > 2**23
    check(network(layer, bits), spikes)


def test_the_current_survives_a_spike_and_the_membrane_does_not(bits):
    net = dense(np.array([[100]], np.int32), IntNeuron(2048, 0, 99), bits)
    spikes = np.array([1, 0, 0, 0, 0, 0], np.uint8).reshape(6, 1, 1)
    # u = 6400, 3200, 1600, ...; v = 6400 fires and is reset, then gathers the rest of u, 6392.
    assert run_network(net, spikes).spikes[0].ravel().tolist() == [1, 0, 0, 0, 0, 0]


def test_the_threshold_is_strict(bits):
    spikes = np.ones((1, 1, 1), np.uint8)
    for threshold, fires in ((99, 1), (100, 0)):
        net = dense(np.array([[100]], np.int32), IntNeuron(4096, 0, threshold), bits)
        assert run_network(net, spikes).spikes[0].item() == fires


def test_a_recurrent_spike_arrives_one_step_later(bits):
    net = dense(
        np.array([[64], [0]], np.int32),
        IntNeuron(4096, 4095, 50),
        bits,
        recurrent_weight=np.array([[0, 0], [64, 0]], np.int32),
    )
    record = run_network(net, np.array([1, 0, 0], np.uint8).reshape(3, 1, 1))
    assert record.spikes[0][:, 0].tolist() == [[1, 0], [0, 1], [0, 0]]
    assert record.activity[0].synops.tolist() == [2 + 2 * 2]


def test_a_delay_of_d_steps_arrives_d_steps_later(bits):
    net = dense(
        np.full((3, 1), 64, np.int32),
        IntNeuron(4096, 4095, 50),
        bits,
        delay=np.array([[0], [1], [3]], np.int32),
    )
    record = run_network(net, np.array([1, 0, 0, 0], np.uint8).reshape(4, 1, 1), chunk=2)
    assert record.spikes[0][:, 0].argmax(axis=0).tolist() == [0, 1, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_counts_from_spikes_alone_are_the_engines(kind):
    net = random_network(11, kind=kind, layers=3)
    spikes = random_spikes(net, 11, steps=9, samples=3)
    record = run_network(net, spikes)
    for counted, own in zip(
        count_activity(net, spikes, record.spikes), record.activity, strict=True
    ):
        assert counted.saturations is None
        assert counted.wraps is None
        for name in COUNTS[:5]:
            np.testing.assert_array_equal(getattr(counted, name), getattr(own, name))
        assert (counted.name, counted.kind, counted.synapses) == (own.name, own.kind, own.synapses)


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_current_at_the_exact_limit(sign, extra, bits):
    """2^17 shifted by 6 bits is 2^23: the negative limit wraps, the positive one does not."""
    weight = np.array([[sign * (2**17 + extra)]], np.int32)
    net = dense(weight, IntNeuron(4096, 0, 0), bits)
    ((_, counts),) = check(net, np.ones((3, 1, 1), np.uint8))
    assert bool(counts["wraps"][0]) == (extra > 0 or (sign < 0 and extra == 0))


def test_a_sum_that_float32_cannot_hold(bits):
    """65793 * 255 + 2 is 2^24 + 1; a convolution keeps 1 of it, which float32 would lose."""
    weight, values = ([65793, 1], [255, 2]) if bits else ([65793 * 255, 2], [1, 1])
    layer = IntLayer(
        "c", "conv", np.array(weight, np.int32).reshape(1, 2, 1, 1), IntNeuron(4096, 0, 0),
        (2, 1, 1), (1, 1, 1), None, Convolution(),
    )  # fmt: skip
    spikes = np.array(values, np.uint8).reshape(1, 1, 2, 1, 1)
    ((sent, _),) = check(network(layer, bits), spikes)
    assert sent.item() == 1
