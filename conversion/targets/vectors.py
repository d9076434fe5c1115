"""Test vectors: a few steps of input and the spikes of every layer, as one list of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.engine import run_network
from sdcl_neuro.engine.check import check_input, largest_input
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import Spikes, SpikesLike

MAX_WORDS = 200_000
"""Vectors are cut to as many whole steps as stay below this, so that a compiler takes them."""


SAMPLE_STEPS = 8
SAMPLE_RATE = 0.1


def sample_spikes(net: IntNetwork, given: SpikesLike | None = None) -> Spikes:
    """Return the input for test vectors, uint8 ``[T, B, *input_shape]``.

    Args:
        net: the network.
        given: taken if it fits the network; None draws 8 steps of one sample, always the same.
    """
    if given is not None:
        return check_input(net, given)
    shape = (SAMPLE_STEPS, 1, *net.input_shape)
    generator = np.random.default_rng(0)
    counts = generator.integers(1, largest_input(net), shape, endpoint=True, dtype=np.uint8)
    chosen: Spikes = np.where(generator.random(shape) < SAMPLE_RATE, counts, np.uint8(0))
    return chosen


def expected(net: IntNetwork, spikes: Spikes) -> tuple[NDArray[np.uint32], int]:
    """Pack input and every layer's spikes of the first sample, as the engine computes them.

    Args:
        net: the network.
        spikes: uint8 ``[T, B, *input_shape]``; only sample 0 is used.

    Returns:
        The list and how many steps it holds, at least 1. For each step: how many inputs are not
        zero, which (and, where the network takes counts, the count behind each); then for each
        layer how many neurons spiked, and which.
    """
    first = np.ascontiguousarray(spikes[:, :1])
    record = run_network(net, first)
    parts: list[NDArray[np.uint32]] = []
    size = 0
    for step in range(len(first)):
        packed = np.concatenate(list(_step(net, first, record.spikes, step)))
        if parts and size + packed.size > MAX_WORDS:
            break
        parts.append(packed)
        size += packed.size
    return np.concatenate(parts), len(parts)


def _step(
    net: IntNetwork, spikes: Spikes, layers: Mapping[int, Spikes], step: int
) -> Iterator[NDArray[np.uint32]]:
    given = spikes[step].reshape(-1)
    active = np.flatnonzero(given).astype(np.uint32)
    yield np.array([active.size], np.uint32)
    if net.message_bits:
        yield np.stack([active, given[active].astype(np.uint32)], axis=1).reshape(-1)
    else:
        yield active
    for index in range(len(net.layers)):
        fired = np.flatnonzero(layers[index][step]).astype(np.uint32)
        yield np.array([fired.size], np.uint32)
        yield fired
