"""The packaged schemas, and documents checked against them."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from sdcl_neuro.errors import InputError

from .validation import SchemaFault, validate

_NAME = re.compile(r"(?P<name>[a-z_-]+)-(?P<version>\d+)\.json")


def _packaged() -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for one in files(__package__).iterdir():
        match = _NAME.fullmatch(one.name)
        if match is not None:
            found.setdefault(match["name"], []).append(int(match["version"]))
    return {name: tuple(sorted(found[name])) for name in sorted(found)}


SCHEMAS: dict[str, tuple[int, ...]] = _packaged()
"""Name of a schema, without ``sdcl_neuro.``, to its packaged versions."""


_MODEL = "sdcl-neuro verify FOLDER reads and proves the model that it is part of"
_TRAINING = "it is checked when sdcl-neuro train resumes"
OWN_FILES = {
    "checkpoint": _MODEL,
    "event_cache": "it is checked when sdcl-neuro data cache, train or evaluate reads the cache",
    "jobs_state": "it is checked when the same command resumes",
    "sdcl": _MODEL,
    "training_state": _TRAINING,
    "training_threads": _TRAINING,
}
"""Documents without a schema that the package keeps for itself, and what checks each."""


@cache
def load_schema(name: str, version: int | None = None) -> dict[str, Any]:
    """Return a schema as plain JSON values.

    Args:
        name: with or without ``sdcl_neuro.`` in front.
        version: None takes the newest.

    Raises:
        InputError: no schema of that name or version.
    """
    short = name.removeprefix("sdcl_neuro.")
    if short not in SCHEMAS:
        hint = f"one of {', '.join(SCHEMAS)}"
        raise InputError(f"no schema is called {name!r}", where="schema", hint=hint)
    known = SCHEMAS[short]
    wanted = known[-1] if version is None else version
    if wanted not in known:
        raise InputError(
            f"{name} has no version {version}",
            where="schema",
            hint=f"this release knows {', '.join(map(str, known))}; use the release that wrote it",
        )
    text = (files(__package__) / f"{short}-{wanted}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def check_document(
    document: Any, *, where: str = "document"
) -> tuple[str, tuple[SchemaFault, ...]]:
    """Check a document against the schema that it names.

    Returns:
        The schema as ``name version``, and all faults, none if the document is as it says.

    Raises:
        InputError: it names no schema, one that this release does not have, or none of a verb's.
    """
    stated = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(stated, dict) or not isinstance(stated.get("name"), str):
        raise InputError(
            "expected a JSON object with schema: {name, version}, as the verbs' --json writes",
            where=where,
            hint="for a model try sdcl-neuro verify, for a recording sdcl-neuro events info",
        )
    name, version = stated["name"], stated.get("version")
    hint = OWN_FILES.get(name.removeprefix("sdcl_neuro."))
    if hint is not None:
        raise InputError(f"{name}, a file of the package's own", where=where, hint=hint)
    if not isinstance(version, int) or isinstance(version, bool):
        raise InputError(f"schema version {version!r} is not a whole number", where=where)
    return f"{name} {version}", tuple(validate(document, load_schema(name, version)))
