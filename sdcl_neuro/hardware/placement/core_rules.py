"""What to say about cores besides their limits: what is unknown, and how it was counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from .. import HardwareProfile
from .chip import Chip, capacity, most, why_unknown
from .compiled import narrow
from .findings import Broken, Unchecked
from .geometry import LayerGeometry
from .result import Placement
from .tiles import Cut
from .usage import RESOURCES

_NAMES = {
    "neurons": "neurons_per_core",
    "axons_in": "axons_in_per_core",
    "axons_out": "axons_out_per_core",
    "synapse_bits": "synapse_memory_per_core",
}


def limit_name(hw: HardwareProfile, name: str) -> str:
    """Return what the profile calls a resource of a core."""
    if name == "synapse_bits" and "synapse_memory_per_core" not in hw.limits:
        return "memory_per_core"
    return _NAMES[name]


def unknown_resources(hw: HardwareProfile, chip: Chip) -> Iterator[Unchecked]:
    """Yield limits of a core that no one states; the verdict needs one that bounds its synapses."""
    limits = chip.core.limits
    bounded = "synapse_bits" in limits or "axons_in" in limits
    bounded |= most(hw.limits.get("synapses_per_chip")) is not None
    for name in RESOURCES:
        if name in _NAMES and name not in limits:
            decides = name == "synapse_bits" and not bounded
            yield Unchecked(_NAMES[name], why_unknown(hw, _NAMES[name]), decides)


def target_rules(
    hw: HardwareProfile, layers: Sequence[LayerGeometry], placement: Placement
) -> Iterator[Broken]:
    """Yield cores that one neuron sends to, where a chip bounds them."""
    allowed = most(hw.limits.get("targets_per_neuron"))
    for flow in placement.flows[1:]:
        if allowed is not None and flow.messages.most > allowed:
            hint = "double these neurons, or add neurons that pass spikes on (not placed here)"
            name, unit = "targets_per_neuron", hw.limits["targets_per_neuron"].unit
            value = flow.messages.most
            yield Broken(name, layers[flow.layer].name, value, allowed, unit, hint)


def rule_notes(
    hw: HardwareProfile, chip: Chip, layers: Sequence[LayerGeometry], cuts: Sequence[Cut]
) -> Iterator[str]:
    """Say where the compiler's rule comes from, where it was stretched, what is known to hang."""
    if chip.rule is not None:
        yield f"layers are cut by the rule of one version of the compiler: {chip.rule.note}"
        low, high = chip.rule.dense_bits
        if any(layer.kind != "conv" for layer in layers):
            yield (
                f"a synapse of a dense layer takes {low:g} to {high:g} bits: the cores of such a "
                "layer are an interval, the one shown is what the published log's rule gives"
            )
        stretched = [
            layer.name for layer, cut in zip(layers, cuts, strict=True) if narrow(layer, cut)
        ]
        if stretched:
            yield (
                f"{', '.join(stretched)}: a single column is too large for a core, which no "
                "published log shows; rows, then channels are cut there, by a guess"
            )
    hangs = capacity(hw.limits.get("hangs_from_conv_input"))
    first = layers[0]
    if hangs is not None and first.kind == "conv" and prod(first.in_box) >= hangs:
        shape = "x".join(map(str, (*first.in_box[1:], first.in_box[0])))
        yield (
            f"a convolution reads an input of {shape}: a user's board hung without a word from "
            f"one of {hw.limits['hangs_from_conv_input'].note} on "
            f"({hw.limits['hangs_from_conv_input'].source}); try a smaller input first"
        )


def counting(hw: HardwareProfile, chip: Chip, layers: Sequence[LayerGeometry]) -> Iterator[str]:
    """Yield how things were counted, where that is not plain."""
    if "neurons" in chip.core.limits:
        yield "a core holds neurons of one layer only; output spikes to the host take no axon"
        if any(layer.kind == "conv" for layer in layers):
            shared = "once in a core" if chip.core.shared else "once for every neuron"
            yield f"a convolution's weights are stored {shared}"
        bare = chip.core.synapse_format is None and chip.core.dense_format is None
        if bare and "synapse_bits" in chip.core.limits:
            yield "memory counts bare weights, a lower bound: its layout is not published"
    if any(layer.planned for layer in layers):
        yield "weights are floats still, counted with the 8 bits that rounding will give them"
