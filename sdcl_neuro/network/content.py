"""Equality of descriptions by what they compute, since dataclasses cannot compare arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar


class ByContent:
    """A dataclass that compares by its fields, arrays included, also those within mappings.

    Declare it with ``eq=False``, or the dataclass's own comparison, which arrays refuse, replaces
    this one. Fields named in `LABELS` say where something came from and never change arithmetic;
    they are left out, so that a network read back from a file equals the one that was written.
    """

    LABELS: ClassVar[frozenset[str]] = frozenset({"name", "meta"})

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or all(
            _same(getattr(self, name), getattr(other, name)) for name in _compared(self)
        )

    def __hash__(self) -> int:
        """Hash what is small: shapes and constants, not the values of arrays."""
        return hash(tuple(_hashable(getattr(self, name)) for name in _compared(self)))


def _compared(described: Any) -> list[str]:
    return [item.name for item in fields(described) if item.name not in described.LABELS]


class Result(ByContent):
    """What a verb returns: every field counts, but for times that a clock saw."""

    LABELS: ClassVar[frozenset[str]] = frozenset({"elapsed_s"})


def _is_array(value: Any) -> bool:
    # Told without numpy, which verbs that only read tables need not load; a scalar is a number.
    return hasattr(value, "__array__") and getattr(value, "shape", ()) != ()


def _same(one: Any, other: Any) -> bool:
    if _is_array(one) and _is_array(other):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return alike and bool((one == other).all())
    if _is_array(one) or _is_array(other):
        return False
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and type(one) is type(other):
        return len(one) == len(other) and all(map(_same, one, other))
    if _is_plain_dataclass(one) and type(one) is type(other):
        return all(_same(getattr(one, n.name), getattr(other, n.name)) for n in fields(one))
    return bool(one == other)


def _is_plain_dataclass(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type | ByContent)


def _hashable(value: Any) -> Any:
    if _is_array(value):
        return tuple(value.shape), str(value.dtype)
    if isinstance(value, Mapping):
        return frozenset((key, _hashable(each)) for key, each in value.items())
    if isinstance(value, tuple | list):
        return tuple(map(_hashable, value))
    if _is_plain_dataclass(value):
        return tuple(_hashable(getattr(value, each.name)) for each in fields(value))
    return value.item() if hasattr(value, "__array__") and hasattr(value, "item") else value
