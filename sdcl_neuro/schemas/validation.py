"""A validator for the part of JSON Schema that the packaged schemas use."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

KEYWORDS = frozenset(
    {
        *("$schema", "$id", "$defs", "$ref", "title", "description", "type", "enum", "const"),
        *("properties", "required", "additionalProperties", "items", "anyOf", "minimum", "maximum"),
    }
)
"""What a schema may use here."""


@dataclass(frozen=True)
class SchemaFault:
    """One place where a document is not what its schema says.

    Attributes:
        where: the place, as ``pairs[0].layers[1].spikes``; empty for the whole.
        what: what was expected, and what came.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where or 'the whole'}: {self.what}"

    def to_dict(self) -> dict[str, str]:
        """Plain JSON values."""
        return asdict(self)


def validate(document: Any, schema: Mapping[str, Any]) -> Iterator[SchemaFault]:
    """Yield every fault of a document.

    Args:
        document: plain JSON values.
        schema: uses `KEYWORDS` only.

    Raises:
        ValueError: a keyword that is not among them; packaged schemas have none.
    """
    yield from _checked(document, schema, "", schema)


def _checked(
    value: Any, schema: Mapping[str, Any], where: str, root: Mapping[str, Any]
) -> Iterator[SchemaFault]:
    unknown = schema.keys() - KEYWORDS
    if unknown:
        raise ValueError(f"schema keyword {min(unknown)!r} is not supported")
    if "$ref" in schema:
        yield from _checked(value, _found(schema["$ref"], root), where, root)
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(_TYPES[name](value) for name in names):
            yield SchemaFault(where, f"expected {' or '.join(names)}, got {_said(value)}")
            return
    if "const" in schema and not _equal(value, schema["const"]):
        yield SchemaFault(where, f"expected {schema['const']!r}, got {_said(value)}")
    if "enum" in schema and not any(_equal(value, one) for one in schema["enum"]):
        choices = ", ".join(map(repr, schema["enum"]))
        yield SchemaFault(where, f"expected one of {choices}, got {_said(value)}")
    if "anyOf" in schema:
        yield from _any_of(value, schema["anyOf"], where, root)
    if _number(value):
        yield from _bounds(value, schema, where)
    if isinstance(value, dict):
        yield from _object(value, schema, where, root)
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _checked(item, schema["items"], f"{where}[{index}]", root)


def _any_of(
    value: Any, choices: list[Mapping[str, Any]], where: str, root: Mapping[str, Any]
) -> Iterator[SchemaFault]:
    """The faults of the nearest choice, where none holds: of the right type, and the fewest."""
    tried = [list(_checked(value, choice, where, root)) for choice in choices]
    if all(tried):
        yield from min(tried, key=lambda found: (found[0].where == where, len(found)))


def _bounds(value: float, schema: Mapping[str, Any], where: str) -> Iterator[SchemaFault]:
    if "minimum" in schema and value < schema["minimum"]:
        yield SchemaFault(where, f"expected at least {schema['minimum']}, got {value}")
    if "maximum" in schema and value > schema["maximum"]:
        yield SchemaFault(where, f"expected at most {schema['maximum']}, got {value}")


def _object(
    value: dict[str, Any], schema: Mapping[str, Any], where: str, root: Mapping[str, Any]
) -> Iterator[SchemaFault]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield SchemaFault(where, f"lacks {name!r}")
    others = schema.get("additionalProperties", True)
    for name, item in value.items():
        place = f"{where}.{name}" if where else name
        if name in properties:
            yield from _checked(item, properties[name], place, root)
        elif others is False:
            yield SchemaFault(where, f"has {name!r}, which the schema does not know")
        elif others is not True:
            yield from _checked(item, others, place, root)


def _found(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found  # type: ignore[no-any-return]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return _number(value) and math.isfinite(value) and value == int(value)


def _equal(one: Any, other: Any) -> bool:
    """Compare as JSON does: 1 and true differ, 1 and 1.0 are equal."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _said(value: Any) -> str:
    """A value in a message, a long one by its kind."""
    if isinstance(value, dict):
        return f"an object with {len(value)} entries"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": _number,
    "integer": _whole,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
