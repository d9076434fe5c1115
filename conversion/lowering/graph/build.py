"""The chain of integer layers that computes what a graph of integer units computes, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from math import gcd, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.fixed_point import DECAY_UNITY, THRESHOLD_MAX
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNeuron

from .kernels import Link, as_convolution, as_matrix
from .layout import Layout, Place, lay_out
from .relays import copies_needed, relay_weights
from .shapes import Misfit
from .units import Unit, Units

Indices = NDArray[np.int64]
Wanted = tuple[str, Indices, tuple[int, int], int]

LONE = IntNeuron(DECAY_UNITY, DECAY_UNITY - 1, 1)
"""The neuron of a layer that only relays and pools: it forgets at once, any weight exceeds it."""


@dataclass(frozen=True)
class Level:
    """One layer of the chain, before it has weights.

    Attributes:
        units: the units that it holds, integer.
        relays: node to the channels that it relays.
        neuron: of the whole layer.
    """

    units: tuple[Unit, ...]
    relays: Mapping[str, tuple[int, ...]]
    neuron: IntNeuron

    @property
    def relaying(self) -> bool:
        """Whether some neuron of it copies or pools spikes."""
        return bool(self.relays) or any(unit.kind == "or" for unit in self.units)


@dataclass(frozen=True)
class Chain:
    """The layers, and where each node's spikes are found in them.

    Attributes:
        layers: in order.
        layouts: of the input, then of each layer.
        homes: node to (layer counted from 0, place), of the neurons that are its own.
    """

    layers: tuple[IntLayer, ...]
    layouts: tuple[Layout, ...]
    homes: Mapping[str, tuple[tuple[int, Place], ...]]


@dataclass
class _Building:
    units: Units
    levels: Sequence[Level]
    layers: list[IntLayer] = field(default_factory=list)
    layouts: list[Layout] = field(default_factory=list)
    homes: dict[str, list[tuple[int, Place]]] = field(default_factory=dict)


def build_chain(units: Units, levels: Sequence[Level]) -> Chain:
    """Give every level its weights.

    Args:
        units: the reduced graph, for its inputs and sizes.
        levels: in order, their units rounded to integers.

    Raises:
        NetworkRefused: a layer beyond the stated size, or a relay through a slower current.
    """
    building = _Building(units, levels)
    building.layouts.append(_input_layout(units))
    for index in range(len(levels)):
        where = f"layer {index} of the chain"
        try:
            _add_layer(building, index)
        except Misfit as misfit:
            raise NetworkRefused([Refusal(where, *misfit.args)]) from None
    homes = {node: tuple(places) for node, places in building.homes.items()}
    return Chain(tuple(building.layers), tuple(building.layouts), homes)


def _input_layout(units: Units) -> Layout:
    """Return all inputs as channels of one, on the grid that all their sizes share; else flat."""
    flat = any(len(sender.shape) == 1 for sender in units.inputs)
    grid = None if flat else _grid([sender.size[1:] for sender in units.inputs])
    wanted = [(s.name, np.arange(s.size[0]), s.size[1:], 1) for s in units.inputs]
    return lay_out(wanted, grid)


def _grid(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    rows, columns = (reduce(gcd, (size[axis] for size in sizes)) for axis in range(2))
    return rows, columns


def _grids(sizes: Sequence[tuple[int, int]], before: Layout) -> list[tuple[int, int]]:
    """Return what the nodes of a layer share; then, where one is enlarged, that of the layer
    before.
    """
    coarse = _grid([*sizes, (before.shape[1], before.shape[2])])
    return list(dict.fromkeys((_grid(sizes), coarse)))


def copies_in(levels: Sequence[Level], index: int) -> int:
    """Return how many copies the layer after `index` reads of what it relays."""
    if index + 1 >= len(levels) or not levels[index + 1].relaying:
        return 1
    return copies_needed(levels[index + 1].neuron.threshold)


def _add_layer(building: _Building, index: int) -> None:
    level, before = building.levels[index], building.layouts[-1]
    wanted, copied = _wanted(building, index)
    sizes = [size for _, _, size, _ in wanted]
    recurrent = any(unit.recurrent is not None for unit in level.units)
    weights = relay_weights(level.neuron) if level.relaying else (0, 0)
    if weights is None:
        what = (
            f"the spikes of {', '.join(level.relays)} have to pass neurons whose current decays "
            f"slowly ({level.units[0].node}, iDecay {level.neuron.current_decay})"
        )
        remedy = "let the skip start after them, or use neurons without a current (alpha 0)"
        raise Misfit(what, remedy)
    forward, back = weights
    flat = before.flat or recurrent or back != 0 or _grid(sizes) == (1, 1)
    made = None
    for grid in () if flat else _grids(sizes, before):
        layout = lay_out(wanted, grid)
        links = _links(building, index, layout, copied, forward)
        bias = _bias(level.units, layout)
        made = None if bias is None else as_convolution(links, before, layout)
        if made is not None:
            break
    if made is None:
        layout = lay_out(wanted, None)
        links = _links(building, index, layout, copied, forward)
        bias = _bias(level.units, layout)
        layer = _dense(building, index, layout, links, bias, back)
    else:
        layer = _layer(building, index, layout, "conv", made[0], bias, made[1])
    building.layers.append(layer)
    building.layouts.append(layout)
    for unit in level.units:
        place = next(p for p in layout.find(unit.node) if p.channels is unit.channels)
        building.homes.setdefault(unit.node, []).append((index, place))


def _wanted(building: _Building, index: int) -> tuple[list[Wanted], int]:
    """Return what a layer holds: its units, then its relays, each as often as the next layer needs
    it.

    Also how many copies it reads of what it relays and pools itself.
    """
    levels = building.levels
    level, count = levels[index], copies_in(levels, index)
    later: dict[str, set[int]] = {}
    if count > 1:
        later = _copied_by(levels[index + 1])
    wanted: list[Wanted] = []
    for unit in level.units:
        needed = later.get(unit.node, set()) & {int(c) for c in unit.channels}
        wanted.append((unit.node, unit.channels, unit.size, count if needed else 1))
    for node, channels in level.relays.items():
        size = building.units.senders[node].size[1:]
        needed = later.get(node, set()) & set(channels)
        wanted.append((node, np.asarray(channels), size, count if needed else 1))
    read = 1 if index == 0 else copies_in(levels, index - 1)
    return wanted, read


def _copied_by(level: Level) -> dict[str, set[int]]:
    """Map a node to the channels that a layer relays or pools."""
    found = {node: set(channels) for node, channels in level.relays.items()}
    for unit in level.units:
        if unit.kind == "or":
            for afferent in unit.afferents:
                found.setdefault(afferent.source, set()).update(int(c) for c in afferent.of)
    return found


def _links(
    building: _Building, index: int, layout: Layout, copied: int, forward: int
) -> list[Link]:
    level, links = building.levels[index], []
    own = {id(unit.channels): unit for unit in level.units}
    for place in layout.places:
        unit = own.get(id(place.channels))
        if unit is None:
            size = place.size
            links.append(
                Link(
                    place,
                    place.node,
                    copied,
                    place.channels,
                    np.full(len(place.channels), forward),
                    np.arange(size[0])[:, None],
                    np.arange(size[1])[:, None],
                )
            )
            continue
        pools = unit.kind == "or"
        for a in unit.afferents:
            weight = (a.weight > 0) * forward if pools else a.weight
            links.append(
                Link(place, a.source, copied if pools else 1, a.of, weight, a.rows, a.columns)
            )
    return links


def _bias(units: Sequence[Unit], layout: Layout) -> NDArray[np.int32] | None:
    """Return one bias for each channel or neuron of the layer; None where a channel has several."""
    own = {id(unit.channels): unit for unit in units}
    bias = np.zeros(layout.shape[0], np.int32)
    for place in layout.places:
        unit = own.get(id(place.channels))
        if unit is None or unit.bias is None:
            continue
        count = len(unit.channels)
        values = unit.bias.reshape(count, *((1, 1) if unit.bias.ndim == 1 else unit.size))
        if layout.flat:
            bias[layout.neurons(place)] = np.broadcast_to(values, (count, *unit.size))
            continue
        rows, columns = layout.factor(unit.size)
        whole = np.broadcast_to(values, (count, *unit.size))
        cut = whole.reshape(count, unit.size[0] // rows, rows, unit.size[1] // columns, columns)
        if (cut != cut[:, :1, :, :1]).any():
            return None
        bias[layout.channels(place)] = cut[:, 0, :, 0]
    return bias


def _dense(
    building: _Building,
    index: int,
    layout: Layout,
    links: Sequence[Link],
    bias: NDArray[np.int32] | None,
    back: int,
) -> IntLayer:
    before = building.layouts[-1]
    weight = as_matrix(links, before, layout)
    level = building.levels[index]
    units = {id(unit.channels): unit for unit in level.units}
    if back == 0 and all(unit.recurrent is None for unit in level.units):
        return _layer(building, index, layout, "dense", weight, bias)
    recurrent = np.zeros((prod(layout.shape),) * 2, np.int32)
    first = {id(place.channels): layout.neurons(place).ravel() for place in reversed(layout.places)}
    for place in layout.places:
        unit, own = units.get(id(place.channels)), layout.neurons(place).ravel()
        if unit is None:
            recurrent[own, own] = back
        elif unit.recurrent is not None:
            recurrent[np.ix_(own, first[id(place.channels)])] = unit.recurrent
    return _layer(building, index, layout, "dense_rec", weight, bias, recurrent=recurrent)


def _layer(
    building: _Building,
    index: int,
    layout: Layout,
    kind: Any,
    weight: NDArray[np.int32],
    bias: NDArray[np.int32] | None,
    geometry: Convolution | None = None,
    recurrent: NDArray[np.int32] | None = None,
) -> IntLayer:
    level = building.levels[index]
    nodes = list(dict.fromkeys(unit.name for unit in level.units))
    name = "+".join(nodes) or f"relay_{index}"
    neuron = level.neuron
    if any(unit.kind == "readout" for unit in level.units):
        neuron = IntNeuron(neuron.current_decay, neuron.voltage_decay, THRESHOLD_MAX)
    return IntLayer(
        name=name,
        kind=kind,
        weight=weight,
        neuron=neuron,
        in_shape=building.layouts[-1].shape,
        out_shape=layout.shape,
        bias=bias if bias is not None and bias.any() else None,
        convolution=geometry,
        recurrent_weight=recurrent,
    )
