"""Modules as users write them, and spikes for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def spikes() -> NDArray[np.uint8]:
    """uint8 ``[20, 3, 12]``."""
    return (np.random.default_rng(0).random((20, 3, 12)) < 0.4).astype(np.uint8)


@pytest.fixture
def images() -> NDArray[np.uint8]:
    """uint8 ``[12, 3, 2, 8, 8]``."""
    return (np.random.default_rng(1).random((12, 3, 2, 8, 8)) < 0.3).astype(np.uint8)
