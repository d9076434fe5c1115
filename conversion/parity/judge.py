"""Judge two sides' spikes: how many, where they first differ, and what that is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .certificate import FirstMismatch, LayerParity, PairKind
from .rounding import LayerRounding

Spikes = NDArray[np.uint8]


def count(spikes: Spikes) -> int:
    """All spikes of a layer."""
    return int(spikes.sum(dtype=np.int64))


def first_mismatch(
    differ: NDArray[np.bool_], ours: NDArray[Any], theirs: NDArray[Any]
) -> FirstMismatch:
    """The earliest neuron step that differs, in time, then sample, then neuron, its cause open."""
    # The order in memory is the order in time, then sample, then neuron.
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(differ)), differ.shape))
    values = (int(ours[place]), int(theirs[place]))
    return FirstMismatch(place[0], place[1], place[2:], values, cause="")


def verdict_of(
    kind: PairKind, layers: Sequence[LayerParity], rounding: Sequence[LayerRounding] | None
) -> tuple[bool | None, str]:
    """Whether a pair holds, and the same in words.

    Args:
        kind: what the pair is worth.
        layers: what was found in each.
        rounding: for a float pair that differs, what of it rounding explains.
    """
    mismatches = sum(layer.mismatches for layer in layers)
    extent = f"{mismatches:,} of {sum(layer.compared for layer in layers):,} neuron steps"
    if kind == "agreement":
        spikes = sum(max(layer.spikes) for layer in layers)
        return None, f"agreement only, no verdict: {extent} differ, beside {spikes:,} spikes"
    if not mismatches:
        return True, f"equal, {extent} differ"
    if rounding is None:
        return False, f"DIFFERENT, {extent} differ"
    # A layer that is not compared may be where a difference began.
    if any(layer.unexplained for layer in rounding):
        return False, f"DIFFERENT beyond rounding, {extent} differ"
    neurons = sum(layer.neurons for layer in rounding)
    return True, f"equal but for {neurons} neuron(s) within rounding of the threshold"
