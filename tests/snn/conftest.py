"""What tests of training share: test folders are no packages, so it is loaded by its path."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest


def _load() -> ModuleType:
    spec = spec_from_file_location("event_branch_learning", Path(__file__).with_name("learning.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_LEARNING = _load()


@pytest.fixture(scope="session")
def learning() -> ModuleType:
    """`tests/snn/learning.py`."""
    return _LEARNING


@pytest.fixture(scope="session", params=sorted(_LEARNING.SURROGATES))
def spike_grad(request: pytest.FixtureRequest) -> object:
    """Every surrogate that has a compiled way, in turn."""
    return _LEARNING.SURROGATES[request.param]
