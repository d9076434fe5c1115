"""NeuroBench's metrics against hand counts, and what is said where they are unknown."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sdcl_neuro.engine import run_network
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.profiling import Profile, profile
from sdcl_neuro.profiling.neurobench import neurobench

Net = Callable[..., IntNetwork]
MakeRecord = Callable[..., Record]


def small(**fields: object) -> IntNetwork:
    """Two inputs, two neurons, one weight of four zero; a current that lasts."""
    layer = IntLayer(
        name="only",
        kind="dense",
        weight=np.array([[64, 0], [8, 64]], np.int32),
        neuron=IntNeuron(current_decay=2048, voltage_decay=4095, threshold=200),
        in_shape=(2,),
        out_shape=(2,),
    )
    return IntNetwork((2,), (replace(layer, **fields),))


def test_counted_by_hand(make_net: Net, spikes: NDArray[np.uint8]) -> None:
    found = profile(make_net(), spikes).neurobench.to_dict()
    # 9 + 18 weights; two layers' constants.
    assert found["Footprint"] == 27 + 2 * 8
    assert found["ParameterCount"] == 27
    assert found["ConnectionSparsity"] == 0
    assert found["ActivationSparsity"] == 1 - 17 / 44
    assert found["ActivationSparsityByLayer"] == {"conv": 1 - 13 / 36, "head": 0.5}
    assert found["SynapticOperations"] == {
        "Effective_MACs": 0, "Effective_ACs": 39, "Dense": 4 * (49 + 18)
    }  # fmt: skip
    # The first step moves all 11, the second 9 + 2 by resets; step 2 moves 4 + 2, step 3 4 + 2.
    assert found["MembraneUpdates"] == 11 + 11 + 6 + 6
    assert found["reasons"] == {}
    assert found["tag"] == "emulated"


def test_zero_weights_are_connections_and_no_operations() -> None:
    net = small()
    record = run_network(net, np.ones((3, 2, 2), np.uint8), layers=())
    found = neurobench(net, record)
    assert found.connection_sparsity == 0.25
    assert found.effective_acs == 3 * 3
    assert found.dense == 3 * 4
    assert record.activity[0].synops.tolist() == [12, 12]


def test_footprint_in_parts() -> None:
    delayed = small(bias=np.array([1, 2], np.int32), delay=np.array([[0, 1], [2, 0]], np.int32))
    sizes = neurobench(delayed, run_network(delayed, np.ones((3, 1, 2), np.uint8))).footprint
    assert (sizes.weights, sizes.biases, sizes.delays, sizes.neurons) == (4, 4, 4, 8)
    assert sizes.total == 20
    # A membrane and a current of two neurons.
    assert sizes.states == 4 * 4
    assert sizes.float32 == 4 * 6


def test_what_a_record_does_not_count_is_unknown(make_net: Net, make_record: MakeRecord) -> None:
    """Without zero weights every synaptic operation is an AC; a membrane no one saw is unknown."""
    plain = profile(make_net(), record=make_record())
    found = plain.neurobench.to_dict()
    assert found["SynapticOperations"]["Effective_ACs"] == 39
    assert found["MembraneUpdates"] is None
    assert set(found["reasons"]) == {"MembraneUpdates"}
    assert "Loihi engine (software)" in found["reasons"]["MembraneUpdates"]
    assert "MembraneUpdates unknown: " in str(plain)
    conv, head = make_net().layers
    sparse = IntNetwork((1, 3, 3), (conv, replace(head, weight=head.weight * 0)))
    found = neurobench(sparse, make_record()).to_dict()
    assert found["SynapticOperations"]["Effective_ACs"] is None
    assert found["SynapticOperations"]["Dense"] == 268
    assert found["ConnectionSparsity"] == round(18 / 27, 4)
    assert set(found["reasons"]) == {"MembraneUpdates", "SynapticOperations"}


def test_samples_are_averaged(make_net: Net, spikes: NDArray[np.uint8]) -> None:
    net = make_net()
    twice = np.concatenate([spikes, np.zeros_like(spikes)], axis=1)
    found = neurobench(net, run_network(net, twice, layers=()))
    assert found.effective_acs == 39 / 2
    assert found.dense == 268
    # A sample at rest has its first step.
    assert found.membrane_updates == (34 + 11) / 2


def test_shown_everywhere(hand_profile: Profile, make_net: Net, spikes: NDArray[np.uint8]) -> None:
    counted = profile(make_net(), spikes)
    html, text = counted.to_html(), str(counted)
    rows = list(csv.DictReader(io.StringIO(counted.to_csv())))
    listed = {row["quantity"]: row for row in rows if row["section"] == "neurobench"}
    for name, value, unit, reason in counted.neurobench.rows():
        assert f'<td data-title="metric">{name}</td>' in html
        assert f"  {name} " in text
        assert float(listed[name]["low"]) == value
        assert (listed[name]["unit"], listed[name]["tag"]) == (unit, "emulated")
        assert reason == ""
    assert 'title="this record of Loihi engine' in hand_profile.to_html()


@pytest.mark.parametrize("zeros", [1, 3333])
def test_rounded_as_the_harness_does(zeros: int) -> None:
    weight = np.ones((100, 100), np.int32)
    weight.reshape(-1)[:zeros] = 0
    layer = IntLayer("l", "dense", weight, IntNeuron(4096, 0, 9), (100,), (100,))
    net = IntNetwork((100,), (layer,))
    record = run_network(net, np.zeros((1, 1, 100), np.uint8), layers=())
    assert neurobench(net, record).connection_sparsity == zeros / 1e4
