"""What must never change a result: company in the batch, chunks, layers kept, repetition."""

from __future__ import annotations

import numpy as np
import pytest

from sdcl_neuro.engine import run_network
from sdcl_neuro.network.spec import IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.testing import KINDS, random_network, random_spikes

COUNTS = (
    "spikes_in", "spikes_out", "synops", "synops_nonzero", "updates", "saturations", "wraps",
    "accumulates", "multiplies", "membrane_updates",
)  # fmt: skip
PATHS = ("event", "reference")


def assert_equal(first, second):
    for index in first.spikes:
        np.testing.assert_array_equal(first.spikes[index], second.spikes[index])
    for one, other in zip(first.activity, second.activity, strict=True):
        for name in COUNTS:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.fixture(params=KINDS)
def case(request):
    net = random_network(5, kind=request.param, layers=3, extreme=True)
    return net, random_spikes(net, 5, steps=11, samples=4)


@pytest.mark.parametrize("path", PATHS)
def test_a_sample_alone_equals_itself_in_company(case, path):
    net, spikes = case
    together = run_network(net, spikes, path=path)
    for sample in range(spikes.shape[1]):
        alone = run_network(net, spikes[:, sample : sample + 1], path=path)
        for index, values in alone.spikes.items():
            np.testing.assert_array_equal(values[:, 0], together.spikes[index][:, sample])
        for one, other in zip(alone.activity, together.activity, strict=True):
            for name in COUNTS:
                assert getattr(one, name)[0] == getattr(other, name)[sample]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_chunks_do_not_matter(case, path, chunk):
    net, spikes = case
    assert_equal(run_network(net, spikes, path=path), run_network(net, spikes, chunk=chunk))


@pytest.mark.parametrize("path", PATHS)
def test_a_second_run_is_the_first(case, path):
    net, spikes = case
    assert_equal(run_network(net, spikes, path=path), run_network(net, spikes, path=path))


@pytest.mark.parametrize("path", PATHS)
def test_layers_not_asked_for_are_counted_and_not_kept(case, path):
    net, spikes = case
    everything = run_network(net, spikes, path=path)
    some = run_network(net, spikes, layers=[2, 1, 2], path=path)
    assert list(some.spikes) == [1, 2]
    assert_equal(some, everything)
    assert run_network(net, spikes, layers=(), path=path).spikes == {}


def test_the_beginning_does_not_depend_on_the_end(case):
    net, spikes = case
    whole, part = run_network(net, spikes), run_network(net, spikes[:5])
    for index, values in part.spikes.items():
        np.testing.assert_array_equal(values, whole.spikes[index][:5])


def test_input_may_be_read_only_strided_or_of_another_type(case):
    net, spikes = case
    expected = run_network(net, spikes)
    frozen = spikes.copy()
    frozen.setflags(write=False)
    strided = np.repeat(spikes, 2, axis=0)[::2]
    for variant in (frozen, strided, spikes.astype(bool), spikes.astype(np.float32)):
        assert_equal(expected, run_network(net, variant))
    assert frozen.tobytes() == spikes.tobytes()


def test_the_record_says_what_ran(case):
    net, spikes = case
    record = run_network(net, spikes)
    assert (record.backend, record.steps, record.samples) == ("loihi", 11, 4)
    assert record.elapsed_s is not None
    assert record.elapsed_s > 0
    assert set(record.versions) == {"sdcl-neuro", "numpy", "numba"}
    assert record.activity[0].name in str(record)
    for index, layer in enumerate(net.layers):
        assert record.spikes[index].shape == (11, 4, *layer.out_shape)
        assert record.spikes[index].dtype == np.uint8


def test_two_networks_of_one_shape_take_turns():
    """What is known of them is found by content, and moved to the end by identity."""
    spikes = (np.random.default_rng(0).random((4, 2, 6)) < 0.5).astype(np.uint8)
    eye, double = np.eye(6, dtype=np.int32) * 128, np.eye(6, dtype=np.int32) * 254
    nets = [
        IntNetwork((6,), (IntLayer("d", "dense", w, IntNeuron(4096, 410, 150), (6,), (6,)),))
        for w in (eye, double)
    ]
    first = [run_network(net, spikes).spikes[0] for net in nets]
    again = [run_network(net, spikes).spikes[0] for net in nets]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert first[0].sum() != first[1].sum()
