"""What a placement says about one sample: messages, hops, and the work of every core.

Messages and hops are bounds over the neurons that may have spiked. The work of a core is a mean:
spikes even over a layer's neurons and over the steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdcl_neuro.hardware import HardwareProfile, Quantities
from sdcl_neuro.hardware.placement import Placement
from sdcl_neuro.hardware.placement.mesh import Ends

from .cost import Constant, destinations, find
from .interval import ZERO, Interval, total
from .steps import LayerLoads
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
    """Return spike messages of one sample: from outside, and between neurons."""
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
    """Return cost of the hops between neurons in one sample, with the constants used."""
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
    """Return expected messages of one sample that leave their chip, spikes even over a layer."""
    return sum(
        flow.between_chips * layer.spikes_out
        for flow, layer in zip(placement.flows[1:], work.layers, strict=True)
    )


def core_loads(work: Workload, placement: Placement, layer: int) -> list[CoreLoad]:
    """Return the cores of one layer, alike ones once."""
    rates = [entry.spikes_out / (entry.neurons * work.steps) for entry in work.layers]
    arriving = work.layers[0].spikes_in / (work.inputs * work.steps)
    into = [count * arriving for count in placement.arrivals]
    out = [0.0] * len(placement.tiles)
    for link, messages in placement.messages(rates):
        into[link.target] += messages
        out[link.source] += messages
    own = work.layers[layer]
    mine = [i for i, tile in enumerate(placement.tiles) if tile.layer == layer]
    held = sum(placement.synapses[i] for i in mine)
    per_synapse = own.chip_synops / (max(1, held) * work.steps)
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


def mean_loads(
    work: Workload, hw: HardwareProfile, placement: Placement | None
) -> list[LayerLoads]:
    """Return what the cores of every layer do in a mean step, each array ``[1, 1, cores]``.

    Without a placement a layer is spread over cores by its neurons, all of them alike.
    """
    found = []
    for index in range(len(work.layers)):
        cores = (
            core_loads(work, placement, index)
            if placement is not None
            else [_share(work, hw, index)]
        )
        none = np.zeros((1, 1, len(cores)))

        def row(values: list[float]) -> np.typing.NDArray[np.float64]:
            return np.array(values).reshape(1, 1, -1)

        found.append(
            LayerLoads(
                neurons=np.array([core.updates for core in cores]),
                synops=row([core.synops for core in cores]),
                heard=row([core.messages_in.low for core in cores]),
                arriving=row([core.messages_in.high for core in cores]),
                own_synops=none,
                own_heard=none,
                fired=row([core.spikes for core in cores]),
                sent_least=row([core.messages_out.low for core in cores]),
                sent=row([core.messages_out.high for core in cores]),
            )
        )
    return found


def _share(work: Workload, hw: HardwareProfile, index: int) -> CoreLoad:
    """Return one core of a layer that is spread evenly."""
    layer = work.layers[index]
    share = 1 / ((layer.cores(hw) or 1) * work.steps)
    last = index + 1 == len(work.layers)
    sent_to = 1 if last else destinations(work.layers[index + 1], hw)
    return CoreLoad(
        layer.updates * share,
        layer.chip_synops * share,
        layer.spikes_out * share,
        Interval(1, destinations(layer, hw)).scaled(layer.spikes_in * share),
        Interval(1, sent_to).scaled(layer.spikes_out * share),
    )
