"""Judge two sides' spikes: how many, where they first differ, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import number_of

from .certificate import FirstMismatch, LayerParity, PairKind
from .rounding import LayerRounding

Spikes = NDArray[np.uint8]


def count(values: NDArray[Any]) -> int:
    """Return all spikes of a layer; of membranes, those that are not at zero."""
    if values.dtype == np.uint8:
        return int(values.sum(dtype=np.int64))
    return int(np.count_nonzero(values))


def layer_parity(
    index: int,
    name: str,
    ours: NDArray[Any],
    theirs: NDArray[Any],
    *,
    rounding: Mapping[str, float] | None = None,
) -> LayerParity:
    """Compare two sides' spikes or membranes of a layer, ``[T, B, ...]``, in every neuron step.

    Args:
        index, name: of the layer.
        ours, theirs: of one shape.
        rounding: what of a difference rounding explains; left out where nothing differs.
    """
    differ = ours != theirs
    found = int(np.count_nonzero(differ))
    return LayerParity(
        index=index,
        name=name,
        spikes=(count(ours), count(theirs)),
        compared=int(ours.size),
        mismatches=found,
        first=first_mismatch(differ, ours, theirs) if found else None,
        rounding=rounding if found else None,
    )


def first_mismatch(
    differ: NDArray[np.bool_], ours: NDArray[Any], theirs: NDArray[Any]
) -> FirstMismatch:
    """Return the earliest neuron step that differs, in time, then sample, then neuron, its cause
    open.
    """
    # The order in memory is the order in time, then sample, then neuron.
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(differ)), differ.shape))
    values = (int(ours[place]), int(theirs[place]))
    return FirstMismatch(place[0], place[1], place[2:], values, cause="")


def verdict_of(
    kind: PairKind, layers: Sequence[LayerParity], rounding: Sequence[LayerRounding] | None
) -> tuple[bool | None, str]:
    """Return whether a pair holds, and the same in words.

    Args:
        kind: what the pair is worth.
        layers: what was found in each.
        rounding: for a float pair that differs, what of it rounding explains.
    """
    mismatches = sum(layer.mismatches for layer in layers)
    extent = f"{mismatches:,} of {sum(layer.compared for layer in layers):,} neuron steps"
    if kind == "agreement":
        spikes = sum(max(layer.spikes) for layer in layers)
        return None, f"agreement only, no verdict: {extent} differ, against {spikes:,} spikes"
    if not mismatches:
        return True, f"equal, {extent} differ"
    if rounding is None:
        return False, f"DIFFERENT, {extent} differ"
    # A layer that is not compared may be where a difference began.
    if any(layer.unexplained for layer in rounding):
        return False, f"DIFFERENT beyond rounding, {extent} differ"
    neurons = sum(layer.neurons for layer in rounding)
    return True, f"equal but for {number_of(neurons, 'neuron')} within rounding of the threshold"
