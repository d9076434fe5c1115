"""How the event path works never changes a result: groups, lanes, bands, tiles, sleep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.engine import known_networks, run_network
from sdcl_neuro.engine.event import bits, machine, population, row_block, synapses, windows
from sdcl_neuro.engine.event import layer as event_layer
from sdcl_neuro.engine.totals import COUNTED
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.testing import random_network, random_spikes


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(known_networks, "_kept", [])


@pytest.fixture(params=["delivered", "looked up"])
def way(request, monkeypatch):
    """All synapses by source, or by target wherever tables fit."""
    price = np.inf if request.param == "delivered" else -1.0
    monkeypatch.setattr(windows.Windows, "nanoseconds", price)
    return request.param


def assert_equals_reference(net, spikes):
    own = run_network(net, spikes, path="event")
    other = run_network(net, spikes, path="reference")
    for index in other.spikes:
        np.testing.assert_array_equal(own.spikes[index], other.spikes[index])
    for one, two in zip(own.activity, other.activity, strict=True):
        for name in COUNTED:
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
    return own


def convolution(rng, shape, outputs, kernel, *, stride=1, neuron=(4096, 410, 300), **fields):
    geometry = Convolution((stride, stride), (kernel // 2, kernel // 2))
    weight = (2 * rng.integers(-40, 41, (outputs, shape[0], kernel, kernel))).astype(np.int32)
    after = (outputs, *geometry.output_size(shape[1:], (kernel, kernel)))
    name = f"conv{outputs}"
    neuron = IntNeuron(*neuron)
    return IntLayer(name, "conv", weight, neuron, shape, after, convolution=geometry, **fields)


def chain(seed, *, size=(13, 9), widths=(8, 20), neuron=(4096, 410, 300)):
    """Two convolutions, the second strided, and a dense layer; some widths that fill no octet."""
    rng = np.random.default_rng(seed)
    one = convolution(rng, (3, *size), widths[0], 5, neuron=neuron)
    two = convolution(rng, one.out_shape, widths[1], 3, stride=2, neuron=neuron)
    weight = (2 * rng.integers(-30, 31, (11, two.neurons))).astype(np.int32)
    last = IntLayer("dense", "dense", weight, IntNeuron(*neuron), two.out_shape, (11,))
    return IntNetwork((3, *size), (one, two, last))


@pytest.mark.parametrize("log", [0, 1, 2, 3])
@pytest.mark.parametrize("widths", [(8, 20), (1, 3), (17, 64)])
def test_any_group_of_channels(monkeypatch, log, widths):
    monkeypatch.setattr(windows.Windows, "nanoseconds", np.inf)
    monkeypatch.setattr(synapses.Synapses, "group", lambda self, rate: self._most(log))
    monkeypatch.setattr(
        synapses.Synapses,
        "_most",
        lambda self, log: min(log, max(0, (self.source.channels - 1).bit_length())),
        raising=False,
    )
    net = chain(log, widths=widths)
    for rate in (0.05, 0.6, 1.0):
        assert_equals_reference(net, random_spikes(net, 1, steps=5, samples=1, rate=rate))


def test_busy_layers_are_looked_up_in_larger_groups():
    feed = synapses.feed_of(chain(0).layers[1], (8, 13, 9), np.int16)
    groups = [feed.group(rate) for rate in (0.0, 0.001, 0.05, 0.2, 0.9)]
    assert groups == sorted(groups)
    assert (groups[0], groups[-1]) == (0, 3)


@pytest.mark.parametrize("room", [1 << 7, 1 << 10, 1 << 13, 1 << 20])
@pytest.mark.parametrize("widths", [(8, 20), (1, 3), (17, 64), (140, 2)])
def test_windows_in_chunks_of_any_size(monkeypatch, room, widths):
    monkeypatch.setattr(windows.Windows, "nanoseconds", -1.0)
    monkeypatch.setattr(windows, "TABLE_BYTES", room)
    net = chain(room, widths=widths)
    for rate in (0.05, 0.6, 1.0):
        assert_equals_reference(net, random_spikes(net, 1, steps=5, samples=1, rate=rate))


def test_chunks_fill_the_room_that_tables_have():
    shape, weight = (8, 13, 9), chain(0).layers[1].weight.astype(np.int64)
    source, target = (population.RowLayout.of(s) for s in (shape, (20, 7, 5)))
    geometry = Convolution((2, 2), (1, 1))
    chunks = []
    for room in (1 << 6, 1 << 10, 1 << 14, 1 << 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(windows, "TABLE_BYTES", room)
            laid = windows.windows_of(source, target, weight, geometry, np.int16)
        chunks.append(laid.chunk)
        if laid.chunk:
            assert laid.arguments()[0].nbytes <= room
    assert chunks == sorted(chunks)
    assert (chunks[0], chunks[-1]) == (0, 8)


def test_busy_layers_are_looked_up_by_target(monkeypatch):
    """The choice goes by the activity, and once: a busier input never goes back to delivering."""
    plan = machine.Machine(chain(0, size=(40, 30), widths=(16, 32))).plans[1]
    taken = [bool(len(plan.synapses(rate)[2][0])) for rate in (0.0, 0.002, 0.02, 0.2, 0.5, 1.0)]
    assert taken == sorted(taken)
    assert (taken[0], taken[-1]) == (False, True)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("tile", [1, 1 << 17])
def test_bands_and_tiles(monkeypatch, way, count, tile):
    monkeypatch.setattr(machine, "WORTH_SPLITTING", 0)
    monkeypatch.setattr(machine, "processors", lambda: count)
    monkeypatch.setattr("sdcl_neuro.engine.event.plan.TILE_LANES", tile)
    net = chain(7)
    spikes = random_spikes(net, 2, steps=9, samples=1, rate=0.3)
    assert machine.Machine(net).bands(1, 9) == count
    assert_equals_reference(net, spikes)
    assert run_network(net, spikes).spikes[2].any()


def test_bands_share_every_row_once():
    plans = machine.Machine(chain(3)).plans[:2]
    for count in (1, 2, 4):
        for rows in zip(*row_block.shares(plans, count), strict=True):
            owned = [row for share in rows for row in range(*share.own)]
            assert owned == list(range(owned[-1] + 1))
            for share in rows:
                assert share.needed[0] <= share.own[0] <= share.own[1] <= share.needed[1]


def test_sums_that_need_32_bits(way):
    rng = np.random.default_rng(0)
    layer = convolution(rng, (40, 6, 5), 9, 3, neuron=(4096, 100, 9000))
    layer = replace(layer, weight=np.abs(layer.weight) + 178)
    assert synapses.lane_type(layer) is np.int32
    net = IntNetwork((40, 6, 5), (layer,))
    assert_equals_reference(net, random_spikes(net, 0, steps=4, rate=0.9))


@pytest.mark.parametrize(
    "neuron", [(4096, 0, 900), (4096, 4096, 300), (4096, 900, 300), (900, 0, 2000)]
)
def test_neurons_that_fall_asleep_wake_up(way, neuron):
    """Silence long enough for every membrane to rest, then spikes in one corner only."""
    net = chain(5, size=(9, 140), widths=(9, 12), neuron=neuron)
    spikes = np.zeros((130, 1, 3, 9, 140), np.uint8)
    spikes[:2], spikes[100:102, :, :, :3, :3] = 1, 1
    record = assert_equals_reference(net, spikes)
    assert record.spikes[0][100:].any() or neuron[0] == 900


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["conv", "dense", "dense_rec"]),
    extreme=st.booleans(),
    rate=st.sampled_from([0.02, 0.3, 1.0]),
)
def test_random_networks_equal_the_dense_path(seed, kind, extreme, rate):
    net = random_network(seed, kind=kind, extreme=extreme)
    for price in (np.inf, -1.0):
        known_networks._kept.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(windows.Windows, "nanoseconds", price)
            assert_equals_reference(net, random_spikes(net, seed, steps=7, samples=1, rate=rate))


def test_a_description_may_be_written_to_between_runs():
    net = random_network(2, kind="conv", layers=1)
    spikes = random_spikes(net, 2, steps=9, samples=2)
    before = run_network(net, spikes)
    net.layers[0].weight[...] = -net.layers[0].weight
    after = assert_equals_reference(net, spikes)
    assert not np.array_equal(before.spikes[0], after.spikes[0])


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("size", [(16, 12), (64, 5), (13, 9)])
def test_outputs_written_past_the_caches(monkeypatch, bands, size):
    monkeypatch.setattr(event_layer, "STREAMED_BYTES", 0)
    monkeypatch.setattr(machine, "WORTH_SPLITTING", 0)
    monkeypatch.setattr(machine, "processors", lambda: bands)
    leads, lead_of = [], event_layer.lead_of
    monkeypatch.setattr(
        event_layer, "lead_of", lambda spikes: leads.append(lead_of(spikes)) or leads[-1]
    )
    net = chain(3, size=size)
    for rate in (0.05, 0.6):
        assert_equals_reference(net, random_spikes(net, 1, steps=5, samples=2, rate=rate))
    assert any(lead >= 0 for lead in leads) == (size[0] * size[1] % 64 == 0)


def test_bits_are_unpacked_alike_wherever_cache_lines_begin():
    rng, height, width, channels = np.random.default_rng(0), 8, 24, 13
    layout = population.RowLayout(channels, height, width)
    spikes = (rng.random((3, 2, channels, height * width)) < 0.2).astype(np.uint8)
    words = np.zeros((3, height, layout.words), np.uint64)
    plane = np.zeros(layout.octets * height * width, np.uint8)
    sizes = np.uint64(layout.octets), np.uint64(width)
    everything = np.array([0, height], np.uint64)
    bits.pack(spikes, 1, *sizes, everything, plane, words.view(np.uint8), words)
    for offset in (0, 1, 37, 63):
        room = np.full(spikes.size + 64, 7, np.uint8)
        written = room[offset : offset + spikes.size].reshape(spikes.shape)
        for rows in ([0, 3], [3, 4], [4, height]):
            bits.unpack(
                *(words.view(np.uint8), words, *sizes, np.array(rows, np.uint64), plane),
                *(written, 1, -int(written.ctypes.data) % 64),
            )
        np.testing.assert_array_equal(written[:, 1], spikes[:, 1])
        assert (written[:, 0] == 7).all()
        assert (room[:offset] == 7).all()
        assert (room[offset + spikes.size :] == 7).all()
