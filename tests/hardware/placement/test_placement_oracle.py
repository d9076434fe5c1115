"""Random networks on random cores, against a count of every single synapse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import placement_oracle as oracle
from sdcl_neuro.hardware.placement.chip import Chip, Mesh
from sdcl_neuro.hardware.placement.layers import populations, signed_bits
from sdcl_neuro.hardware.placement.mesh import hops
from sdcl_neuro.hardware.placement.packing import SynapseFormat
from sdcl_neuro.hardware.placement.split import most_of, split
from sdcl_neuro.hardware.placement.strategies import _placement, _uses
from sdcl_neuro.hardware.placement.usage import Core, reader_of
from sdcl_neuro.testing import random_network

WIDTHS = (0, 6, 7, 8, 9, 10, 11, 12)
limits = st.fixed_dictionaries(
    {"neurons": st.sampled_from([1, 5, 16, 40, 1000])},
    optional={
        "axons_in": st.sampled_from([8, 30, 100, 1000]),
        "axons_out": st.sampled_from([8, 40, 1000]),
        "synapse_bits": st.sampled_from([640, 4000, 40_000]),
    },
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seed=st.integers(0, 10_000), found=limits, shared=st.booleans(), packed=st.booleans())
def test_every_tile_counted_by_synapses(
    seed: int, found: dict[str, float], shared: bool, packed: bool
) -> None:
    layers = populations(random_network(seed))
    packing = SynapseFormat(8, WIDTHS) if packed else None
    core = Core(found, packing, shared=shared)
    chip = Chip(core, cores=6, chips=1, mesh=Mesh(2, 2, 2))
    done = split(layers, core)
    cuts = [entry.cut for entry in done]
    uses = [tile for tiles in _uses(chip, layers, cuts) for tile in tiles]
    placement = _placement(chip, layers, cuts, [use["synapses"] for use in uses])
    tiles = list(placement.tiles)
    counted, sends, arriving = oracle.count(list(layers), tiles, pooled=shared and packed)
    assert len(oracle.owner(tiles)) == sum(layer.neurons for layer in layers)
    for use, own in zip(uses, counted, strict=True):
        for name in ("neurons", "synapses", "axons_in", *(["synapse_bits"] if packed else [])):
            assert use[name] == own[name], name
    assert {(k.source, k.target): k.neurons for k in placement.links} == sends
    first = [index for index, tile in enumerate(tiles) if tile.layer == 0]
    assert [placement.arrivals[index] for index in first] == arriving[first].tolist()
    sent = [0] * len(tiles)
    for (source, _), count in sends.items():
        sent[source] += count
    # Small tiles never need an axon's second slot.
    assert [use["axons_out"] for use in uses] == sent
    reader = None
    for layer, entry in reversed(list(zip(layers, done, strict=True))):
        most = most_of(layer, core, entry.cut, reader)
        assert most == entry.most
        for name, limit in found.items():
            assert most[name] <= limit or name in entry.broken
        assert all(value > found[name] for name, value in entry.broken.items())
        reader = reader_of(layer, core, entry.cut)
    for index, layer in enumerate(layers):
        own = [use for use, tile in zip(uses, tiles, strict=True) if tile.layer == index]
        assert done[index].most == {name: max(use[name] for use in own) for name in own[0]}
        assert sum(use["synapses"] for use in own) == layer.synapses


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seed=st.integers(0, 10_000), room=st.sampled_from([4, 12, 50]))
def test_flows_counted_by_neurons(seed: int, room: int) -> None:
    layers = populations(random_network(seed))
    chip = Chip(Core({"neurons": room}), cores=8, chips=1, mesh=Mesh(2, 2, 2))
    cuts = [entry.cut for entry in split(layers, chip.core)]
    placement = _placement(chip, layers, cuts, [0] * sum(cut.count for cut in cuts))
    seats = placement.seats
    assert len({(seat.chip, seat.core) for seat in seats}) == len(seats)
    assert all(0 <= (seat.column or 0) < 2 and 0 <= (seat.row or 0) < 2 for seat in seats)
    where = oracle.owner(list(placement.tiles))
    reached: dict[tuple[int, tuple[int, int, int]], set[int]] = {key: set() for key in where}
    for index, layer in enumerate(layers):
        for source, target, _ in oracle.synapses(layer):
            if index:
                reached[index - 1, source].add(where[index, target])
        if layer.recurrent:
            for key in where:
                if key[0] == index:
                    reached[key] |= {where[other] for other in where if other[0] == index}
    for flow in placement.flows[1:]:
        own = {key: found for key, found in reached.items() if key[0] == flow.layer}
        messages = [len(found) for found in own.values()]
        assert flow.messages.least == min(messages)
        assert flow.messages.most == max(messages)
        assert flow.messages.mean == pytest.approx(np.mean(messages))
        if not any(messages):
            continue
        assert flow.east_west is not None
        low, high, away = [], [], []
        for key, found in own.items():
            ways = [hops(seats[where[key]], seats[tile]) for tile in found]
            out = sum(way is None for way in ways)
            inside = sum(way[0] for way in ways if way is not None)
            low.append(inside)
            high.append(inside + 2 * out)
            away.append(out)
        assert (flow.east_west.least, flow.east_west.most) == (min(low), max(high))
        assert flow.east_west.mean == pytest.approx(np.mean(low))
        assert flow.between_chips == pytest.approx(np.mean(away))


@settings(deadline=None, derandomize=True)
@given(values=st.lists(st.integers(-(2**10), 2**10), min_size=1, max_size=8))
def test_signed_bits_are_the_fewest(values: list[int]) -> None:
    bits = signed_bits(np.array(values, dtype=np.int32))

    def holds(width: int) -> bool:
        return any(
            all(
                v % 2**e == 0 and -(2 ** (width - 1)) <= v // 2**e < 2 ** (width - 1)
                for v in values
            )
            for e in range(12)
        )

    if not any(values):
        assert bits == 0
    else:
        assert holds(bits)
        assert bits == 1 or not holds(bits - 1)
