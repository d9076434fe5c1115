"""The slow twins, as one fixture: test folders are not packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


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
