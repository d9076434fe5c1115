"""What tests of training share."""

from __future__ import annotations

import pytest

from helpers.branch_learning import SURROGATES


@pytest.fixture(scope="session", params=sorted(SURROGATES))
def spike_grad(request: pytest.FixtureRequest) -> object:
    """Every surrogate that has a compiled way, in turn."""
    return SURROGATES[request.param]
