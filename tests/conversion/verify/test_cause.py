"""Each planted fault is named, and by its name alone.

Faults in what is stored are planted in the engine's own run of another layer or input; faults of
arithmetic in a neuron written here in plain Python integers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sdcl_neuro.conversion.parity.cause import AGREES, UNKNOWN, VARIATIONS, find_cause
from sdcl_neuro.conversion.parity.layer_rules import Rules, membrane_at, simulate
from sdcl_neuro.engine import run_network
from sdcl_neuro.network.fixed_point import decay_towards_zero
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron

_CONSTANTS = {"current_decay": 3000, "voltage_decay": 700, "threshold": 260}


def _spikes(shape, rate=0.3, seed=0):
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.uint8)


def _conv(seed=1, **neuron):
    rng = np.random.default_rng(seed)
    weight = (rng.integers(-50, 70, (4, 2, 3, 3)) * 2).astype(np.int32)
    constants = IntNeuron(
        **{"current_decay": 3000, "voltage_decay": 700, "threshold": 260, **neuron}
    )
    return IntLayer(
        "conv",
        "conv",
        weight,
        constants,
        (2, 9, 9),
        (4, 9, 9),
        rng.integers(-20, 40, 4).astype(np.int32),
        Convolution(padding=(1, 1)),
    )


def _dense(seed=1, outputs=40, **neuron):
    rng = np.random.default_rng(seed)
    weight = (rng.integers(-50, 60, (outputs, 2 * 9 * 9)) * 2).astype(np.int32)
    constants = IntNeuron(
        **{"current_decay": 3000, "voltage_decay": 700, "threshold": 260, **neuron}
    )
    return IntLayer(
        "fc",
        "dense",
        weight,
        constants,
        (2, 9, 9),
        (outputs,),
        rng.integers(-20, 40, outputs).astype(np.int32),
    )


def _engine(layer, spikes, bits=0):
    return run_network(IntNetwork(layer.in_shape, (layer,), bits), spikes).spikes[0]


def test_the_second_implementation_equals_the_engine():
    for seed in range(4):
        for layer in (_conv(seed), _dense(seed)):
            spikes = _spikes((20, 3, 2, 9, 9), seed=seed)
            assert np.array_equal(simulate(layer, spikes), _engine(layer, spikes))
    recurrent = replace(
        _dense(5),
        kind="dense_rec",
        recurrent_weight=np.random.default_rng(3).integers(-90, 90, (40, 40)).astype(np.int32) * 2,
    )
    spikes = _spikes((20, 3, 2, 9, 9), rate=0.1)
    assert np.array_equal(simulate(recurrent, spikes), _engine(recurrent, spikes))
    delays = np.random.default_rng(4).integers(0, 5, (40, 162)).astype(np.int32)
    delayed = replace(_dense(6), delay=delays)
    assert np.array_equal(simulate(delayed, spikes), _engine(delayed, spikes))


@pytest.mark.parametrize("make", [_conv, _dense])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("weights: truncated towards zero to even", lambda w: np.trunc(w / 2) * 2),
        ("weights: rounded down to even", lambda w: w - w % 2),
        ("weights: clipped to -128 ... 127", lambda w: np.clip(w, -128, 127)),
        ("weights: clipped to -256 ... 254", lambda w: np.clip(w, -256, 254)),
        ("weights: half as large", lambda w: np.trunc(w / 2)),
        ("weights: twice as large", lambda w: 2 * w),
        ("weights: other sign", lambda w: -w),
    ],
)
def test_a_fault_in_the_weights(make, name, change):
    rng = np.random.default_rng(7)
    layer = make()
    reach = 400 if "256" in name else 240
    layer = replace(layer, weight=rng.integers(-reach, reach, layer.weight.shape).astype(np.int32))
    spikes = _spikes((25, 2, 2, 9, 9), rate=0.2)
    faulty = replace(layer, weight=change(layer.weight).astype(np.int32))
    assert find_cause(layer, spikes, _engine(faulty, spikes)) == (name,)


@pytest.mark.parametrize("make", [_conv, _dense])
@pytest.mark.parametrize(
    ("name", "field", "by"),
    [
        ("voltage decay: one too large", "voltage_decay", 1),
        ("voltage decay: one too small", "voltage_decay", -1),
        ("current decay: one too large", "current_decay", 1),
        ("current decay: one too small", "current_decay", -1),
        ("threshold: one too large", "threshold", 1),
        ("threshold: one too small", "threshold", -1),
    ],
)
def test_a_fault_in_a_constant(make, name, field, by):
    layer = make(current_decay=900, voltage_decay=60, threshold=3000)
    spikes = _spikes((60, 4, 2, 9, 9), rate=0.2)
    neuron = replace(layer.neuron, **{field: getattr(layer.neuron, field) + by})
    assert find_cause(layer, spikes, _engine(replace(layer, neuron=neuron), spikes)) == (name,)


def test_a_current_left_out():
    layer, spikes = _conv(), _spikes((20, 2, 2, 9, 9))
    neuron = replace(layer.neuron, current_decay=4096)
    found = find_cause(layer, spikes, _engine(replace(layer, neuron=neuron), spikes))
    assert found == ("current decay: left out, the current is instantaneous",)


@pytest.mark.parametrize(
    ("name", "change"),
    [("bias: left out", lambda b: None), ("bias: added twice", lambda b: 2 * b)],
)
def test_a_fault_in_the_bias(name, change):
    layer, spikes = _conv(), _spikes((20, 2, 2, 9, 9))
    faulty = replace(layer, bias=change(layer.bias))
    assert find_cause(layer, spikes, _engine(faulty, spikes)) == (name,)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("layout: kernels flipped", lambda w: np.flip(w, (2, 3)).copy()),
        ("layout: kernels transposed", lambda w: w.transpose(0, 1, 3, 2).copy()),
    ],
)
def test_a_fault_in_the_kernels_layout(name, change):
    layer, spikes = _conv(), _spikes((20, 2, 2, 9, 9))
    faulty = replace(layer, weight=change(layer.weight))
    assert find_cause(layer, spikes, _engine(faulty, spikes)) == (name,)


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("layout: flattened as (x, y, c)", (4, 3, 2)),
        ("layout: flattened as (y, x, c)", (3, 4, 2)),
        ("layout: flattened as (c, x, y)", (2, 4, 3)),
    ],
)
def test_a_fault_in_the_flatten_order(name, axes):
    layer = replace(_dense(), in_shape=(2, 9, 5), weight=_dense().weight[:, :90])
    spikes = _spikes((20, 2, 2, 9, 5))
    flat = spikes.transpose(0, 1, *axes).reshape(20, 2, 90)
    theirs = _engine(replace(layer, in_shape=(90,)), np.ascontiguousarray(flat))
    assert find_cause(layer, spikes, theirs) == (name,)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("layout: input channels reversed (polarity)", lambda s: s[:, :, ::-1]),
        ("layout: input x and y exchanged", lambda s: s.transpose(0, 1, 2, 4, 3)),
        ("time: input one step late", lambda s: np.concatenate([s[:1] * 0, s[:-1]])),
        ("time: input one step early", lambda s: np.concatenate([s[1:], s[:1] * 0])),
    ],
)
def test_a_fault_in_the_input(name, change):
    layer, spikes = _conv(), _spikes((20, 2, 2, 9, 9))
    theirs = _engine(layer, np.ascontiguousarray(change(spikes)))
    assert find_cause(layer, spikes, theirs) == (name,)


def test_counts_taken_as_binary():
    layer = _conv()
    counts = np.random.default_rng(0).integers(0, 4, (20, 2, 2, 9, 9)).astype(np.uint8)
    theirs = _engine(layer, (counts > 0).astype(np.uint8))
    assert find_cause(layer, counts, theirs) == ("input: counts taken as binary",)


def test_state_not_cleared_between_samples():
    layer, spikes = _conv(), _spikes((12, 3, 2, 9, 9))
    joined = spikes.swapaxes(0, 1).reshape(36, 1, 2, 9, 9)
    theirs = _engine(layer, joined).reshape(3, 12, 4, 9, 9).swapaxes(0, 1)
    found = find_cause(layer, spikes, np.ascontiguousarray(theirs))
    assert found == ("state: not cleared between samples",)


def _neuron(layer, spikes, fault):
    """A dense layer neuron by neuron in Python's integers, with one fault in its arithmetic."""
    steps, samples = spikes.shape[:2]
    flat = spikes.reshape(steps, samples, -1).astype(np.int64)
    sums = flat @ layer.weight.T.astype(np.int64)
    out = np.zeros(sums.shape, np.uint8)
    du, dv, th = layer.neuron.current_decay, layer.neuron.voltage_decay, layer.neuron.threshold

    def decayed(state, decay):
        kept = state * (4096 - decay)
        if fault == "down":
            return kept // 4096
        if fault == "nearest":
            return round(kept / 4096)
        if fault == "none":
            return kept / 4096
        return abs(kept) // 4096 * (1 if kept > 0 else -1)

    for b in range(samples):
        for n in range(sums.shape[2]):
            u = v = 0
            fired = False
            bias = 0 if layer.bias is None else int(layer.bias[n]) * 64
            for t in range(steps):
                u = decayed(u, du) + int(sums[t, b, n]) * 64
                u += bias if fault == "bias" else 0
                if fault != "nowrap":
                    u -= (1 << 24) if u > 1 << 23 else 0
                    u += (1 << 24) if u <= -(1 << 23) else 0
                v = decayed(v, dv) + u + (0 if fault == "bias" else bias)
                if fault == "late" and fired:
                    v = 0
                if fault != "noclip":
                    v = max(-(1 << 23) + 1, min((1 << 23) - 1, v))
                fired = v >= th * 64 if fault == "reach" else v > th * 64
                out[t, b, n] = fired
                if fired and fault not in ("late", "never"):
                    v = v - th * 64 if fault == "subtract" else 0
    return out


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("down", "decay: rounded down, not towards zero"),
        ("nearest", "decay: rounded to nearest, not towards zero"),
        ("none", "decay: not rounded"),
        ("reach", "threshold: a membrane equal to it fires"),
        ("subtract", "reset: by subtraction"),
        ("never", "reset: never"),
        ("late", "reset: one step late, swallowing that step's input"),
        ("bias", "bias: added to the current"),
    ],
)
def test_a_fault_in_the_arithmetic(fault, name):
    # Long runs of small numbers, so that single roundings come to light.
    rng = np.random.default_rng(2)
    weight = (rng.integers(-3, 4, (30, 60)) * 2).astype(np.int32)
    neuron = IntNeuron(4096, 2048, 12) if fault == "reach" else IntNeuron(1500, 30, 60)
    layer = IntLayer(
        "fc", "dense", weight, neuron, (60,), (30,), rng.integers(-2, 5, 30).astype(np.int32)
    )
    spikes = _spikes((150, 3, 60), rate=0.3)
    assert np.array_equal(_neuron(layer, spikes, None), _engine(layer, spikes))
    assert find_cause(layer, spikes, _neuron(layer, spikes, fault)) == (name,)


def _mixed(low, high, neuron):
    """Twelve neurons with 80 inputs, the first 40 between the negatives, the others positive."""
    rng = np.random.default_rng(6)
    weight = rng.integers(low, high, (12, 80)) * np.where(np.arange(80) < 40, -1, 1)
    return IntLayer("fc", "dense", weight.astype(np.int32), neuron, (80,), (12,))


def test_a_membrane_that_is_not_clipped():
    """Pushed far below, then up again: only a clipped membrane comes back in time."""
    layer = _mixed(100, 250, IntNeuron(4096, 10, 1000))
    spikes = _spikes((80, 2, 80), rate=0.9)
    spikes[:40, :, 40:] = 0
    spikes[40:, :, :40] = 0
    assert np.array_equal(_neuron(layer, spikes, None), _engine(layer, spikes))
    found = find_cause(layer, spikes, _neuron(layer, spikes, "noclip"))
    assert found == ("saturation: the membrane is not clipped",)


def test_a_current_that_does_not_wrap_around():
    layer = _mixed(50, 250, IntNeuron(2, 4000, 20000))
    spikes = _spikes((60, 2, 80), rate=0.5)
    spikes[:40, :, :40] = 0
    assert np.array_equal(_neuron(layer, spikes, None), _engine(layer, spikes))
    found = find_cause(layer, spikes, _neuron(layer, spikes, "nowrap"))
    assert found == ("wrap: the current does not wrap around",)


def test_what_no_single_fault_explains_is_unknown():
    layer, spikes = _conv(), _spikes((20, 2, 2, 9, 9))
    theirs = _engine(layer, spikes)
    theirs[7, 0, 1, 2, 3] ^= 1
    assert find_cause(layer, spikes, theirs) == (UNKNOWN,)
    assert find_cause(layer, spikes, _engine(layer, spikes)) == (AGREES,)


def test_every_variation_has_its_own_name_and_a_known_part():
    names = [variation.name for variation in VARIATIONS]
    assert len(set(names)) == len(names)
    parts = {name.split(":")[0] for name in names}
    assert {"weights", "threshold", "reset", "saturation", "wrap", "layout", "time"} <= parts


@pytest.mark.parametrize("carries", [False, True])
def test_a_membrane_is_what_the_neurons_equations_give(carries):
    """Step by step with `fixed_point`, one neuron of a dense layer with a current and a bias."""
    rng = np.random.default_rng(5)
    layer = IntLayer(
        name="dense",
        kind="dense",
        weight=rng.integers(-60, 60, (3, 7)).astype(np.int32) * 2,
        neuron=IntNeuron(current_decay=1000, voltage_decay=300, threshold=150),
        in_shape=(7,),
        out_shape=(3,),
        bias=np.array([3, -2, 5], np.int32),
    )
    spikes = (rng.random((6, 2, 7)) < 0.5).astype(np.uint8)
    samples = [0, 1] if carries else [1]
    sums = [layer.weight[2] @ spikes[t, b] for b in samples for t in range(6)][:-1]  # up to step 4
    current = voltage = 0
    for total in sums:
        current = decay_towards_zero(current, 1000) + int(total) * 64
        membrane = decay_towards_zero(voltage, 300) + current + 5 * 64
        voltage = 0 if membrane > 150 * 64 else membrane
    assert membrane_at(layer, spikes, (4, 1, 2), Rules(carries=carries)) == membrane
