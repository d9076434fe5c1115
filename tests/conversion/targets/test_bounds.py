"""The bounds that decide which wraps are computed at all, against the neuron itself."""

from __future__ import annotations

import numpy as np
import pytest

from sdcl_neuro.conversion.targets import vectors
from sdcl_neuro.conversion.targets.bounds import bounds
from sdcl_neuro.conversion.targets.scatter import by_input, stored
from sdcl_neuro.conversion.targets.vectors import expected, sample_spikes
from sdcl_neuro.engine import run_network
from sdcl_neuro.network.activity import fan_out
from sdcl_neuro.network.fixed_point import STATE_LIMIT, neuron_step
from sdcl_neuro.network.spec import IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.testing import KINDS, random_network


def _steady(layer: IntLayer, steps: int = 4000) -> tuple[int, bool]:
    """The largest current of a layer whose inputs all fire all the time, and whether it wrapped."""
    total = np.array([int(np.abs(layer.weight.astype(np.int64)).sum(axis=1).max())])
    current = voltage = np.zeros(1, np.int64)
    largest, wrapped = 0, False
    for _ in range(steps):
        state = neuron_step(current, voltage, total, neuron=layer.neuron)
        current, voltage = state.current, state.voltage
        largest = max(largest, int(np.abs(current).max()))
        wrapped |= bool(state.wrapped.any())
    return largest, wrapped


@pytest.mark.parametrize("current_decay", [1, 3, 30, 2500, 4096])
@pytest.mark.parametrize("weight", [2, 254, 20_000])
def test_the_current_stays_below_its_bound_and_comes_near(current_decay: int, weight: int) -> None:
    layer = IntLayer(
        "one",
        "dense",
        np.full((1, 3), weight, np.int32),
        IntNeuron(current_decay, 100, 5),
        (3,),
        (1,),
    )
    bound = bounds(layer, largest=1)
    largest, wrapped = _steady(layer)
    assert wrapped <= bound.wraps_current
    if not bound.wraps_current:
        assert largest <= bound.current < STATE_LIMIT
        if current_decay >= 30:  # 4000 steps are enough to get there
            assert largest > 0.9 * bound.current


def test_a_wrap_that_happens_is_never_ruled_out() -> None:
    for kind in KINDS:
        for seed in range(12):
            net = random_network(seed, kind=kind, extreme=True, message_bits=8)
            spikes = np.full((30, 1, *net.input_shape), 255, np.uint8)
            for index, counted in enumerate(run_network(net, spikes).activity):
                bound = bounds(net.layers[index], largest=255 if index == 0 else 1)
                assert not (counted.wraps.any() and not bound.wraps_current)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_by_input_are_the_same_synapses(kind: str) -> None:
    for seed in range(5):
        net = random_network(seed, kind=kind)
        for layer in net.layers:
            kept = stored(layer)
            assert np.array_equal(kept.weight << kept.shift, by_input(layer, layer.weight))
            assert np.abs(kept.weight).max() < 1 << (kept.bits - 1)
            assert kept.bits == 8  # even weights of 9 bits
            assert sorted(kept.weight.reshape(-1) << kept.shift) == sorted(layer.weight.reshape(-1))
            if layer.convolution is None:
                reached = np.prod(kept.weight.shape[1:])
                assert (fan_out(layer) == reached).all()


def test_vectors_hold_what_the_engine_computes_and_are_cut_to_whole_steps(
    networks: dict[str, IntNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    for net in (networks["compact"], random_network(1, message_bits=8)):
        spikes = sample_spikes(net)
        words, steps = expected(net, spikes)
        assert steps == len(spikes)
        record, at = run_network(net, spikes), 0
        for step in range(steps):
            count, at = int(words[at]), at + 1
            width = 2 if net.message_bits else 1
            listed = words[at : at + count * width].reshape(count, width)
            at += count * width
            given = np.zeros(spikes[step].size, np.uint8)
            given[listed[:, 0]] = listed[:, 1] if net.message_bits else 1
            assert np.array_equal(given, spikes[step].reshape(-1))
            for layer in record.spikes.values():
                count, at = int(words[at]), at + 1
                assert np.array_equal(words[at : at + count], np.flatnonzero(layer[step]))
                at += count
        assert at == len(words)
    monkeypatch.setattr(vectors, "MAX_WORDS", len(words) // 2)
    shorter, fewer = expected(net, spikes)
    assert 0 < fewer < steps
    assert np.array_equal(shorter, words[: len(shorter)])
