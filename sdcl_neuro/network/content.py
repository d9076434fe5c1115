"""Equality of descriptions by what they compute, since dataclasses cannot compare arrays."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np


class ByContent:
    """A dataclass that compares by its fields, arrays included.

    Fields named in `LABELS` say where something came from and never change arithmetic; they are
    left out, so that a network read back from a file equals the one that was written.
    """

    LABELS: frozenset[str] = frozenset({"name", "meta"})

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or all(
            _same(getattr(self, name), getattr(other, name)) for name in _compared(self)
        )

    def __hash__(self) -> int:
        """Hash what is small: shapes and constants, not weights."""
        return hash(tuple(_hashable(getattr(self, name)) for name in _compared(self)))


def _compared(described: Any) -> list[str]:
    return [item.name for item in fields(described) if item.name not in described.LABELS]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return False
    return bool(one == other)


def _hashable(value: Any) -> Any:
    return (value.shape, str(value.dtype)) if isinstance(value, np.ndarray) else value
