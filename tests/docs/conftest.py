"""The scripts of the site, loaded from docs/site: they are no part of the package."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def site(root: Path) -> Callable[[str], ModuleType]:
    """Load a script of docs/site by its name."""

    def load(name: str) -> ModuleType:
        path = root / "docs" / "site" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"site_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
