"""Writes a configuration as TOML, so that tomllib reads exactly the same values back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f"}


def to_toml(table: Any) -> str:
    """Return a dataclass of dataclasses as TOML: its own keys first, then a header for each table.

    Absent values (None) are left out: TOML has none.
    """
    lines: list[str] = []
    _write(table, (), lines)
    return "\n".join(lines).strip() + "\n"


def _write(table: Any, path: tuple[str, ...], lines: list[str]) -> None:
    values = {field.name: getattr(table, field.name) for field in fields(table)}
    inner = {name: value for name, value in values.items() if is_dataclass(value)}
    own = {name: value for name, value in values.items() if name not in inner}
    if path:
        lines += ["", f"[{'.'.join(path)}]"]
    lines += [f"{name} = {literal(value)}" for name, value in own.items() if value is not None]
    for name, value in inner.items():
        _write(value, (*path, name), lines)


def literal(value: Any) -> str:
    """Return one value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)  # the shortest decimal that reads back as the same number
    if isinstance(value, str):
        return f'"{"".join(_escaped(letter) for letter in value)}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(item) for item in value)}]"
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        pairs = (f"{key} = {literal(item)}" for key, item in value.items() if item is not None)
        return "{" + ", ".join(pairs) + "}"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if ord(letter) < 0x20 or ord(letter) == 0x7F:
        return f"\\u{ord(letter):04x}"
    return letter
