"""How far a mean over few queries can be trusted: bootstrap intervals over persons."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sdcl_neuro.errors import InputError

DRAWS = 10_000


def bootstrap_interval(
    values: ArrayLike,
    groups: ArrayLike,
    *,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[float, float]:
    """Return a percentile interval of the mean when whole groups are drawn again, with replacement.

    Queries of one person stand and fall together, so persons are drawn and not queries (Efron and
    Tibshirani, "An Introduction to the Bootstrap", 1993). With few groups it is rather too narrow.

    Args:
        values: of the queries, ``[Q]``; not-a-number is left out.
        groups: the query's person, whole numbers ``[Q]``.
        level: share of the draws inside.
        draws: how often.
        seed: the same seed, the same interval.

    Raises:
        InputError: shapes that differ, no value at all, or another level.
    """
    numbers, who = np.asarray(values, dtype=np.float64), np.asarray(groups)
    if numbers.ndim != 1 or who.shape != numbers.shape or not 0 < level < 1 or draws < 1:
        raise InputError(
            f"values {numbers.shape}, groups {who.shape}, level {level}, {draws} draws",
            where="bootstrap_interval",
            hint="give [Q] and [Q], a level between 0 and 1, and at least one draw",
        )
    numbers, who = numbers[~np.isnan(numbers)], who[~np.isnan(numbers)]
    if not len(numbers):
        raise InputError("no values", where="bootstrap_interval", hint="give at least one")
    _, index = np.unique(who, return_inverse=True)
    sums, counts = np.bincount(index, numbers), np.bincount(index)
    drawn = np.random.default_rng(seed).multinomial(
        len(counts), np.full(len(counts), 1.0 / len(counts)), size=draws
    )
    means = (drawn @ sums) / (drawn @ counts)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
