"""snnTorch in integers against the engine, spike for spike, on random networks."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.depth import examples
from sdcl_neuro.conversion.backends.snntorch_run import run_float, run_integer
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import EnvironmentFault, InputError, NetworkRefused
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.network.spec_convert import dequantize


def _neuron(draw, rng, *, instantaneous=None):
    instantaneous = draw(st.booleans()) if instantaneous is None else instantaneous
    return IntNeuron(
        current_decay=4096 if instantaneous else int(rng.choice([1, 7, 400, 2048, 4095])),
        voltage_decay=int(rng.choice([0, 1, 128, 409, 2048, 4095, 4096])),
        threshold=int(rng.choice([0, 5, 100, 600, 5000, 131071])),
    )


def _weights(draw, rng, shape):
    most = draw(st.sampled_from([2, 60, 254]))
    return (2 * rng.integers(-most // 2, most // 2 + 1, shape)).clip(-256, 254).astype(np.int32)


def _bias(draw, rng, size):
    if not draw(st.booleans()):
        return None
    return rng.integers(-4096, 4096, size).astype(np.int32)


@st.composite
def networks(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 4)), draw(st.integers(3, 9)), draw(st.integers(3, 9)))
    input_shape, layers = shape, []
    for index in range(draw(st.integers(0, 2))):
        groups = draw(st.sampled_from([g for g in (1, 2, 4) if shape[0] % g == 0]))
        kernel = tuple(draw(st.integers(1, 3)) for _ in range(2))
        geometry = Convolution(
            stride=(draw(st.integers(1, 2)), draw(st.integers(1, 2))),
            padding=(draw(st.integers(0, 2)), draw(st.integers(0, 2))),
            dilation=(draw(st.integers(1, 2)), 1),
            groups=groups,
        )
        size = geometry.output_size(shape[1:], kernel)
        if min(size) < 1:
            break
        channels = groups * draw(st.integers(1, 3))
        weight = _weights(draw, rng, (channels, shape[0] // groups, *kernel))
        out_shape = (channels, *size)
        neuron, bias = _neuron(draw, rng), _bias(draw, rng, channels)
        layers.append(
            IntLayer(f"c{index}", "conv", weight, neuron, shape, out_shape, bias, geometry)
        )
        shape = out_shape
    for index in range(draw(st.integers(0 if layers else 1, 2))):
        size, kind = draw(st.integers(1, 12)), draw(st.sampled_from(["dense", "dense_rec"]))
        weight = _weights(draw, rng, (size, prod(shape)))
        recurrent = _weights(draw, rng, (size, size)) if kind == "dense_rec" else None
        neuron, bias = _neuron(draw, rng), _bias(draw, rng, size)
        layers.append(
            IntLayer(
                f"d{index}", kind, weight, neuron, shape, (size,), bias, recurrent_weight=recurrent
            )
        )
        shape = (size,)
    bits = draw(st.sampled_from([0, 0, 3, 8]))
    steps, samples = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    density = draw(st.sampled_from([0.05, 0.5, 1.0]))
    spikes = rng.integers(1, max(2, 2**bits), (steps, samples, *input_shape))
    spikes = (spikes * (rng.random(spikes.shape) < density)).astype(np.uint8)
    return IntNetwork(input_shape, tuple(layers), message_bits=bits), spikes


@settings(max_examples=examples(150), deadline=None, derandomize=True)
@given(networks())
def test_equals_engine(case):
    net, spikes = case
    ours = run_integer(Model(integer=net), spikes)
    theirs = run_network(net, spikes)
    for index in range(len(net.layers)):
        np.testing.assert_array_equal(ours.spikes[index], theirs.spikes[index])


def _dense(weight, *, neuron=None, bias=None, recurrent=None, delay=None):
    weight = np.asarray(weight, np.int32)
    return IntLayer(
        "fc",
        "dense" if recurrent is None else "dense_rec",
        weight,
        neuron or IntNeuron(4096, 409, 300),
        (weight.shape[1],),
        (weight.shape[0],),
        bias,
        recurrent_weight=recurrent,
        delay=delay,
    )


@pytest.mark.parametrize("bits", [0, 8])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("current_decay", [4096, 1, 3000])
def test_wrapping_and_clipping_extremes(sign, current_decay, bits):
    """Inputs so large that the current wraps, the membrane clips and 32 bits overflow."""
    largest = 2**bits - 1 if bits else 1
    weight = np.full((2, 900), 254 * sign * (255 // largest), np.int32)
    weight[1, ::3] *= -1
    bias = np.array([4095 * sign, -4096], np.int32)
    neuron = IntNeuron(current_decay, 3, 131071)
    layer = _dense(weight, neuron=neuron, bias=bias)
    net = IntNetwork((900,), (layer,), message_bits=bits)
    rng = np.random.default_rng(3)
    spikes = rng.choice(np.array([0, 1, largest], np.uint8), (40, 4, 900))
    spikes[:, 1] = largest
    theirs = run_network(net, spikes)
    assert theirs.activity[0].wraps.sum() > 0
    assert theirs.activity[0].saturations.sum() > 0
    ours = run_integer(Model(integer=net), spikes)
    np.testing.assert_array_equal(ours.spikes[0], theirs.spikes[0])


def test_delays_are_refused_by_name():
    layer = _dense([[2, 4]], delay=np.array([[0, 3]], np.int32))
    model = Model(integer=IntNetwork((2,), (layer,)))
    for run in (run_integer, run_float):
        with pytest.raises(NetworkRefused, match=r"fc.*delays.*loihi or lava"):
            run(model, np.ones((3, 1, 2), np.uint8))


def test_float_run_of_integers_agrees_where_nothing_rounds():
    """Halving 64 a six times leaves no remainder to round."""
    rng = np.random.default_rng(1)
    layer = _dense(
        2 * rng.integers(-100, 100, (20, 30)),
        neuron=IntNeuron(2048, 0, 400),
        bias=rng.integers(-50, 50, 20).astype(np.int32),
        recurrent=(2 * rng.integers(-30, 30, (20, 20))).astype(np.int32),
    )
    net = IntNetwork((30,), (layer,))
    spikes = (rng.random((6, 3, 30)) < 0.3).astype(np.uint8)
    exact, floats = run_integer(Model(integer=net), spikes), run_float(Model(integer=net), spikes)
    assert exact.spikes[0].sum() > 50
    np.testing.assert_array_equal(exact.spikes[0], floats.spikes[0])


def test_dequantize_carries_every_field():
    layer = _dense([[2, -4], [6, 8]], bias=np.array([3, -3], np.int32))
    net = dequantize(IntNetwork((2,), (layer,), message_bits=4))
    (floating,) = net.layers
    assert floating.neuron.beta == (4096 - 409) / 4096
    assert (floating.neuron.alpha, floating.neuron.threshold, floating.scale) == (0.0, 300.0, 1.0)
    np.testing.assert_array_equal(floating.weight, [[2, -4], [6, 8]])
    np.testing.assert_array_equal(floating.bias, [3, -3])
    counts = np.full((2, 1, 2), 9, np.uint8)
    assert run_float(Model(floating=net), counts).spikes[0].shape == (2, 1, 2)


def test_layers_and_bad_input():
    model = Model(integer=IntNetwork((2,), (_dense([[200, 2]]), _dense([[200], [100]]))))
    spikes = np.ones((3, 1, 2), np.uint8)
    assert list(run_integer(model, spikes, layers=[1]).spikes) == [1]
    for run in (run_integer, run_float):
        with pytest.raises(InputError, match="no layer 2"):
            run(model, spikes, layers=[2])
        with pytest.raises(InputError, match="count of 2"):
            run(model, spikes * 2)
        with pytest.raises(InputError, match=r"\[T, B, 2\]"):
            run(model, spikes[..., :1])
        with pytest.raises((InputError, EnvironmentFault), match="device"):
            run(model, spikes, device="abacus")
    with pytest.raises(InputError, match="no chip integers"):
        run_integer(Model(floating=dequantize(model.integer)), spikes)


@pytest.mark.parametrize("bits", [0, 8])
def test_a_convolutions_sum_wraps_to_24_bits(bits):
    """Counts of 255 over 400 inputs reach far beyond 2^23 before the shift."""
    rng = np.random.default_rng(0)
    weight = np.where(rng.random((3, 16, 5, 5)) < 0.8, 254, -256).astype(np.int32)
    weight *= 1 if bits else 228
    neuron = IntNeuron(4096, 1000, 2000)
    geometry = Convolution(padding=(2, 2))
    layer = IntLayer("c", "conv", weight, neuron, (16, 6, 6), (3, 6, 6), None, geometry)
    net = IntNetwork((16, 6, 6), (layer,), message_bits=bits)
    drawn = rng.integers(200, 256, (8, 2, 16, 6, 6))
    spikes = (drawn if bits else drawn > 202).astype(np.uint8)
    theirs = run_network(net, spikes)
    assert 0 < theirs.spikes[0].mean() < 1
    ours = run_integer(Model(integer=net), spikes)
    np.testing.assert_array_equal(ours.spikes[0], theirs.spikes[0])
