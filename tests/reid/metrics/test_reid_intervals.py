"""Bootstrap intervals: exact where they can be counted, and covering what they should."""

from __future__ import annotations

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.metrics.intervals import bootstrap_interval


def test_two_persons_have_three_outcomes():
    # Both, twice the first, twice the second: means 1/3, 0 and 1, of probability 1/2, 1/4, 1/4.
    values, persons = [0.0, 0.0, 1.0], [4, 4, 9]
    assert bootstrap_interval(values, persons) == (0.0, 1.0)
    low, high = bootstrap_interval(values, persons, level=0.4)
    assert (low, high) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert bootstrap_interval([*values, np.nan], [*persons, 9]) == (0.0, 1.0)


def test_it_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    persons = np.repeat(np.arange(40), 3)
    covered = 0
    for seed in range(100):
        values = rng.normal(size=40)[persons] + rng.normal(size=120)
        low, high = bootstrap_interval(values, persons, draws=500, seed=seed)
        covered += low <= 0 <= high
    assert 88 <= covered <= 100
    # Queries taken for independent would give a narrower one, wrongly.
    single = bootstrap_interval(values, np.arange(120), draws=500)
    assert single[1] - single[0] < high - low


@pytest.mark.parametrize(
    ("values", "groups", "more"),
    [([1.0], [1, 2], {}), ([np.nan], [1], {}), ([1.0], [1], {"level": 1.0})],
)
def test_what_has_no_interval_is_refused(values, groups, more):
    with pytest.raises(InputError):
        bootstrap_interval(values, groups, **more)
