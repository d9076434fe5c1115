"""A small recording; the slow twins, as one fixture: test folders are not packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sdcl_neuro.events import EVENT_DTYPE, Events


@pytest.fixture(scope="session")
def oracles() -> ModuleType:
    """The module `event_oracles` beside this file."""
    spec = importlib.util.spec_from_file_location(
        "event_oracles", Path(__file__).with_name("event_oracles.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def sample() -> Events:
    rng = np.random.default_rng(0)
    array = np.empty(500, EVENT_DTYPE)
    array["t"] = np.sort(rng.integers(70_000, 200_000, 500))
    array["x"], array["y"] = rng.integers(0, 60, 500), rng.integers(0, 40, 500)
    array["p"] = rng.integers(0, 2, 500)
    return Events(array, 60, 40)
