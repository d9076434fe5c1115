"""Three ways to place, by what a profile knows: equal cores, cores of classes, totals alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from .. import HardwareProfile
from .chip import Chip, most, why_unknown
from .classed import assign
from .compiled import compile_layers, dense_cores
from .core_rules import counting, limit_name, rule_notes, target_rules, unknown_resources
from .findings import Broken, Unchecked
from .geometry import LayerGeometry
from .limit_checks import in_words, input_rule, layer_rules, network_rules
from .links import arrivals, links
from .mesh import Seat, flows, seats
from .own_pooling import Unfolded
from .result import Fit, LayerFit, Load, Placement
from .split import LayerSplit, split
from .tiles import Cut, whole
from .usage import RESOURCES, ReceivingLayer, Use, reader_of, use

_MEND = {
    "neurons": "take fewer neurons",
    "axons_in": "no cut lowers this further: take a smaller kernel or fewer input channels",
    "axons_out": "take fewer channels in the layer after, so that it needs fewer cores",
    "synapse_bits": "no cut lowers this further: take a smaller kernel or fewer input channels",
}
Finding = Broken | Unchecked
CORES_PLACED = 1 << 16
"""More cores than this are counted, not placed one by one."""


def on_cores(
    hw: HardwareProfile, chip: Chip, layers: Sequence[LayerGeometry], message_bits: int
) -> Fit:
    """Return chips of equal cores, several to a layer, each core with neurons of one layer only."""
    rule = chip.rule
    done = split(layers, chip.core) if rule is None else compile_layers(layers, chip.core, rule)
    cuts = [entry.cut for entry in done]
    cores = sum(cut.count for cut in cuts)
    chips = None if chip.cores is None else -(-cores // chip.cores)
    placement, loads = None, [_most_loads(chip, entry) for entry in done]
    if cores <= CORES_PLACED:
        uses = _uses(chip, layers, cuts)
        synapses = [use["synapses"] for tiles in uses for use in tiles]
        placement, loads = (
            _placement(chip, layers, cuts, synapses),
            [_loads(chip, tiles) for tiles in uses],
        )
    found: list[Finding] = [
        Broken(
            limit_name(hw, name), layer.name, value, chip.core.limits[name],
            RESOURCES[name], _MEND[name],
        )
        for layer, entry in zip(layers, done, strict=True)
        for name, value in entry.broken.items()
    ]  # fmt: skip
    found += unknown_resources(hw, chip)
    if placement is not None:
        found += target_rules(hw, layers, placement)
    if chip.cores is None:
        found.append(Unchecked("cores", "the profile does not say how many there are", True))
    elif chips is not None and chips > chip.chips:
        hint = f"take {chips} chips, a smaller input, or fewer channels"
        found.append(Broken("cores", "network", cores, chip.cores * chip.chips, "cores", hint))
    fitted = [
        _layer_fit(layer, load, cut, _core_range(chip, layer, cut))
        for layer, cut, load in zip(layers, cuts, loads, strict=True)
    ]
    return _finish(
        hw, chip, layers, message_bits, found, fitted,
        cores=cores, chips=chips, placement=placement, notes=rule_notes(hw, chip, layers, cuts),
    )  # fmt: skip


def _core_range(chip: Chip, layer: LayerGeometry, cut: Cut) -> tuple[int, int]:
    """Return fewest and most cores of a layer, where the width of its synapses is an interval."""
    if chip.rule is None or layer.kind == "conv":
        return cut.count, cut.count
    low, high = dense_cores(layer, chip.core, chip.rule.dense_bits)
    return min(low, cut.count), max(high, cut.count)


def in_classes(
    hw: HardwareProfile,
    chip: Chip,
    layers: Sequence[LayerGeometry],
    message_bits: int,
    *,
    own: Sequence[Unfolded] | None = None,
) -> Fit:
    """Return chips whose cores take one whole layer each.

    Args:
        hw, chip: the profile, and what it says about placing.
        layers: as they are, poolings folded in.
        message_bits: of input counts.
        own: the same with the chip's own poolings taken out; None leaves them folded in.
    """
    held = layers if own is None else [entry.population for entry in own]
    pools = [1] * len(layers) if own is None else [entry.pool for entry in own]
    done = assign(hw, held)
    fitted = []
    for index, (layer, core) in enumerate(zip(layers, done.cores, strict=True)):
        needs, room = done.entries[index], done.limits[index]
        loads = {
            "neurons": Load(layer.neurons, layer.neurons, None, "neurons"),
            "synapses": Load(layer.synapses, layer.synapses, None, "synapses"),
        }
        loads |= {
            name: Load(value, value, room.get(name), "entries") for name, value in needs.items()
        }
        cut = None if core is None else whole(layer)
        fitted.append(_layer_fit(layer, loads, cut, own_pooling=pools[index]))
    placement = None
    if None not in done.cores:
        placement = _placement(
            chip, layers, [whole(layer) for layer in layers], [p.synapses for p in layers],
            seated=[Seat(0, core) for core in done.cores if core is not None],
        )  # fmt: skip
    broken = [*done.broken, *input_rule(hw, layers[0], held[0])]
    found = _finish(
        hw, chip, held, message_bits, broken, fitted,
        cores=sum(core is not None for core in done.cores), chips=1, placement=placement,
        notes=[
            f"the chip's own {pool}x{pool} sum pooling stands before {layer.name}: taken out of "
            "its weights again"
            for layer, pool in zip(layers, pools, strict=True)
            if pool > 1
        ],
    )  # fmt: skip
    return replace(found, input_shape=_input_shape(layers[0]))


def by_totals(
    hw: HardwareProfile, chip: Chip, layers: Sequence[LayerGeometry], message_bits: int
) -> Fit:
    """Return chips of whose cores nothing is known: only the whole is held against the limits."""
    found: list[Finding] = []
    capacities = {
        "neurons_per_core": ("neurons_per_chip", "hidden"),
        "synapse_memory_per_core": ("synapses_per_chip", "fan_in"),
    }
    for name, others in capacities.items():
        if all(most(hw.limits.get(key)) is None for key in others):
            found.append(Unchecked(name, why_unknown(hw, name, *others), decides=True))
    fitted = [
        _layer_fit(
            layer,
            {
                "neurons": Load(layer.neurons, layer.neurons, None, "neurons"),
                "synapses": Load(layer.synapses, layer.synapses, None, "synapses"),
            },
            None,
        )
        for layer in layers
    ]
    return _finish(hw, chip, layers, message_bits, found, fitted)


def _finish(
    hw: HardwareProfile,
    chip: Chip,
    layers: Sequence[LayerGeometry],
    message_bits: int,
    found: Iterable[Finding],
    fitted: Sequence[LayerFit],
    *,
    cores: int | None = None,
    chips: int | None = None,
    placement: Placement | None = None,
    notes: Iterable[str] = (),
) -> Fit:
    """Add the limits that hold for every chip, and the verdict."""
    every = [*found, *layer_rules(hw, layers), *network_rules(hw, chip, layers, message_bits)]
    broken = tuple(entry for entry in every if isinstance(entry, Broken))
    unchecked = tuple(entry for entry in every if isinstance(entry, Unchecked))
    undecided = any(entry.decides for entry in unchecked)
    return Fit(
        hw=hw.name,
        title=hw.title,
        fits=False if broken else None if undecided else True,
        input_shape=_input_shape(layers[0]),
        layers=tuple(fitted),
        cores=cores,
        chips=chips,
        chips_available=chip.chips,
        shared_kernels=chip.core.shared,
        broken=broken,
        unchecked=unchecked,
        notes=(*notes, *counting(hw, chip, layers), *in_words(hw)),
        placement=placement,
    )


def _input_shape(first: LayerGeometry) -> tuple[int, ...]:
    return first.in_box if first.in_box[1:] != (1, 1) else first.in_box[:1]


def _placement(
    chip: Chip,
    layers: Sequence[LayerGeometry],
    cuts: Sequence[Cut],
    synapses: Iterable[float],
    *,
    seated: Sequence[Seat] | None = None,
) -> Placement:
    tiles = [tile for index, cut in enumerate(cuts) for tile in cut.tiles(index)]
    joined = links(layers, cuts)
    seated = seats(chip, tiles, cuts, joined) if seated is None else seated
    arriving = np.zeros(len(tiles), dtype=np.int64)
    arriving[: cuts[0].count] = arrivals(layers[0], cuts[0])
    return Placement(
        tuple(tiles),
        tuple(seated),
        tuple(int(value) for value in synapses),
        joined,
        tuple(arriving.tolist()),
        flows(chip, layers, tiles, seated, joined),
        mesh_known=chip.mesh is not None,
    )


def _uses(chip: Chip, layers: Sequence[LayerGeometry], cuts: Sequence[Cut]) -> list[list[Use]]:
    """Return what every tile of every layer takes."""
    found: list[list[Use]] = []
    reader: ReceivingLayer | None = None
    for index in reversed(range(len(layers))):
        layer, cut = layers[index], cuts[index]
        found.append(
            [
                use(
                    layer, chip.core, tile.channels, tile.rows, tile.columns,
                    reader=reader, own_tiles=cut.count,
                )
                for tile in cut.tiles(index)
            ]
        )  # fmt: skip
        reader = reader_of(layer, chip.core, cut)
    return found[::-1]


def _loads(chip: Chip, uses: Sequence[Use]) -> dict[str, Load]:
    return {
        name: Load(
            max(found[name] for found in uses),
            sum(found[name] for found in uses),
            chip.core.limits.get(name),
            unit,
        )
        for name, unit in RESOURCES.items()
    }


def _most_loads(chip: Chip, entry: LayerSplit) -> dict[str, Load]:
    """Return the fullest tile alone, where there are too many to look at each; totals are
    bounds.
    """
    return {
        name: Load(value, value * entry.cut.count, chip.core.limits.get(name), RESOURCES[name])
        for name, value in entry.most.items()
    }


def _layer_fit(
    layer: LayerGeometry,
    loads: dict[str, Load],
    cut: Cut | None,
    cores: tuple[int, int] | None = None,
    *,
    own_pooling: int = 1,
) -> LayerFit:
    return LayerFit(
        layer.name,
        layer.kind,
        layer.neurons,
        layer.synapses,
        None if cut is None else cut.count,
        None if cut is None else cut.parts,
        None if cut is None else cut.largest,
        loads,
        cores,
        own_pooling,
    )
