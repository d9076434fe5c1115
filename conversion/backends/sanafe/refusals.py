"""What SANA-FE's neuron does otherwise than Loihi's: refused by name, every reason at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.fixed_point import DECAY_UNITY
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork

from ...targets.bounds import bounds

MAX_SYNAPSES = 1 << 24
"""Synapses beyond which SANA-FE takes tens of gigabytes."""


def check_network(net: IntNetwork, synapses: int) -> None:
    """Refuse what SANA-FE cannot hold, whatever the input.

    Args:
        net: the network.
        synapses: of weights that are not zero.

    Raises:
        NetworkRefused: with every reason.
    """
    found = list(_reasons(net))
    if synapses > MAX_SYNAPSES:
        what = f"{synapses:,} synapses; it holds at most {MAX_SYNAPSES:,} in memory"
        found.append(Refusal("network", what, "use a smaller network"))
    if found:
        raise NetworkRefused(found, where="sanafe")


def check_run(net: IntNetwork, ours: Record) -> None:
    """Refuse a run in which a current wraps around, which SANA-FE does not do.

    A membrane that clips above needs no refusal: the largest threshold lies below the limit, so it
    fires and is reset in both. It clips below by a reverse threshold.

    Args:
        net: the network.
        ours: the engine's record of the same run.

    Raises:
        NetworkRefused: with every layer.
    """
    found = []
    for index, layer in enumerate(ours.activity):
        if layer.wraps is not None and (count := int(layer.wraps.sum())):
            what = f"its current wraps around in {count:,} neuron steps, which SANA-FE does not do"
            where = f"layer {index} ({net.layers[index].name})"
            found.append(Refusal(where, what, "give weaker input, or lower its weights"))
    if found:
        raise NetworkRefused(found, where="sanafe")


def _reasons(net: IntNetwork) -> Iterator[Refusal]:
    if net.message_bits:
        what = f"counts of {net.message_bits} bits; SANA-FE's input units send single spikes"
        yield Refusal("input", what, "make the input binary")
    for index, layer in enumerate(net.layers):
        where = f"layer {index} ({layer.name})"
        if layer.neuron.current_decay < DECAY_UNITY:
            decay = layer.neuron.current_decay
            what = (
                f"a current that decays by {decay} / 4096, which SANA-FE does not round to integers"
            )
            yield Refusal(where, what, "use an instantaneous current (iDecay 4096)")
        if layer.delay is not None and bool(np.any(layer.delay)):
            what = (
                f"axonal delays up to {int(layer.delay.max())} steps, which its model of a synapse"
            )
            yield Refusal(where, f"{what} keeps apart from its weight", "remove the delays")
        if bounds(layer, largest=1).wraps_total:
            what = "sums that may leave 24 bits, which SANA-FE does not wrap"
            yield Refusal(where, what, "lower its weights")
