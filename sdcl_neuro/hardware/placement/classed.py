"""Chips whose cores take one whole layer each, and differ: Speck's nine (DYNAP-CNN)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import HardwareProfile
from .chip import capacity
from .findings import Broken
from .geometry import LayerGeometry
from .packing import speck_kernel_entries, speck_neuron_entries

_MEND = {
    "kernel_entries": "take fewer channels or a smaller kernel",
    "neuron_entries": "stride or pool more, or take fewer channels",
    "bias_entries": "take fewer channels, or no bias",
}


@dataclass(frozen=True)
class Assignment:
    """Which core takes which layer.

    Attributes:
        cores: core number of each layer; None where no core is left for it.
        entries: what each layer needs.
        limits: what the core it got has (of the roomiest core, if it got none).
        broken: why layers have no core.
    """

    cores: tuple[int | None, ...]
    entries: tuple[Mapping[str, int], ...]
    limits: tuple[Mapping[str, float], ...]
    broken: tuple[Broken, ...]


def entries(population: LayerGeometry) -> dict[str, int]:
    """Return memory entries of a layer, by sinabs' formulas; a dense layer is a whole-input
    kernel.
    """
    channels, rows, columns = population.out_box
    kernel = population.rows.kernel, population.columns.kernel
    return {
        "kernel_entries": speck_kernel_entries(population.in_box[0], channels, kernel),
        "neuron_entries": speck_neuron_entries(channels, (rows, columns)),
        "bias_entries": channels if population.bias else 0,
    }


def assign(hw: HardwareProfile, populations: Sequence[LayerGeometry]) -> Assignment:
    """Give every layer a core that holds it, or say what prevents it.

    The largest number of layers gets a core (augmenting paths, layers and cores in order).
    """
    rooms = {
        core: {
            name: value
            for name in _MEND
            if (value := capacity(group.quantities.get(name))) is not None
        }
        for group in hw.core_groups
        for core in group.cores
    }
    needs = [entries(population) for population in populations]
    able = [
        [
            core
            for core in sorted(rooms)
            if all(need[name] <= room for name, room in rooms[core].items())
        ]
        for need in needs
    ]
    taken: dict[int, int] = {}
    for layer in range(len(needs)):
        _augment(layer, able, taken, set())
    cores: list[int | None] = [None] * len(needs)
    for core, layer in taken.items():
        cores[layer] = core
    broken: list[Broken] = []
    for population, need, fitting in zip(populations, needs, able, strict=True):
        if not fitting:
            broken += _too_large(population, need, list(rooms.values()))
    homeless = sum(core is None and bool(able[i]) for i, core in enumerate(cores))
    if homeless:
        what = "leave out layers, or make the large ones smaller so that more cores can hold them"
        count = sum(map(bool, able))
        broken.append(Broken("cores", "network", count, count - homeless, "cores", what))
    limits = [
        rooms[core] if core is not None else _roomiest(need, list(rooms.values()))
        for core, need in zip(cores, needs, strict=True)
    ]
    return Assignment(tuple(cores), tuple(needs), tuple(limits), tuple(broken))


def _augment(layer: int, able: list[list[int]], taken: dict[int, int], tried: set[int]) -> bool:
    for core in able[layer]:
        if core not in tried:
            tried.add(core)
            if core not in taken or _augment(taken[core], able, taken, tried):
                taken[core] = layer
                return True
    return False


def _roomiest(need: Mapping[str, int], rooms: list[dict[str, float]]) -> dict[str, float]:
    """Return the room that is exceeded least."""
    return min(
        rooms, key=lambda room: max(need[name] / max(limit, 1e-9) for name, limit in room.items())
    )


def _too_large(
    population: LayerGeometry, need: Mapping[str, int], rooms: list[dict[str, float]]
) -> list[Broken]:
    """Return what the layer exceeds in the core that comes nearest."""
    room = _roomiest(need, rooms)
    return [
        Broken(name, population.name, need[name], limit, "entries", _MEND[name])
        for name, limit in room.items()
        if need[name] > limit
    ]
