"""The rows of published measurements, modelled once."""

from __future__ import annotations

import pytest

from helpers.silicon_rows import silicon_rows


@pytest.fixture(scope="session")
def table() -> list[object]:
    """Every row, modelled once."""
    return silicon_rows()
