"""Names of backends as a person reads them; options, files and JSON keep the short ones."""

from __future__ import annotations

from collections.abc import Iterable

LABELS = {"loihi": "Loihi engine (software)"}
"""Backends whose short name alone could be taken for the chip itself."""


def label(backend: str) -> str:
    """Return a backend's name for a person: ``loihi`` is this package's engine, not a chip."""
    return LABELS.get(backend, backend)


def labels(backends: Iterable[str], between: str = " / ") -> str:
    """Return several backends' names for a person, in one line."""
    return between.join(map(label, backends))
