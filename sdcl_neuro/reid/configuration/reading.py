"""From plain TOML values to dataclasses, all faults collected; types come from the annotations."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sdcl_neuro.errors import InputError


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a file: where (table.key), what, and what to do."""

    key: str
    what: str
    hint: str

    def __str__(self) -> str:
        where = f"{self.key}: " if self.key else ""
        return f"{where}{self.what}" + (f" ({self.hint})" if self.hint else "")


class _Wrong(Exception):
    """A value that is not of its type; carries what to give instead."""


class Reader:
    """Reads the tables of one file.

    Attributes:
        kind: the dataclass of the whole file; every field of it and of those in it has a default.
        faults: what was wrong so far; the faulty keys then have their defaults.
    """

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind
        self.faults: list[Fault] = []
        self._known = dotted_keys(kind)

    def read(self, raw: Mapping[str, Any]) -> Any:
        """Return an object of `kind` from the file's own table, as TOML gives it."""
        return self._table(self.kind, raw, "")

    def _table(self, kind: type[Any], raw: Mapping[str, Any], path: str) -> Any:
        hints = get_type_hints(kind)
        names = [field.name for field in fields(kind)]
        given: dict[str, Any] = {}
        for name, value in raw.items():
            dotted = f"{path}.{name}" if path else name
            if name not in names:
                self.faults.append(Fault(dotted, "no such key", self._nearest(dotted, names)))
            elif is_dataclass(hints[name]):
                if isinstance(value, Mapping):
                    given[name] = self._table(hints[name], value, dotted)
                else:
                    self._fault(dotted, value, f"make it a table [{dotted}]")
            else:
                try:
                    given[name] = _converted(hints[name], value)
                except _Wrong as wrong:
                    self._fault(dotted, value, f"give {wrong}")
        return self._built(kind, given, path)

    def _fault(self, dotted: str, value: Any, hint: str) -> None:
        self.faults.append(Fault(dotted, f"is {_shown(value)}", hint))

    def _nearest(self, dotted: str, names: list[str]) -> str:
        """Return the nearest name in the same table, else the key of another table named alike."""
        table, _, name = dotted.rpartition(".")
        near = get_close_matches(name, names, n=1)
        if near:
            return f"did you mean {'.'.join(filter(None, (table, near[0])))}?"
        by_name = {key.rpartition(".")[2]: key for key in reversed(self._known)}
        near = get_close_matches(name, by_name, n=1, cutoff=0.8)
        return f"did you mean {by_name[near[0]]}?" if near else f"known: {', '.join(names)}"

    def _built(self, kind: type[Any], given: dict[str, Any], path: str) -> Any:
        """Construct; a key that the class refuses is named and gives way to its default."""
        while True:
            try:
                return kind(**given)
            except InputError as error:
                key = next((k for k in given if _outcome(kind, given, k) != str(error)), None)
                dotted = ".".join(part for part in (path, key) if part)
                self.faults.append(Fault(dotted, error.what, error.hint))
                given = {} if key is None else {k: v for k, v in given.items() if k != key}


def _outcome(kind: type[Any], given: Mapping[str, Any], without: str) -> str:
    """Return what the class says to all but one of the keys; empty if nothing."""
    try:
        kind(**{k: v for k, v in given.items() if k != without})
    except InputError as error:
        return str(error)
    return ""


def dotted_keys(kind: type[Any], path: str = "") -> list[str]:
    """Return every key of a file, outer tables first, as an override names it."""
    hints = get_type_hints(kind)
    own, inner = [], []
    for field in fields(kind):
        dotted = f"{path}.{field.name}" if path else field.name
        if is_dataclass(hints[field.name]):
            inner += dotted_keys(hints[field.name], dotted)
        else:
            own.append(dotted)
    return own + inner


def _converted(hint: Any, value: Any) -> Any:
    """Return the value as its annotation wants it; a whole number will do for a fractional one."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):  # X | None: TOML has no None
        return _converted(next(one for one in inner if one is not type(None)), value)
    if origin is Literal:
        if not isinstance(value, str) or value not in inner:
            raise _Wrong(_one_of(value, inner))
        return value
    if origin is tuple:
        return _converted_list(inner, value)
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(value)
    if hint is str and isinstance(value, str) and value.isprintable():
        return value
    raise _Wrong(_NAMES[hint])


_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: 'a text in quotes, as "...", on one line',
}


def _finite(value: float) -> float:
    number = float(value)
    if number - number != 0:
        raise _Wrong("a finite number")
    return number


def _converted_list(inner: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _Wrong("a list, as [...]")
    if inner[-1] is Ellipsis:
        return tuple(_converted(inner[0], item) for item in value)
    if len(value) != len(inner):
        raise _Wrong(f"a list of {len(inner)}")
    return tuple(_converted(hint, item) for hint, item in zip(inner, value, strict=True))


def _one_of(value: Any, known: tuple[str, ...]) -> str:
    near = get_close_matches(str(value), known, n=1, cutoff=0.7)
    nearest = f" (did you mean {near[0]}?)" if near else ""
    return f"one of {', '.join(known)}{nearest}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
