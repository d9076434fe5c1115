"""Benches may import the plain modules of this folder; results go into one file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from results import LATEST, Book


@pytest.fixture(scope="session")
def session_book() -> Book:
    """Every race of this call."""
    return Book()


@pytest.fixture
def book(session_book: Book) -> Iterator[Book]:
    """Where races are entered; on disk after each bench, so that a call cut short loses one."""
    yield session_book
    session_book.save(Path(os.environ.get("SDCL_NEURO_BENCH_RESULTS", LATEST)))
