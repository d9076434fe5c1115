"""Receivers of one sender are served in turn: the high end of a step where the mesh is full."""

from __future__ import annotations

import numpy as np

from sdcl_neuro.engine import run_network
from sdcl_neuro.hardware import load_profile
from sdcl_neuro.hardware.placement import fit
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.profiling import profile
from sdcl_neuro.profiling.steps import layer_loads
from sdcl_neuro.profiling.turns import TURNS, in_turn, input_turns, neuron_turns
from sdcl_neuro.testing import random_network, random_spikes


def image_layer() -> IntNetwork:
    """One convolution of 2 x 64 x 32 neurons: it lies in bands of rows on several cores."""
    weight = np.full((2, 1, 3, 3), 2, np.int32)
    layer = IntLayer(
        "conv", "conv", weight, IntNeuron(4096, 0, 200), (1, 64, 32), (2, 64, 32),
        convolution=Convolution((1, 1), (1, 1), (1, 1), 1),
    )  # fmt: skip
    return IntNetwork((1, 64, 32), (layer,), 0, {})


def test_inputs_take_their_turns_core_by_core() -> None:
    fired = np.ones(1024 + 32, dtype=bool)
    fired[5] = False
    turns = input_turns(fired)
    assert turns[0] == 0
    assert turns[1024] == TURNS - 1  # the last one of the first core
    assert turns[1025] == 0  # the first one of the second core
    assert turns[-1] == TURNS - 1
    assert (np.bincount(turns[:1025][fired[:1025]]) == 64).all()


def test_neurons_take_their_turns_within_their_core() -> None:
    net = random_network(3, kind="conv", layers=1)
    placement = fit(net, "loihi1").placement
    assert placement is not None
    layer = net.layers[0]
    turns = neuron_turns(layer.out_shape, placement.tiles)
    assert turns.shape == (layer.neurons,)
    assert (np.diff(turns) >= 0).all()  # one core, in order
    assert turns[0] == 0


def test_a_full_mesh_serves_one_receiver_after_the_other() -> None:
    two = np.zeros((1, 1, 2, TURNS))
    two[0, 0, 0, : TURNS // 2] = 1.0  # the first half of the spikes goes to one core,
    two[0, 0, 1, TURNS // 2 :] = 1.0  # the second half to the other
    assert in_turn(two.reshape(1, 1, -1)).item() == TURNS
    both = np.ones((1, 1, 2, TURNS))
    assert in_turn(both.reshape(1, 1, -1)).item() == TURNS


def test_turns_add_up_to_what_arrives() -> None:
    net = random_network(11, layers=3)
    spikes = random_spikes(net, 1, steps=5, samples=2)
    placement = fit(net, "loihi1").placement
    assert placement is not None
    for load in layer_loads(net, spikes, run_network(net, spikes).spikes, placement):
        assert load.turn_synops is not None
        assert load.turn_arriving is not None
        shape = (*load.synops.shape, TURNS)
        np.testing.assert_array_equal(load.turn_synops.reshape(shape).sum(axis=3), load.synops)
        np.testing.assert_array_equal(load.turn_arriving.reshape(shape).sum(axis=3), load.arriving)


def test_an_image_that_fills_the_mesh_widens_the_high_end_only() -> None:
    net = image_layer()
    full = np.ones((4, 1, 1, 64, 32), np.uint8)
    placement = fit(net, "loihi1").placement
    assert placement is not None
    assert len({tile.rows for tile in placement.tiles}) > 1, "the layer has to lie in bands"
    shuffled = profile(net, full, hw="loihi1").targets["loihi1"].latency
    loads = layer_loads(net, full, run_network(net, full).spikes, placement)
    hw = load_profile("loihi1")
    prices = hw.variants["sanafe"].time
    receive = prices["synop_conv"].high * loads[0].synops + prices["axon_in"].high * (
        loads[0].arriving
    )
    slowest, together = float(receive.max()), float(receive.sum(axis=2).max())
    assert shuffled.us is not None
    assert shuffled.us.high > 4e-3 * (slowest + together) / 2  # four steps, in ns
    assert "in turn" in shuffled.assumption
