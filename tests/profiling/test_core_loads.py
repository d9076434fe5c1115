"""What every core does in every step, against a count of every single spike and synapse."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.engine import run_network
from sdcl_neuro.hardware import HardwareProfile, Quantity, load_profile
from sdcl_neuro.hardware.placement import Placement, fit
from sdcl_neuro.network.spec import IntLayer
from sdcl_neuro.profiling.steps import in_chip_steps, layer_loads
from sdcl_neuro.testing import random_network, random_spikes


def small_cores(neurons: int) -> HardwareProfile:
    hw = load_profile("loihi1")
    limit = Quantity("neurons", neurons, neurons, "code", "a test")
    return replace(hw, limits={**hw.limits, "neurons_per_core": limit})


def synapses(layer: IntLayer) -> list[tuple[int, int, int]]:
    """(input, neuron, weight) of every synapse, zero weights included, both flat."""
    if layer.convolution is None:
        return [
            (source, target, int(layer.weight[target, source]))
            for target, source in product(range(layer.neurons), range(layer.weight.shape[1]))
        ]
    geometry, (channels, height, width) = layer.convolution, layer.in_shape
    outputs, rows, columns = layer.out_shape
    each_out, each_in = outputs // geometry.groups, layer.weight.shape[1]
    assert each_in * geometry.groups == channels
    found = []
    for o, r, c, i, a, b in product(
        range(outputs), range(rows), range(columns), range(each_in), *map(range, layer.kernel)
    ):
        y = r * geometry.stride[0] + a * geometry.dilation[0] - geometry.padding[0]
        x = c * geometry.stride[1] + b * geometry.dilation[1] - geometry.padding[1]
        if 0 <= y < height and 0 <= x < width:
            source = ((o // each_out) * each_in + i) * height * width + y * width + x
            weight = int(layer.weight[o, i, a, b])
            found.append((source, (o * rows + r) * columns + c, weight))
    return found


def owners(placement: Placement, layer: IntLayer, index: int) -> list[int]:
    """The core of each neuron, numbered within the layer."""
    shape = layer.out_shape if len(layer.out_shape) == 3 else (layer.neurons, 1, 1)
    found = np.full(shape, -1)
    tiles = [tile for tile in placement.tiles if tile.layer == index]
    for number, tile in enumerate(tiles):
        found[tile.slices] = number
    assert (found >= 0).all()
    return [int(number) for number in found.reshape(-1)]


@settings(deadline=None, derandomize=True, max_examples=12)
@given(seed=st.integers(0, 10_000), room=st.sampled_from([5, 16, 60]))
def test_every_core_and_step_counted_spike_by_spike(seed: int, room: int) -> None:
    net = random_network(seed)
    spikes = random_spikes(net, seed, steps=4, samples=2)
    record = run_network(net, spikes)
    placement = fit(net, small_cores(room)).placement
    assert placement is not None
    loads = layer_loads(net, spikes, record.spikes, placement)
    received = spikes
    reached: list[dict[int, set[int]]] = []  # neuron of the layer before: cores of this one
    for index, (layer, load) in enumerate(zip(net.layers, loads, strict=True)):
        core = owners(placement, layer, index)
        every, used, cores = Counter(), Counter(), range(load.synops.shape[2])
        reach: dict[int, set[int]] = {}
        for source, target, weight in synapses(layer):
            every[source, core[target]] += 1
            used[source, core[target]] += weight != 0
            reach.setdefault(source, set()).add(core[target])
        reached.append(reach)
        sent = record.spikes[index]
        for t, b, k in product(range(4), range(2), cores):
            active = np.flatnonzero(received[t, b])
            assert load.synops[t, b, k] == sum(used[s, k] for s in active)
            assert load.heard[t, b, k] == sum(used[s, k] > 0 for s in active)
            assert load.arriving[t, b, k] == sum(every[s, k] > 0 for s in active)
            own = np.flatnonzero(sent[t, b])
            assert load.fired[t, b, k] == sum(core[n] == k for n in own)
            if layer.recurrent_weight is not None:
                mine = [n for n in range(layer.neurons) if core[n] == k]
                assert load.own_heard[t, b, k] == len(own)
                assert load.own_synops[t, b, k] == np.count_nonzero(
                    layer.recurrent_weight[np.ix_(mine, own)]
                )
            else:
                assert not load.own_synops.any()
        assert load.neurons.tolist() == [core.count(k) for k in cores]
        total = record.activity[index].synops_nonzero
        assert total is not None
        summed = load.synops.sum(axis=(0, 2)) + load.own_synops.sum(axis=(0, 2))
        np.testing.assert_array_equal(summed, total)
        received = sent
    for index, layer in enumerate(net.layers):
        core, load = owners(placement, layer, index), loads[index]
        own_cores = load.fired.shape[2] if layer.recurrent_weight is not None else 0
        reach = reached[index + 1] if index + 1 < len(net.layers) else {}
        for t, b in product(range(4), range(2)):
            expected = np.zeros(load.sent.shape[2])
            for neuron in np.flatnonzero(record.spikes[index][t, b]):
                expected[core[neuron]] += len(reach.get(int(neuron), ())) + own_cores
            np.testing.assert_array_equal(load.sent[t, b], expected)


def test_layers_are_a_pipeline() -> None:
    net = random_network(3, layers=3, kind="conv")
    spikes = random_spikes(net, 3, steps=5, samples=1)
    record = run_network(net, spikes)
    placement = fit(net, "loihi1").placement
    assert placement is not None
    loads = layer_loads(net, spikes, record.spikes, placement)
    single = list(in_chip_steps(loads, stream=False))
    stream = list(in_chip_steps(loads, stream=True))
    for index, (load, alone, among) in enumerate(zip(loads, single, stream, strict=True)):
        assert len(alone.synops) == 5 + 3
        np.testing.assert_array_equal(alone.synops[index : index + 5], load.synops)
        np.testing.assert_array_equal(alone.fired[index + 1 : index + 6], load.fired)
        for name in ("synops", "fired", "sent", "arriving"):
            whole = getattr(load, name).sum()
            assert getattr(alone, name).sum() == getattr(among, name).sum() == whole
        np.testing.assert_array_equal(np.roll(load.synops, index, axis=0), among.synops)


@pytest.mark.parametrize("name", ["loihi1", "loihi2"])
def test_counted_loads_lie_above_the_even_ones(name: str) -> None:
    from sdcl_neuro.profiling import profile

    net = random_network(7, layers=3, kind="conv")
    spikes = random_spikes(net, 7, steps=8, samples=3)
    record = run_network(net, spikes)
    counted = profile(net, spikes, hw=name).targets[name].latency
    even = profile(net, record=replace(record, spikes={}), hw=name).targets[name].latency
    assert counted.us is not None
    assert even.us is not None
    # The mean of the slowest cores is no less than the slowest core's mean.
    assert counted.us.low >= even.us.low * (1 - 1e-6)
