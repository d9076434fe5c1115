"""Limits of single layers and of the whole network, all checked, each with a remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod

from .. import HardwareProfile
from .chip import Chip, most, why_unknown
from .findings import Broken, Unchecked
from .geometry import LayerGeometry

_Need = tuple[Callable[[LayerGeometry], int], str]

# Limit: (what a layer needs of it, remedy). Zero needs nothing.
_LAYER: dict[str, _Need] = {
    "fan_in": (lambda p: p.fan_in, "take a smaller kernel or fewer input channels"),
    "fan_out": (lambda p: p.fan_out, "take a smaller kernel or fewer channels"),
    "weight_bits": (lambda p: p.weight_bits, "quantise to the width the chip stores"),
    "delay": (lambda p: p.delay, "shorten the axonal delays"),
    "threshold_bits": (lambda p: p.threshold_bits or 0, "choose a smaller weight scale"),
    "bias_bits": (lambda p: p.bias_bits or 0, "choose a smaller weight scale"),
    "destinations_per_core": (lambda p: 1 + p.recurrent, "leave out the recurrence"),
}
# The same for chips made for convolutions.
_CONVOLUTION: dict[str, _Need] = {
    "input_size": (lambda p: max(p.in_box[1:]), "crop or scale the input, or stride before"),
    "output_size": (lambda p: max(p.out_box[1:]), "stride or pool in this layer"),
    "channels": (lambda p: max(p.in_box[0], p.out_box[0]), "take fewer channels"),
    "kernel_size": (lambda p: max(p.rows.kernel, p.columns.kernel), "take a smaller kernel"),
}
# A limit no one states matters only where the network asks for more than the plain case.
_MATTERS = ("weight_bits", "delay")


def layer_rules(
    hw: HardwareProfile, populations: Sequence[LayerGeometry]
) -> Iterator[Broken | Unchecked]:
    """Yield every limit that a single layer breaks, and those that matter and are unknown."""
    for name, (needed, hint) in {**_LAYER, **_CONVOLUTION}.items():
        allowed = most(hw.limits.get(name))
        if allowed is None:
            if name in _MATTERS and any(needed(p) for p in populations):
                yield Unchecked(name, why_unknown(hw, name))
            continue
        for population in populations:
            value = int(needed(population))
            if value > allowed:
                unit = hw.limits[name].unit
                yield Broken(name, population.name, value, allowed, unit, hint)
    if "kernel_size" in hw.limits:
        for population in populations:
            yield from _convolution_rules(hw, population)


def input_rule(hw: HardwareProfile, first: LayerGeometry, held: LayerGeometry) -> Iterator[Broken]:
    """Yield the limit on the input itself, where the chip pools it before the first layer reads
    it.
    """
    allowed, value = most(hw.limits.get("input_size")), max(first.in_box[1:])
    if allowed is not None and held != first and value > allowed:
        unit, hint = hw.limits["input_size"].unit, _CONVOLUTION["input_size"][1]
        yield Broken("input_size", first.name, value, allowed, unit, hint)


def _convolution_rules(
    hw: HardwareProfile, population: LayerGeometry
) -> Iterator[Broken | Unchecked]:
    axes = {"vertical": population.rows, "horizontal": population.columns}
    strides = hw.limits.get("stride")
    paddings = hw.limits.get("padding")
    for side, axis in axes.items():
        if strides is not None and strides.values and axis.stride not in strides.values:
            yield Broken(
                "stride", population.name, axis.stride, str(strides), "",
                f"take one of these as {side} stride",
            )  # fmt: skip
        high = most(paddings)
        if high is not None and axis.padding > high:
            yield Broken(
                "padding", population.name, axis.padding, high, "pixels", f"pad less, {side}ly"
            )
    if population.rows.kernel != population.columns.kernel and "square" in (
        hw.limits["kernel_size"].note
    ):
        yield Broken(
            "kernel_size", population.name,
            max(population.rows.kernel, population.columns.kernel), "square kernels", "",
            f"pad the {population.rows.kernel}x{population.columns.kernel} kernel with zeros",
        )  # fmt: skip
    for name, odd in (
        ("dilation", max(population.rows.dilation, population.columns.dilation) > 1),
        ("groups", population.groups > 1),
        ("recurrence", population.recurrent),
    ):
        if odd:
            reason = f"{population.name} has it, the profile does not say whether the chip does"
            yield Unchecked(name, reason, decides=True)


def network_rules(
    hw: HardwareProfile, chip: Chip, populations: Sequence[LayerGeometry], message_bits: int
) -> Iterator[Broken | Unchecked]:
    """Yield limits on all layers together."""
    neurons = [population.neurons for population in populations]
    ends = {
        "inputs": (prod(populations[0].in_box), "scale the input down"),
        "hidden": (sum(neurons[:-1]), "take fewer hidden neurons"),
        "outputs": (neurons[-1], "take fewer outputs"),
        "message_bits": (message_bits, "send binary spikes, or smaller counts"),
    }
    for name, (value, hint) in ends.items():
        allowed = most(hw.limits.get(name))
        if allowed is not None and value > allowed:
            yield Broken(name, "network", value, allowed, hw.limits[name].unit, hint)
        elif allowed is None and name == "message_bits" and message_bits:
            yield Unchecked(name, why_unknown(hw, name))
    totals = {
        "neurons_per_chip": sum(neurons),
        "synapses_per_chip": sum(population.synapses for population in populations),
    }
    for name, value in totals.items():
        allowed = most(hw.limits.get(name))
        if allowed is not None and value > allowed * chip.chips:
            yield Broken(
                name, "network", value, allowed * chip.chips, hw.limits[name].unit,
                f"spread it over {-(-value // int(allowed))} chips, or make it smaller",
            )  # fmt: skip
    longest, usual = max(p.delay for p in populations), most(hw.limits.get("delay_default"))
    if usual is not None and longest > usual:
        reason = f"delays of {longest} steps, above {usual:g}, leave room for fewer neurons"
        yield Unchecked("neurons_per_core", reason, decides=True)


def in_words(hw: HardwareProfile) -> tuple[str, ...]:
    """Return limits stated in words: shown with the verdict, not part of it."""
    counted = {"synapse_entry", "neuron_memory", "kernel_memory", "convolution_sharing", "cutting"}
    return tuple(
        f"{name.replace('_', ' ')}: {quantity.text}"
        for name, quantity in hw.limits.items()
        if quantity.text and name not in counted
    )
