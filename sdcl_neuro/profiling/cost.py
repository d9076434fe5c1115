"""Shared by the energy and the latency model: looking up constants, and where spikes go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sdcl_neuro.hardware import HardwareProfile, Quantities, Quantity

from .interval import Interval, total
from .workload import LayerWork, Workload


@dataclass(frozen=True)
class Constant:
    """One figure of a profile that went into a cost; `variant` is empty for a shared one."""

    name: str
    variant: str
    quantity: Quantity

    @property
    def interval(self) -> Interval:
        """The figure as an interval, in the unit of its table."""
        return Interval(*self.quantity.bounds)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON with unit, kind and source."""
        return {"name": self.name, "variant": self.variant, **self.quantity.to_dict()}


def find(table: Quantities, variant: str, *names: str) -> Constant | None:
    """Return the first of `names` that the table knows as a number."""
    for name in names:
        quantity = table.get(name)
        if quantity is not None and not (quantity.low is None and quantity.high is None):
            return Constant(name, variant, quantity)
    return None


def why_not(table: Quantities, *names: str) -> str:
    """Say why none of `names` is known: the profile's own words, else that it says nothing."""
    said = [table[name] for name in names if name in table]
    reasons = [quantity.unknown or quantity.text for quantity in said]
    reasons = list(filter(None, reasons))
    return reasons[0] if reasons else f"the profile has no figure for {names[0]}"


def synop(table: Quantities, variant: str, layer: LayerWork) -> Constant | None:
    """Return the constant of one synaptic operation in this kind of layer."""
    own = "synop_conv" if layer.kind == "conv" else "synop_dense"
    return find(table, variant, own, "synop")


def citations(constants: Iterable[Constant]) -> str:
    """Return the sources of constants, each once, in order."""
    return "; ".join(dict.fromkeys(constant.quantity.source for constant in constants))


def static_power(
    work: Workload, hw: HardwareProfile, *, placed: int | None
) -> tuple[Constant, int] | str:
    """Return static power of one chip in mW and the chips that draw it, or why it is unknown.

    Args:
        work: of the network.
        hw: the target's profile.
        placed: chips that a placement takes; None counts neurons.
    """
    constant = find(hw.power, "", "static")
    if constant is None:
        return why_not(hw.power, "static")
    chips = work.chips_powered(hw, placed=placed)
    if chips is None:
        return "the profile does not say how many cores or chips are powered"
    return constant, chips


def messages(work: Workload, hw: HardwareProfile) -> tuple[Interval, Interval]:
    """Return spike messages of one sample: from outside, and between neurons.

    A spike goes as one message to each core that holds a target. At least one core does; at most
    all cores of the receiving layer, and never more than the synapses it reaches. Cores are
    counted by neurons alone (no placement); without that figure the synapses are the bound.
    The last layer's spikes leave for the host, which is not modelled.
    """
    first = work.layers[0]
    outside = Interval(1, destinations(first, hw)).scaled(first.spikes_in)
    inner = [
        Interval(1, destinations(layer, hw)).scaled(layer.spikes_in) for layer in work.layers[1:]
    ]
    inner += [
        Interval(1, layer.cores(hw) or layer.neurons).scaled(layer.spikes_out)
        for layer in work.layers
        if layer.recurrent
    ]
    return outside, total(inner)


def path(table: Quantities, variant: str, hw: HardwareProfile) -> tuple[Interval, list[Constant]]:
    """Return cost of one message's way: within a tile at best, across the whole mesh at worst."""
    cost, used = Interval(0.0, 0.0), []
    local = find(table, variant, "spike_in_tile")
    if local is not None:
        cost, used = cost + local.interval, [local]
    for name, side in (("hop_east_west", "mesh_columns"), ("hop_north_south", "mesh_rows")):
        hop, extent = find(table, variant, name), hw.chip.get(side)
        if hop is not None and extent is not None and extent.high is not None:
            cost += Interval(0, extent.high - 1) * hop.interval
            used.append(hop)
    return cost, used


def destinations(layer: LayerWork, hw: HardwareProfile) -> int:
    """Return the most cores of a layer that one spike goes to."""
    return max(1, min(layer.cores(hw) or layer.neurons, layer.widest_fan_out))
