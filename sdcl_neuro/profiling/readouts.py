"""What a chip has to read besides spikes: the membranes of read-outs, after every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

from sdcl_neuro.network.fixed_point import STATE_LIMIT
from sdcl_neuro.network.spec import IntNetwork

from .energy_result import Energy

PART = "membrane_reads"
BITS = STATE_LIMIT.bit_length()
"""Of one membrane, with its sign: 24 (`fixed_point`)."""


def readout_neurons(net: IntNetwork) -> int:
    """Return neurons whose membranes are read, in every step; 0 for a network without read-outs."""
    account = net.meta.get("graph")
    found = account.get("readouts", ()) if isinstance(account, Mapping) else ()
    sizes = [entry.get("shape", (0,)) for entry in found if isinstance(entry, Mapping)]
    return sum(prod(int(n) for n in size) for size in sizes)


def with_readouts(energy: Energy, net: IntNetwork, steps: int) -> Energy:
    """Return the energy, with the reads that no one has published a cost of named as not modelled.

    Args:
        energy: of one sample.
        net: the network, whose account of a graph names its read-outs.
        steps: of a sample, after each of which membranes are read.
    """
    neurons = readout_neurons(net)
    if not neurons:
        return energy
    size = -(-neurons * steps * BITS // 8)
    why = (
        f"{neurons:,} membranes of {BITS} bits are read after each of {steps} steps, "
        f"{size:,} bytes a sample; no figure of what a read costs on this chip is published"
    )
    return replace(energy, not_modelled={**energy.not_modelled, PART: why})
