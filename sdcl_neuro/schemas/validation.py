"""Documents checked by `jsonschema`; each fault in one line that says where it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError


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
        """Return plain JSON values."""
        return asdict(self)


def validate(document: Any, schema: Mapping[str, Any]) -> Iterator[SchemaFault]:
    """Yield every fault of a document, each once.

    Args:
        document: plain JSON values.
        schema: of JSON Schema's draft 2020-12.
    """
    found = Draft202012Validator(schema).iter_errors(document)
    yield from dict.fromkeys(fault for error in _apart(found) for fault in _faults(error))


def _apart(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    """Leave out what follows from a wrong type, of which nothing more needs to be said."""
    kept = list(errors)
    mistyped = {tuple(error.absolute_path) for error in kept if error.validator == "type"}
    for error in kept:
        if error.validator == "type" or tuple(error.absolute_path) not in mistyped:
            yield error


def _faults(error: ValidationError) -> Iterator[SchemaFault]:
    value, stated = error.instance, error.validator_value
    where = error.json_path.removeprefix("$").removeprefix(".")
    match error.validator:
        case "anyOf":
            for inner in _apart(_nearest(error)):
                yield from _faults(inner)
        case "type":
            names = [stated] if isinstance(stated, str) else stated
            yield SchemaFault(where, f"expected {' or '.join(names)}, got {_said(value)}")
        case "const":
            yield SchemaFault(where, f"expected {stated!r}, got {_said(value)}")
        case "enum":
            choices = ", ".join(map(repr, stated))
            yield SchemaFault(where, f"expected one of {choices}, got {_said(value)}")
        case "minimum" | "maximum":
            side = "least" if error.validator == "minimum" else "most"
            yield SchemaFault(where, f"expected at {side} {stated}, got {value}")
        case "required":
            for name in stated:
                if name not in value:
                    yield SchemaFault(where, f"lacks {name!r}")
        case "additionalProperties":
            for name in sorted(value.keys() - error.schema.get("properties", {}).keys()):
                yield SchemaFault(where, f"has {name!r}, which the schema does not know")
        case _:
            yield SchemaFault(where, error.message)


def _nearest(error: ValidationError) -> list[ValidationError]:
    """Return the faults of the nearest choice: of the right type, and the fewest."""
    by_choice = groupby(error.context or (), key=lambda inner: inner.schema_path[0])
    tried = [list(inner) for _, inner in by_choice]
    return min(tried, key=lambda found: (not found[0].path, len(found)))


def _said(value: Any) -> str:
    """Return a value in a message, a long one by its kind."""
    if isinstance(value, dict):
        return f"an object with {len(value)} entries"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
