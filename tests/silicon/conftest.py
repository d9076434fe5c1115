"""Loads the rebuilt networks and the rows, which are no test modules, under names of their own."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str) -> ModuleType:
    spec = spec_from_file_location(f"silicon_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[f"silicon_{name}"] = module
    spec.loader.exec_module(module)
    return module


networks = _load("networks")
rows = _load("rows")


@pytest.fixture(scope="session")
def silicon() -> ModuleType:
    """The module of the rows."""
    return rows


@pytest.fixture(scope="session")
def silicon_networks() -> ModuleType:
    """The module of the networks."""
    return networks


@pytest.fixture(scope="session")
def table() -> list[object]:
    """Every row, modelled once."""
    return rows.silicon_rows()
