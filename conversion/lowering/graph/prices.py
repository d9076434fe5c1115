"""What a relay in a layer with a high threshold costs, as a coarser scale or as copies.

One weight is at most 254. So either the layer's scale stays so low that its threshold is at most
253, and its weights lose bits; or the layer before holds several copies of what is relayed, and
neurons are added. Both are priced in bits: those that all the layer's weights lose, and those of
the memory that the added neurons and their synapses take.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import Literal

from sdcl_neuro.network.fixed_point import WEIGHT_MAX

from .relays import RELAY_THRESHOLD_MAX

Cure = Literal["auto", "ceiling", "copies"]
CURES: tuple[Cure, ...] = ("auto", "ceiling", "copies")

NEURON_BITS = 48
"""Current and membrane, 24 bits each (`fixed_point`)."""
SYNAPSE_BITS = 8
WEIGHT_LEAST = 16
"""A ceiling that leaves the largest weight below this leaves too little of the others."""


@dataclass(frozen=True)
class Price:
    """Both cures for one layer.

    Attributes:
        threshold: that the layer would have without relays.
        copies: of each relayed spike, that this threshold takes.
        ceiling_bits: that the weights lose at a threshold of 253.
        copies_bits: of the neurons and synapses that the copies add.
        chosen: ``ceiling`` or ``copies``.
    """

    threshold: int
    copies: int
    ceiling_bits: int
    copies_bits: int
    chosen: Literal["ceiling", "copies"]


def price(
    *,
    threshold: int,
    weights: int,
    largest: float,
    copied: int,
    synapses: int,
    cure: Cure = "auto",
) -> Price:
    """Weigh the two cures.

    Args:
        threshold: integer, at the scale that the layer has without relays.
        weights: number of its weights that are not zero.
        largest: the largest of them at that scale.
        copied: neurons of the layer before that would have to be copied.
        synapses: what these neurons receive, each copy again.
        cure: the one to take, or ``auto``.
    """
    copies = -(-(threshold + 1) // WEIGHT_MAX)
    shrink = threshold / RELAY_THRESHOLD_MAX
    ceiling_bits = round(weights * log2(shrink))
    copies_bits = (copies - 1) * (copied * NEURON_BITS + synapses * SYNAPSE_BITS)
    chosen: Literal["ceiling", "copies"]
    if cure == "auto":
        coarse = largest / shrink < WEIGHT_LEAST
        chosen = "copies" if coarse or copies_bits < ceiling_bits else "ceiling"
    else:
        chosen = cure
    return Price(threshold, copies, ceiling_bits, copies_bits, chosen)
