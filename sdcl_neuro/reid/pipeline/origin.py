"""What a model was trained on, as its checkpoint says."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from sdcl_neuro.errors import number_of

TRAINED_ON = "trained_on"
"""Key in a checkpoint's provenance: one sentence without a full stop."""
UNSAID = "its checkpoint does not say what it was trained on"


def trained_on(provenance: Mapping[str, Any]) -> str:
    """Return what a model was trained on, in one sentence without a full stop.

    Args:
        provenance: of a checkpoint, as the demonstration, `sdcl-neuro train` or anyone wrote it.
    """
    said = provenance.get(TRAINED_ON)
    if isinstance(said, str) and said:
        return said
    configuration, persons = provenance.get("configuration"), provenance.get("persons")
    if not isinstance(configuration, str) or not isinstance(persons, list):
        return UNSAID
    try:
        name = tomllib.loads(configuration)["data"]["kind"]
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        return UNSAID
    steps = provenance.get("steps", "?")
    return f"trained on {number_of(len(persons), 'person')} of {name}, {steps} steps"
