"""What a placement says about one sample: messages, hops, and the work of every core.

Messages and hops are bounds over the neurons that may have spiked. The work of a core is a mean:
spikes even over a layer's neurons and over the steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from sdcl_neuro.hardware import Quantities
from sdcl_neuro.hardware.placement import Placement
from sdcl_neuro.hardware.placement.mesh import Ends

from .cost import Constant, find
from .interval import ZERO, Interval, total
from .workload import Workload


@dataclass(frozen=True)
class CoreLoad:
    """What one core does in a mean step."""

    updates: float
    synops: float
    spikes: float
    messages_in: Interval
    messages_out: Interval


def placed_messages(work: Workload, placement: Placement) -> tuple[Interval, Interval]:
    """Spike messages of one sample: from outside, and between neurons."""
    outside, *inner = placement.flows
    return (
        _bounds(outside.messages).scaled(work.layers[0].spikes_in),
        total(
            _bounds(flow.messages).scaled(layer.spikes_out)
            for flow, layer in zip(inner, work.layers, strict=True)
        ),
    )


def placed_hops(
    work: Workload, placement: Placement, table: Quantities, variant: str
) -> tuple[Interval, list[Constant]]:
    """Cost of the hops between neurons in one sample, with the constants used."""
    cost, used = ZERO, []
    for name in ("east_west", "north_south"):
        constant = find(table, variant, f"hop_{name}")
        if constant is None or not placement.mesh_known:
            continue
        used.append(constant)
        for flow, layer in zip(placement.flows[1:], work.layers, strict=True):
            ends: Ends | None = getattr(flow, name)
            if ends is not None:
                cost += _bounds(ends).scaled(layer.spikes_out) * constant.interval
    return cost, used


def messages_between_chips(work: Workload, placement: Placement) -> float:
    """Expected messages of one sample that leave their chip, spikes even over a layer."""
    return sum(
        flow.between_chips * layer.spikes_out
        for flow, layer in zip(placement.flows[1:], work.layers, strict=True)
    )


def core_loads(work: Workload, placement: Placement, layer: int) -> list[CoreLoad]:
    """The cores of one layer, alike ones once."""
    rates = [entry.spikes_out / (entry.neurons * work.steps) for entry in work.layers]
    arriving = work.layers[0].spikes_in / (work.inputs * work.steps)
    into = [count * arriving for count in placement.arrivals]
    out = [0.0] * len(placement.tiles)
    for link, messages in placement.messages(rates):
        into[link.target] += messages
        out[link.source] += messages
    own = work.layers[layer]
    per_synapse = own.synops / (max(1, own.synapses) * work.steps)
    found = {
        CoreLoad(
            tile.neurons * own.updates / (own.neurons * work.steps),
            placement.synapses[index] * per_synapse,
            tile.neurons * rates[layer],
            Interval(into[index], into[index]),
            Interval(out[index], out[index]),
        ): None
        for index, tile in enumerate(placement.tiles)
        if tile.layer == layer
    }
    return list(found)


def _bounds(ends: Ends) -> Interval:
    return Interval(ends.least, ends.most)
