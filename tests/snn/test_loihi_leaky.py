"""The chip-exact neurons against `fixed_point`, snnTorch, and finite differences."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import snntorch as snn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.errors import InputError
from sdcl_neuro.network import fixed_point
from sdcl_neuro.snn.chip_ops import (
    UNIT,
    chip_bias,
    chip_weight,
    decay,
    register,
    straight_round,
    wrap_current,
)
from sdcl_neuro.snn.loihi_leaky import LoihiLeaky, LoihiRLeaky, LoihiSynaptic

SCALES = st.floats(0.01, 5000).map(lambda x: float(np.float32(x)))
FLOATS = st.floats(-30, 30, width=32)


# ---------------------------------------------------------------- rounding, op by op


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(FLOATS, min_size=1, max_size=20), SCALES)
def test_weights_and_biases_round_as_fixed_point_does(values, scale):
    tensor = torch.tensor(values, dtype=torch.float32)
    array = tensor.numpy()
    expected = fixed_point.quantize_weight(array, scale)
    np.testing.assert_array_equal(chip_weight(tensor, scale).numpy(), expected)
    expected = fixed_point.quantize_bias(array, scale)
    np.testing.assert_array_equal(chip_bias(tensor, scale).numpy(), expected.astype(np.float32))


def test_halves_round_to_even():
    # 1/2, 3/2 and 5/2 of an even step: to 0, 2 x 2 and 2 x 2.
    np.testing.assert_array_equal(chip_weight(torch.tensor([1.0, 3.0, 5.0]), 1.0), [0, 4, 4])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(-(2**23) + 1, 2**23 - 1), min_size=1, max_size=20), st.integers(0, 4096)
)
def test_decay_is_exact_in_float32(states, leak):
    found = decay(torch.tensor(states, dtype=torch.float32), torch.tensor(0.5), 4096 - leak)
    expected = fixed_point.decay_towards_zero(np.array(states, np.int64), leak)
    np.testing.assert_array_equal(found.numpy().astype(np.int64), expected)


def test_wrap_and_register():
    edge = np.array([2**23, 2**23 + 64, -(2**23), -(2**23) - 64, 2**24, 2**29], np.int64)
    expected, _ = fixed_point.wrap_current(edge)
    found = wrap_current(torch.tensor(edge, dtype=torch.float32))
    np.testing.assert_array_equal(found.numpy().astype(np.int64), expected)
    wide = np.array([2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 5 * 2**31 + 7], np.int64)
    found = register(torch.tensor(wide, dtype=torch.float64))
    np.testing.assert_array_equal(found.numpy().astype(np.int64), wide.astype(np.int32))


# ---------------------------------------------------------------- neurons, step by step


def reference(neuron, sums, bias=0):
    """`fixed_point`'s own neuron over integer sums ``[T, N]``: spikes and membranes."""
    current = voltage = np.zeros(sums.shape[1:], np.int64)
    spikes = []
    for step in sums:
        state = fixed_point.neuron_step(current, voltage, step, neuron=neuron, bias=bias)
        current, voltage = state.current, state.voltage
        spikes.append(state.spikes)
    return np.stack(spikes)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.sampled_from([0.0, 0.3, 0.99]),
    st.floats(0.01, 3),
    st.sampled_from([3, 300, 131072, 200000]),
)
def test_neurons_equal_fixed_point(seed, beta, alpha, threshold, reach):
    rng = np.random.default_rng(seed)
    sums = rng.integers(-reach, reach + 1, (25, 2, 40))
    bias = int(rng.integers(-4096, 4096))
    neuron = (
        LoihiSynaptic(alpha, beta, threshold, mode="int", scale=97.5)
        if alpha
        else LoihiLeaky(beta, threshold, mode="int", scale=97.5)
    )
    with torch.no_grad():
        found = neuron.sequence(
            torch.from_numpy(sums).double(), torch.tensor(float(bias), dtype=torch.float64)
        )
    expected = reference(neuron.integer_neuron(), sums, bias)
    np.testing.assert_array_equal(found.numpy().astype(bool), expected)


@pytest.mark.parametrize("reset_delay", [True, False])
@pytest.mark.parametrize("hidden", [True, False])
def test_single_steps_equal_the_sequence(reset_delay, hidden):
    neuron = LoihiLeaky(
        0.9, 0.8, mode="int", scale=100.0, reset_delay=reset_delay, init_hidden=hidden
    )
    sums = torch.from_numpy(np.random.default_rng(0).integers(-60, 90, (30, 2, 50))).float()
    expected = neuron.sequence(sums)
    state, found = None, []
    for step in sums:
        result = neuron(step / 100) if hidden else neuron(step / 100, state)
        spike, state = (result, None) if hidden else result
        found.append(spike)
    torch.testing.assert_close(torch.stack(found), expected, rtol=0, atol=0)
    assert 0.05 < expected.mean() < 0.6
    neuron.mode = "float"
    if hidden:
        with pytest.raises(TypeError):
            neuron(sums[0], sums[0])


@pytest.mark.parametrize("sign", [1, -1])
def test_membrane_is_clipped_symmetrically(sign):
    neuron = LoihiLeaky(1.0, 131071.0, mode="int", scale=1.0, reset_delay=True)
    state = None
    for _ in range(3):
        _, state = neuron(torch.tensor([sign * 100_000.0]), state)
        state = state.masked_fill(state > 0, 6_400_000.0)  # no reset between
    _, state = neuron(torch.tensor([sign * 100_000.0]), state)
    assert state.item() == sign * (2**23 - 1)


@pytest.mark.parametrize("kind", ["leaky", "synaptic", "rleaky"])
def test_float_mode_is_snntorch_itself(kind):
    torch.manual_seed(1)
    options = {"threshold": 0.7, "reset_mechanism": "zero"}
    if kind == "leaky":
        theirs, ours = snn.Leaky(0.85, **options), LoihiLeaky(0.85, 0.7)
    elif kind == "synaptic":
        theirs = snn.Synaptic(0.5, 0.85, reset_delay=False, **options)
        ours = LoihiSynaptic(0.5, 0.85, 0.7)
    else:
        theirs = snn.RLeaky(0.85, linear_features=20, reset_delay=False, **options)
        ours = LoihiRLeaky(0.85, 0.7, linear_features=20)
        ours.recurrent.load_state_dict(theirs.recurrent.state_dict())
    currents = torch.randn(15, 3, 20).requires_grad_()
    zero = torch.zeros(3, 20)
    states, expected = [zero] if kind == "leaky" else [zero, zero], []
    for step in currents:
        result = theirs(step, *states)
        states = list(result[-len(states) :])
        expected.append(result[0])
    expected = torch.stack(expected)
    found = ours.sequence(currents)
    assert 0.05 < expected.mean() < 0.6
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    weights = torch.randn_like(expected)
    (one,) = torch.autograd.grad((expected * weights).sum(), currents)
    (two,) = torch.autograd.grad((found * weights).sum(), currents)
    torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_recurrent_single_steps_in_integers_equal_their_sequence():
    torch.manual_seed(2)
    neuron = LoihiRLeaky(0.85, 0.7, linear_features=12, mode="int", scale=64.0)
    with torch.no_grad():
        neuron.recurrent.weight.mul_(3)
    bias = chip_bias(neuron.recurrent.bias, 64.0).detach()
    sums = torch.from_numpy(np.random.default_rng(3).integers(-40, 60, (20, 2, 12))).float()
    recurrent = chip_weight(neuron.recurrent.weight, 64.0).detach()
    expected = neuron.sequence(sums, bias, recurrent=recurrent)
    spike, state, found = None, None, []
    for step in sums:
        spike, state = neuron(step / 64, spike, state)
        found.append(spike)
    assert expected.mean() > 0.05
    torch.testing.assert_close(torch.stack(found), expected, rtol=0, atol=0)


def test_discarded_neurons_do_not_stay_in_snntorchs_list():
    neuron = LoihiLeaky(0.9)
    gone = weakref.ref(neuron)
    del neuron
    gc.collect()
    assert gone() is None


def test_parameters_that_no_chip_has():
    with pytest.raises(InputError, match="beta has 3 values"):
        LoihiRLeaky(torch.tensor([0.1, 0.2, 0.3]), linear_features=3)
    with pytest.raises(InputError, match=r"differ between channels.*prepare_quantization"):
        LoihiLeaky(torch.tensor([0.1, 0.2, 0.3]), scale=100.0).integer_neuron()
    with pytest.raises(InputError, match=r"no weight scale.*prepare_quantization"):
        LoihiLeaky(0.9).integer_neuron()
    with pytest.raises(InputError, match="threshold 200000"):
        LoihiLeaky(0.9, 2000.0, scale=100.0).integer_neuron()


# ---------------------------------------------------------------- gradients


def test_gradients_match_finite_differences_of_the_membrane():
    """Below the threshold nothing jumps: the membrane's slope in integers is that of the float."""
    neuron = LoihiLeaky(
        0.75, 1000.0, mode="int", scale=40.0, learn_beta=True, spike_grad=lambda x: x
    )
    sums = torch.from_numpy(np.random.default_rng(5).integers(-300, 400, (6, 1, 8))).float()
    sums.requires_grad_()
    neuron.sequence(sums)[-1].sum().backward()
    limit = neuron.integer_neuron().threshold

    def distance(values, beta):
        state = np.zeros(values.shape[1:])
        for step in values:
            state = beta * state + step
        return (state.sum() - limit * state.size) / limit

    base, step = sums.detach().double().numpy(), 1e-3
    for t in range(6):
        moved = base.copy()
        moved[t, 0, 2] += step
        slope = (distance(moved, 0.75) - distance(base, 0.75)) / step
        assert float(sums.grad[t, 0, 2]) == pytest.approx(slope, rel=1e-3)
    slope = (distance(base, 0.75 + 1e-5) - distance(base, 0.75 - 1e-5)) / 2e-5
    assert neuron.beta.grad.item() == pytest.approx(slope, rel=2e-3)


def test_straight_through_values_are_exact():
    values = torch.tensor([0.4, 0.5, 1.5, 7e6 + 0.5], requires_grad=True)
    rounded = straight_round(values)
    assert rounded.tolist() == [0, 0, 2, 7e6]
    (rounded * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert values.grad.tolist() == [1, 2, 3, 4]
    assert UNIT == 64
