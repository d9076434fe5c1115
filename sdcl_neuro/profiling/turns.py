"""Order in which spikes are sent within a step: a core sends its neurons' spikes in turn.

A core whose message finds the way full waits until the receiver has taken one in. So receivers of
the same sender are served one after another where its spikes go to one first and then to the next,
as they do in an image: a step lasts as long as the sum over the turns of the slowest receiver of
each. With 16 turns that is what SANA-FE's steps take within a few percent where the mesh is full
(docs/sanafe.md); where it is not, buffers even it out and it is an upper end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.hardware.placement.tiles import Tile

TURNS = 16
INPUTS_PER_CORE = 1024
"""Inputs that one core sends, in order: as many as it could hold neurons (Loihi 1)."""

Turns = NDArray[np.int64]


def input_turns(fired: NDArray[np.bool_]) -> Turns:
    """Turn of every input ``[inputs]``: those that spike at all, core by core in their order.

    Args:
        fired: ``[inputs]``, whether each input spikes in any step.
    """
    which = np.flatnonzero(fired)
    turns = np.zeros(len(fired), dtype=np.int64)
    for start in range(0, len(which), INPUTS_PER_CORE):
        part = which[start : start + INPUTS_PER_CORE]
        turns[part] = np.arange(len(part)) * TURNS // len(part)
    return turns


def neuron_turns(box: tuple[int, int, int], tiles: Sequence[Tile]) -> Turns:
    """Turn of every neuron of a layer ``[neurons]``: each core sends its own in their order.

    Args:
        box: ``(C, H, W)`` of the layer.
        tiles: of the layer, one a core.
    """
    numbers = np.arange(int(np.prod(box)), dtype=np.int64).reshape(box)
    turns = np.zeros(numbers.size, dtype=np.int64)
    for tile in tiles:
        part = np.sort(numbers[tile.slices].reshape(-1))
        turns[part] = np.arange(len(part)) * TURNS // max(1, len(part))
    return turns


def in_turn(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return time of receivers that are served turn by turn: ``[..., cores * TURNS]`` to
    ``[...]``.
    """
    by_turn = times.reshape(*times.shape[:-1], -1, TURNS)
    served: NDArray[np.float64] = by_turn.max(axis=-2).sum(axis=-1)
    return served
