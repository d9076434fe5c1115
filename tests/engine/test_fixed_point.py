"""The numpy neuron against the oracle's, and the rounding by example."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import engine_oracle as oracle
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.fixed_point import (
    current_decay,
    decay_towards_zero,
    neuron_step,
    quantize_bias,
    quantize_threshold,
    quantize_weight,
    voltage_decay,
    wrap_convolution,
    wrap_current,
)
from sdcl_neuro.network.spec import IntNeuron

ACTIVATIONS = st.one_of(
    st.integers(-(2**31), 2**31 - 1), st.integers(-300, 300), st.integers(-(2**18), 2**18)
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    activations=st.lists(ACTIVATIONS, min_size=1, max_size=12),
    neuron=st.builds(
        IntNeuron, st.integers(1, 4096), st.integers(0, 4096), st.integers(0, 2**17 - 1)
    ),
    bias=st.integers(-4096, 4095),
)
def test_neuron_step_equals_the_oracle(activations, neuron, bias):
    expected = oracle.Neuron(neuron, bias)
    current = voltage = np.zeros(1, np.int64)
    wraps = clips = 0
    for value in activations:
        step = neuron_step(current, voltage, np.array([value]), neuron=neuron, bias=bias)
        fires = expected.step(value)
        assert (step.current[0], step.voltage[0]) == (expected.u, expected.v)
        assert bool(step.spikes[0]) == fires
        current, voltage = step.current, step.voltage
        wraps, clips = wraps + int(step.wrapped[0]), clips + int(step.saturated[0])
    assert (wraps, clips) == (expected.wraps, expected.clips)


def test_decay_rounds_towards_zero():
    states = np.array([-4097, -4096, -1, 0, 1, 4095, 4096])
    assert decay_towards_zero(states, 1).tolist() == [-4095, -4095, 0, 0, 0, 4094, 4095]
    assert decay_towards_zero(states, 4096).tolist() == [0] * 7
    assert decay_towards_zero(states, 0).tolist() == states.tolist()


def test_the_current_wraps_at_unequal_limits():
    top = 2**23
    values, wrapped = wrap_current(np.array([top, top + 1, -top, 1 - top]))
    assert values.tolist() == [top, 1 - top, top, 1 - top]
    assert wrapped.tolist() == [False, True, True, False]


def test_a_convolution_keeps_24_bits():
    top = 2**23
    assert wrap_convolution(np.array([top - 1, top, -top, -top - 1, 3 * top])).tolist() == [
        top - 1,
        -top,
        -top,
        top - 1,
        -top,
    ]


def test_decays_round_half_to_even():
    assert voltage_decay(0.9) == 410
    assert voltage_decay(1.0) == 0
    assert voltage_decay(0.0) == current_decay(0.0) == 4096
    assert current_decay(1 - 2.5 / 4096) == 2
    assert current_decay(1 - 3.5 / 4096) == 4


def test_weights_become_even_and_fit():
    weight = np.array([0.0, 0.9, 1.0, 1.1, 3.0, 5.0, -3.1, 253.0, 255.0, 1e9, -257.0])
    assert quantize_weight(weight, 1.0).tolist() == [0, 0, 0, 2, 4, 4, -4, 252, 254, 254, -256]
    assert quantize_weight(np.float32([0.1]), 100).dtype == np.int32


def test_threshold_and_bias_round_half_to_even():
    assert quantize_threshold(0.5, 5) == 2
    assert quantize_bias([0.5, -0.5, 0.3], 5).tolist() == [2, -2, 2]


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_a_decay_outside_its_range(value):
    with pytest.raises(InputError, match="not in"):
        voltage_decay(value)


@pytest.mark.parametrize(
    ("value", "scale"), [(np.nan, 1.0), (np.inf, 1.0), (1.0, 0.0), (1.0, -2.0), (1.0, np.nan)]
)
def test_what_cannot_be_rounded(value, scale):
    for function in (quantize_weight, quantize_bias, quantize_threshold):
        with pytest.raises(InputError):
            function(value, scale)


def test_a_bias_beyond_32_bits():
    with pytest.raises(InputError, match="32 bits"):
        quantize_bias([1.0], 1e12)
