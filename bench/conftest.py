"""Benches may import the plain modules of this folder; results go into one file at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from results import LATEST, Book


@pytest.fixture(scope="session")
def book() -> Iterator[Book]:
    """Where races are entered; merged into bench/results/latest.json when the session ends."""
    found = Book()
    yield found
    found.save(Path(os.environ.get("SDCL_NEURO_BENCH_RESULTS", LATEST)))
