"""A small recording."""

from __future__ import annotations

import numpy as np
import pytest

from sdcl_neuro.events import EVENT_DTYPE, Events


@pytest.fixture(scope="session")
def sample() -> Events:
    rng = np.random.default_rng(0)
    array = np.empty(500, EVENT_DTYPE)
    array["t"] = np.sort(rng.integers(70_000, 200_000, 500))
    array["x"], array["y"] = rng.integers(0, 60, 500), rng.integers(0, 40, 500)
    array["p"] = rng.integers(0, 2, 500)
    return Events(array, 60, 40)
