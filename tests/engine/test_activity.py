"""Fan-out and synapses against explicit adjacency."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import engine_oracle as oracle
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.activity import count_activity, fan_out, recurrent_fan_out, synapses
from sdcl_neuro.testing import KINDS, random_network, random_spikes


@settings(max_examples=80, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KINDS))
def test_fan_out_is_the_number_of_explicit_synapses(seed, kind):
    for layer in random_network(seed, kind=kind).layers:
        fan = np.zeros(int(np.prod(layer.in_shape)), np.int64)
        for source, _, _, _ in oracle.synapses_of(layer):
            fan[source] += 1
        np.testing.assert_array_equal(fan_out(layer), fan.reshape(layer.in_shape))
        recurrent = layer.neurons if layer.kind == "dense_rec" else 0
        assert recurrent_fan_out(layer) == recurrent
        assert synapses(layer) == fan.sum() + recurrent * layer.neurons


def test_missing_or_wrong_spikes_are_named():
    net = random_network(0, kind="dense", layers=2)
    spikes = random_spikes(net, 0)
    first = np.zeros((*spikes.shape[:2], *net.layers[0].out_shape), np.uint8)
    with pytest.raises(InputError, match=r"layer 1 .*no spikes"):
        count_activity(net, spikes, {0: first})
    with pytest.raises(InputError, match=r"layer 0 .*shape"):
        count_activity(net, spikes, [first[:3], first])
