"""Spikes recorded elsewhere, aligned in time with our own.

A board or a simulator answers some steps after its input, a layer further on later still. A layer's
shift is found from sums of spikes over groups of neurons, compared at every shift; another than the
layer before has is taken only where it fits clearly better, so that a layer that is merely wrong is
not moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Spikes = NDArray[np.uint8]

SHIFT_MAX = 64
"""Largest shift that is looked for, in steps: beyond it lie neither the longest delay that netx
takes (62) nor a pipeline of as many layers as were ever put on a chip."""
CLEARLY = 0.5
"""Another shift is taken if it leaves less than this share of the differences."""
_GROUPS, _SAMPLES, _STEPS = 64, 8, 4096
"""Groups of neurons, samples and steps that are looked at to find a shift."""


@dataclass(frozen=True)
class Aligned:
    """One layer's recorded spikes on our own time axis.

    Attributes:
        spikes: uint8 ``[T, B, *out_shape]``; ours at the steps that were not recorded.
        shift: steps by which they were recorded late.
        first, stop: the steps that were recorded, the last one excluded.
        outside: recorded spikes at steps that our run does not have.
    """

    spikes: Spikes
    shift: int
    first: int
    stop: int
    outside: int


def find_shift(ours: Spikes, recorded: Spikes, *, before: int = 0) -> int:
    """Find by how many steps a layer was recorded late.

    Args:
        ours: ``[T, B, ...]``.
        recorded: ``[t, B, ...]`` of the same neurons.
        before: shift of the layer before, kept unless another fits clearly better.
    """
    one, two = _sums(ours), _sums(recorded)
    kept = _difference(one, two, before)
    if not kept:
        return before
    shifts = range(before - SHIFT_MAX, before + SHIFT_MAX + 1)
    # The nearest comes first among equals, and of two as near the later one.
    nearest = sorted(shifts, key=lambda shift: (abs(shift - before), -shift))
    best = min(nearest, key=lambda shift: _difference(one, two, shift))
    return best if _difference(one, two, best) < CLEARLY * kept else before


def align(ours: Spikes, recorded: Spikes, shift: int) -> Aligned:
    """Move recorded spikes by a shift, and fill with ours what was not recorded."""
    first = max(0, -shift)
    stop = max(first, min(len(ours), len(recorded) - shift))
    spikes = ours.copy()
    spikes[first:stop] = recorded[first + shift : stop + shift]
    inside = int(recorded[first + shift : stop + shift].sum(dtype=np.int64))
    return Aligned(spikes, shift, first, stop, int(recorded.sum(dtype=np.int64)) - inside)


def _sums(spikes: Spikes) -> NDArray[np.int64]:
    """Return spikes of groups of neurons, ``[T, B groups]``."""
    few = spikes[:_STEPS, :_SAMPLES]
    flat = few.reshape(*few.shape[:2], -1)
    edges = np.linspace(0, flat.shape[2], min(_GROUPS, flat.shape[2]), endpoint=False, dtype=int)
    return np.add.reduceat(flat, edges, axis=2, dtype=np.int64).reshape(len(few), -1)


def _difference(one: NDArray[np.int64], two: NDArray[np.int64], shift: int) -> int:
    """Return how far the sums are apart at a shift; a step that one side lacks is silent there."""
    first = max(0, -shift)
    stop = max(first, min(len(one), len(two) - shift))
    there = two[first + shift : stop + shift]
    apart = int(np.abs(one[first:stop] - there).sum())
    return apart + int(one[:first].sum() + one[stop:].sum()) + int(two.sum() - there.sum())
