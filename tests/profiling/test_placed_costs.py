"""Costs under a placement: by hand on a chip of tiny cores, and against the open interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sdcl_neuro.hardware import HardwareProfile, Quantity, load_profile
from sdcl_neuro.hardware.placement import fit
from sdcl_neuro.hardware.placement.mesh import Ends
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.profiling import profile
from sdcl_neuro.profiling.energy import energy
from sdcl_neuro.profiling.latency import latency
from sdcl_neuro.profiling.workload import LayerWork, Workload
from sdcl_neuro.snn.branch_description import COMPACT
from sdcl_neuro.snn.event_branch import EventBranch


def tiny_cores(neurons: int) -> HardwareProfile:
    hw = load_profile("loihi1")
    limit = Quantity("neurons", low=neurons, high=neurons, kind="code", source="a test")
    return replace(hw, limits={**hw.limits, "neurons_per_core": limit})


def test_four_cores_by_hand(
    make_net: Callable[..., IntNetwork], make_record: Callable[..., Record]
) -> None:
    # Three cores with three neurons of the convolution each, one with the dense layer's two, all
    # in one tile. An input pixel reaches two or three of the three, every other spike one core.
    target = profile(make_net(), record=make_record(), hw=tiny_cores(3)).targets["loihi1"]
    assert target.fit is not None
    assert [layer.cores for layer in target.fit.layers] == [3, 1]
    davies = target.energy.variants["davies2018"].parts["spike_traffic"].uj
    assert davies.low == pytest.approx(0.7 * (2 * 2 + 13) * 1.7e-6)  # a stated error of -30 %
    assert davies.high == pytest.approx(((2 * 3 + 13) * 1.7 + 6 * (7 * 3 + 3 * 4)) * 1e-6)
    # At the low end the convolution's cores are slowest, three updates of which 13 / 3 / 6 spike;
    # at the high end the dense core, 26 / 4 synaptic operations a step, 1.3 times.
    step = target.latency.variants["davies2018"].scaled(1 / 6)
    assert step.low == pytest.approx((113 + 2.1 + 3 * 5.3 + 13 / 18 * 3.1) * 1e-3)
    way = 2.1 + 7 * 4.1 + 3 * 6.5
    assert step.high == pytest.approx((465 + 1.3 * 6.5 * 3.5 + way) * 1e-3)
    assert "slowest core of the placement" in target.latency.to_dict()["assumption"]


def compact_work(rate: float = 0.05) -> Workload:
    """The compact branch at an even rate, sixteen steps."""
    found = []
    spikes_in = 2 * 64 * 32 * 16 * rate
    for layer in fit(COMPACT, "loihi1", size=(64, 32)).layers:
        spikes_out = layer.neurons * 16 * rate
        found.append(
            LayerWork(
                name=layer.name,
                kind="conv",
                neurons=layer.neurons,
                synapses=layer.synapses,
                parameters=1,
                widest_fan_out=144,
                recurrent=False,
                spikes_in=spikes_in,
                spikes_out=spikes_out,
                synops=layer.synapses * 16 * rate,
                updates=layer.neurons * 16,
            )
        )
        spikes_in = spikes_out
    return Workload(tuple(found), steps=16, inputs=2 * 64 * 32)


def test_a_placement_narrows_the_traffic_and_nothing_else() -> None:
    work, hw = compact_work(), load_profile("loihi1")
    placed = fit(COMPACT, hw, size=(64, 32))
    time = latency(work, hw)
    wide, narrow = energy(work, hw, time), energy(work, hw, time, fit=placed)
    for name, part in narrow.parts.items():
        if name != "spike_traffic":
            assert part == wide.parts[name]
    before, after = wide.parts["spike_traffic"].uj, narrow.parts["spike_traffic"].uj
    assert before.low <= after.low < after.high < before.high
    # What remains is mostly the input, which enters the mesh at an unknown place.
    assert after.high - after.low < 0.8 * (before.high - before.low)


def test_even_cores_are_as_slow_as_the_mean_core() -> None:
    # All of conv1's cores hold 1024 neurons: the slowest has the most synapses, not fewer.
    work, hw = compact_work(), load_profile("loihi1")
    placed = latency(work, hw, fit=fit(COMPACT, hw, size=(64, 32)))
    plain = latency(work, hw)
    assert placed.us is not None
    assert plain.us is not None
    assert placed.us.low >= plain.us.low
    assert placed.us.high <= plain.us.high


def test_many_chips_are_paid_for_and_said() -> None:
    hw = tiny_cores(20)
    placed = fit(COMPACT, hw, size=(64, 32))
    assert placed.chips is not None
    assert placed.chips > 1
    work = compact_work()
    time = latency(work, hw, step_us=10.0)
    found = energy(work, hw, time, fit=placed)
    assert "messages leave their chip" in found.not_modelled["between_chips"]
    expected = placed.chips * 96 * 10 * work.run_steps * 1e-3
    assert found.parts["static"].uj.low == pytest.approx(expected)


def test_traffic_is_the_messages_of_a_real_run() -> None:
    # Spikes of a run, sent one by one over the placement, cost between the two ends.
    from sdcl_neuro.conversion import quantize
    from sdcl_neuro.engine import run_network

    net = quantize(EventBranch(COMPACT).float_network((64, 32)))
    spikes = (np.random.default_rng(0).random((4, 1, 2, 64, 32)) < 0.3).astype(np.uint8)
    record = run_network(net, spikes)
    placed = fit(net, "loihi1").placement
    assert placed is not None
    first = record.spikes[0].reshape(4, *net.layers[0].out_shape)
    sent = 0
    for index, tile in enumerate(placed.tiles):
        if tile.layer == 0:
            continue
        seen = np.zeros(net.layers[0].out_shape, dtype=bool)
        rows = range(2 * tile.rows[0] - 1, 2 * (tile.rows[1] - 1) + 2)
        columns = range(2 * tile.columns[0] - 1, 2 * (tile.columns[1] - 1) + 2)
        where = [[n for n in span if 0 <= n < extent] for span, extent in
                 ((rows, 32), (columns, 16))]  # fmt: skip
        seen[np.ix_(range(8), *where)] = True
        sent += int((first * seen).sum())
        links = sum(link.neurons for link in placed.links if link.target == index)
        assert links == seen.sum()
    ends: Ends = placed.flows[1].messages
    fired = int(first.sum())
    assert fired > 0
    assert ends.least * fired <= sent <= ends.most * fired
