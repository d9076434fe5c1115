"""When a neuron copies its input, spike for spike, and what that takes.

With an instantaneous current a neuron that receives a weight above the threshold fires in the
same step and is back at zero. With a slower current some of the input stays for the next steps;
a weight from the neuron to itself takes most of it away again, and whether the rest ever crosses
the threshold is proved here over every input, by following the bounds of both states.
"""

from __future__ import annotations

from sdcl_neuro.network.fixed_point import (
    DECAY_BITS,
    DECAY_UNITY,
    STATE_SHIFT,
    WEIGHT_MAX,
    WEIGHT_MIN,
)
from sdcl_neuro.network.spec import IntNeuron

RELAY_THRESHOLD_MAX = WEIGHT_MAX - 1
"""Largest threshold that one weight exceeds."""
_ROUNDS = 5000
Interval = tuple[int, int]


def copies_needed(threshold: int) -> int:
    """Return relays of one input that together exceed a threshold."""
    return -(-(threshold + 1) // WEIGHT_MAX)


def relay_weight(threshold: int) -> int:
    """Return the smallest even weight that, from each of `copies_needed` copies, exceeds the
    threshold.
    """
    if threshold > RELAY_THRESHOLD_MAX:
        return WEIGHT_MAX
    return (threshold + 2) // 2 * 2


def relay_weights(neuron: IntNeuron) -> tuple[int, int] | None:
    """Return the weight of a relay, and its weight to itself, that copy exactly in such a layer.

    Returns:
        Both even; the second is 0 where none is needed. None if no pair was proved to copy.
    """
    least = relay_weight(neuron.threshold)
    if neuron.current_decay == DECAY_UNITY:
        return least, 0
    if neuron.threshold > RELAY_THRESHOLD_MAX:
        return None
    weights = range(least, WEIGHT_MAX + 1, 2)
    for weight in weights:
        if copies_exactly(neuron, weight, 0):
            return weight, 0
    for weight in weights:
        left = weight * (DECAY_UNITY - neuron.current_decay) / DECAY_UNITY
        for back in dict.fromkeys((-2 * round(left / 2), -2 * int(left // 2))):
            if back >= WEIGHT_MIN and copies_exactly(neuron, weight, back):
                return weight, back
    return None


def copies_exactly(neuron: IntNeuron, weight: int, back: int) -> bool:
    """Return whether a neuron fires exactly when it receives `weight`, whatever comes when.

    Args:
        neuron: its decays and threshold.
        weight: per input spike.
        back: from the neuron to itself, a step later.
    """
    limit = neuron.threshold << STATE_SHIFT
    quiet: tuple[Interval, Interval] = ((0, 0), (0, 0))  # current and membrane
    fired: Interval | None = None  # current; the membrane is at zero
    for _ in range(_ROUNDS):
        before = quiet, fired
        starts = [(quiet[0], quiet[1], 0)]
        if fired is not None:
            starts.append((fired, (0, 0), back))
        for current, membrane, returned in starts:
            rest = _shift(_decay(current, neuron.current_decay), returned << STATE_SHIFT)
            kept = _decay(membrane, neuron.voltage_decay)
            silent = _sum(kept, rest)
            driven = _shift(rest, weight << STATE_SHIFT)
            if silent[1] > limit or _sum(kept, driven)[0] <= limit:
                return False
            quiet = _hull(quiet[0], rest), _hull(quiet[1], silent)
            fired = driven if fired is None else _hull(fired, driven)
        if (quiet, fired) == before:
            return True
    return False


def _decay(interval: Interval, decay: int) -> Interval:
    low, high = (_towards_zero(value * (DECAY_UNITY - decay)) for value in interval)
    return low, high


def _towards_zero(product: int) -> int:
    return product >> DECAY_BITS if product >= 0 else -(-product >> DECAY_BITS)


def _shift(interval: Interval, by: int) -> Interval:
    return interval[0] + by, interval[1] + by


def _sum(one: Interval, other: Interval) -> Interval:
    return one[0] + other[0], one[1] + other[1]


def _hull(one: Interval, other: Interval) -> Interval:
    return min(one[0], other[0]), max(one[1], other[1])
