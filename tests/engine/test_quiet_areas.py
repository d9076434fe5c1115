"""Cells that receive nothing are not visited and miss nothing: states and counts are exact."""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import engine_oracle as oracle
from sdcl_neuro.compiling import lean
from sdcl_neuro.engine import run_network
from sdcl_neuro.engine.check import check_network
from sdcl_neuro.engine.event import layer as event_layer
from sdcl_neuro.engine.event import machine
from sdcl_neuro.engine.event.machine import Machine, machine_of
from sdcl_neuro.engine.event.neuron_step import CELL, catch_up
from sdcl_neuro.engine.event.plan import LayerPlan
from sdcl_neuro.engine.event.stream import EventStream
from sdcl_neuro.engine.totals import COUNTED
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.testing import random_network

COUNTS = (
    "spikes_in", "spikes_out", "synops", "synops_nonzero", "updates", "saturations", "wraps",
    "accumulates", "multiplies", "membrane_updates",
)  # fmt: skip


def without_bias(seed: int, *, kind: str, message_bits: int = 0, slow: bool = False) -> IntNetwork:
    """A random network whose neurons only decay when they receive nothing."""
    net = random_network(seed, kind=kind, message_bits=message_bits)
    rng = np.random.default_rng(seed)
    layers = []
    for layer in net.layers:
        decay = int(rng.choice([0, 1, 40, 900, 4095, 4096])) if slow else layer.neuron.voltage_decay
        neuron = replace(layer.neuron, current_decay=4096, voltage_decay=decay)
        layers.append(replace(layer, bias=None, neuron=neuron))
    return IntNetwork(net.input_shape, tuple(layers), net.message_bits, dict(net.meta))


def bursts(net: IntNetwork, seed: int, *, steps: int, samples: int = 1) -> np.ndarray:
    """Spikes in a few steps and a few places, silence between."""
    rng = np.random.default_rng(seed)
    spikes = np.zeros((steps, samples, *net.input_shape), np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        step, places = int(rng.integers(steps)), rng.random(spikes.shape[1:]) < rng.random() * 0.3
        spikes[step][places] = rng.integers(1, 2 ** max(1, net.message_bits), places.sum())
    return spikes


def assert_equal(one, other) -> None:
    """Spikes of all layers and all counts."""
    assert one.spikes.keys() == other.spikes.keys()
    for index in one.spikes:
        np.testing.assert_array_equal(one.spikes[index], other.spikes[index])
    for first, second in zip(one.activity, other.activity, strict=True):
        for name in COUNTS:
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name), name)


@lean
def _catch_up(voltage, kept, threshold, missed):  # type: ignore[no-untyped-def]
    return catch_up(voltage, np.uint64(0), kept, threshold, missed)


def test_missed_steps_are_made_up_truncation_by_truncation():
    rng = np.random.default_rng(0)
    for trial in range(400):
        kept = int(rng.choice([0, 1, 2048, 4000, 4095, 4096, rng.integers(4097)]))
        threshold = int(rng.integers(0, 1 << 17)) << 6
        missed = int(rng.choice([1, 2, 7, 300, 100_000]))
        values = rng.integers(-(2**23) + 1, 2**23, CELL) >> int(rng.integers(0, 23))
        if trial % 3 == 0:
            values[rng.integers(CELL)] = np.iinfo(np.int32).max  # before a first step
        state = values.astype(np.int32)
        moves = _catch_up(state, np.int32(kept), np.int32(threshold), np.uint64(missed))
        expected, count = values.tolist(), 0
        for _ in range(missed):
            after = [0 if v > threshold else abs(v) * kept // 4096 * (1 if v > 0 else -1)
                     for v in expected]  # fmt: skip
            moved = sum(a != b or b > threshold for a, b in zip(after, expected, strict=True))
            expected, count = after, count + moved
            if not moved:
                break
        assert state.tolist() == expected
        assert moves == count


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["conv", "dense", "dense_rec", "delay", "any"]),
    message_bits=st.sampled_from([0, 8]),
    chunk=st.sampled_from([None, 1, 3]),
)
def test_quiet_networks_equal_the_oracle(seed, kind, message_bits, chunk):
    net = without_bias(seed, kind=kind, message_bits=message_bits, slow=seed % 2 == 0)
    spikes = bursts(net, seed, steps=12, samples=2)
    record = run_network(net, spikes, path="event", chunk=chunk)
    for index, (sent, counts) in enumerate(oracle.run(net, spikes)):
        np.testing.assert_array_equal(record.spikes[index], sent)
        got = {name: getattr(record.activity[index], name).tolist() for name in COUNTS}
        assert got == counts


def test_the_networks_here_are_left_unvisited():
    """Else the tests of this file would show nothing."""
    plans = [
        plan
        for seed in range(20)
        for plan in Machine(without_bias(seed, kind="conv")).plans
        if isinstance(plan, LayerPlan)
    ]
    assert len(plans) > 20
    assert all(plan.only_decays for plan in plans)
    biased = random_network(0, kind="conv", layers=1)
    bias = np.ones(biased.layers[0].weight.shape[0], np.int32)
    layer = replace(biased.layers[0], bias=bias)
    (plan,) = Machine(IntNetwork(biased.input_shape, (layer,))).plans
    assert not plan.only_decays


@pytest.mark.parametrize("bands", [1, 3])
def test_pieces_resets_and_bands_change_nothing(monkeypatch, bands):
    monkeypatch.setattr(machine, "WORTH_SPLITTING", 0)
    monkeypatch.setattr(machine, "processors", lambda: bands)
    for seed in range(8):
        net = without_bias(seed, kind="conv", slow=True)
        spikes = bursts(net, seed, steps=90)
        whole = run_network(net, spikes, path="event")
        assert_equal(whole, run_network(net, spikes, path="event", chunk=7))  # states were kept
        stream = EventStream(
            net, machine_of(net, check_network(net)), 1, keep=range(len(net.layers))
        )
        edges = [0, 1, 40, 41, 90]
        for low, high in itertools.pairwise(edges):
            piece = stream.advance(spikes[low:high])
            for index, sent in piece.items():
                np.testing.assert_array_equal(sent, whole.spikes[index][low:high])
            stream.totals()  # what was read in between is not counted twice
        moved = stream.totals()[:, :, COUNTED.index("membrane_updates")]
        stream.close()
        assert moved.tolist() == [layer.membrane_updates.tolist() for layer in whole.activity]


WIDE = {
    "one word of marks": ((2, 3, 250), (8, 2, 3, 5), 1),
    "two words": ((2, 3, 300), (8, 2, 3, 5), 1),
    "three words, in strides": ((3, 4, 1300), (9, 3, 3, 7), 2),
    "kernels across two words": ((1, 2, 400), (64, 1, 1, 33), 1),
    "kernels across three words": ((1, 2, 1500), (16, 1, 1, 301), 1),
}


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.3])
@pytest.mark.parametrize("case", WIDE)
def test_cells_of_wide_rows_are_found(case: str, rate: float) -> None:
    shape, weight, stride = WIDE[case]
    rng = np.random.default_rng(len(case))
    padding = (weight[2] // 2, weight[3] // 2)
    geometry = Convolution((stride, stride), padding)
    out_shape = (weight[0], *geometry.output_size(shape[1:], weight[2:]))
    neuron = IntNeuron(4096, 300, int(60 + 40 * rate * prod(weight[1:])))
    weights = rng.integers(-60, 100, weight).astype(np.int32)
    layer = IntLayer("wide", "conv", weights, neuron, shape, out_shape, convolution=geometry)
    net = IntNetwork(shape, (layer,))
    spikes = (rng.random((9, 1, *shape)) < rate).astype(np.uint8)
    own = run_network(net, spikes)
    assert own.spikes[0].any()
    assert_equal(own, run_network(net, spikes, path="reference"))


@pytest.mark.parametrize("outputs", [2_000, 2_100, 4_100, 9_000])
def test_cells_of_long_layers_are_found(outputs: int) -> None:
    rng = np.random.default_rng(outputs)
    weight = rng.integers(-60, 100, (outputs, 20)).astype(np.int32)
    layer = IntLayer("long", "dense", weight, IntNeuron(4096, 300, 60), (20,), (outputs,))
    net = IntNetwork((20,), (layer,))
    spikes = (rng.random((9, 2, 20)) < 0.05).astype(np.uint8)
    own = run_network(net, spikes)
    assert own.spikes[0].any()
    assert_equal(own, run_network(net, spikes, path="reference"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["conv", "dense", "dense_rec", "delay", "any"])
def test_thousands_of_quiet_networks_equal_the_dense_path(kind):
    for seed in range(600):
        net = without_bias(seed, kind=kind, message_bits=(0, 8)[seed % 2], slow=seed % 3 == 0)
        spikes = bursts(net, seed, steps=60, samples=2)
        one = run_network(net, spikes, path="event", chunk=(None, 1, 5, 33)[seed % 4])
        assert_equal(one, run_network(net, spikes, path="reference"))


@pytest.mark.parametrize("limit", [5, 8, 13])
def test_steps_beyond_what_a_visit_can_tell_apart(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting anew changes nothing, also for cells that were never visited before."""
    net = without_bias(3, kind="conv")
    spikes = bursts(net, 5, steps=24)
    spikes[:4] = 0
    whole = run_network(net, spikes, path="reference")
    monkeypatch.setattr(event_layer, "STEPS_MAX", limit)
    stream = EventStream(net, Machine(net), 1, keep=range(len(net.layers)))
    pieces = [stream.advance(spikes[start : start + 3]) for start in range(0, 24, 3)]
    for index, values in whole.spikes.items():
        found = np.concatenate([piece[index] for piece in pieces])
        np.testing.assert_array_equal(found, values)
    totals = stream.totals()
    moved = totals[:, 0, COUNTED.index("membrane_updates")]
    expected = [int(one.membrane_updates.sum()) for one in whole.activity]
    assert moved.tolist() == expected
    stream.close()


def test_counts_may_be_asked_for_on_the_way() -> None:
    net = without_bias(4, kind="conv")
    spikes = bursts(net, 6, steps=20)
    stream = EventStream(net, Machine(net), 1, keep=())
    for start in range(0, 20, 5):
        stream.advance(spikes[start : start + 5])
        part = run_network(net, spikes[: start + 5], path="reference", layers=())
        moved = stream.totals()[:, 0, COUNTED.index("membrane_updates")]
        assert moved.tolist() == [int(one.membrane_updates.sum()) for one in part.activity]
    stream.close()
