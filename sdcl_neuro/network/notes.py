"""What a network carries along about its own making: what was assumed, what was not checked.

Notes lie in a description's ``meta`` as plain JSON, so that they survive in files and reach every
account and certificate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

ASSUMED = "assumed"
"""Key in ``meta`` of what the source did not state and a default stands for."""
NOT_CHECKED = "not_checked"
"""Key in ``meta`` of what could not be compared with the source."""
SOURCE_CHECKS = "source_checks"
"""Key in ``meta`` of the comparisons with the source (`conversion.parity.source_check`)."""


@dataclass(frozen=True)
class Note:
    """One thing that was assumed, or was not checked.

    Attributes:
        what: the thing, with the value that was taken: ``v_reset of 'lif1': 0``.
        reason: why, and what to do about it: ``the file does not state it; give --v-reset``.
    """

    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"

    def to_json(self) -> dict[str, str]:
        """Return plain values."""
        return asdict(self)


def notes_of(meta: Mapping[str, Any], key: str) -> tuple[Note, ...]:
    """Read the notes under a key of a ``meta``; what is not a note there is left out."""
    found = meta.get(key, ())
    entries = found if isinstance(found, list | tuple) else ()
    return tuple(
        Note(str(entry["what"]), str(entry["reason"]))
        for entry in entries
        if isinstance(entry, Mapping) and {"what", "reason"} <= set(entry)
    )


def with_notes(meta: Mapping[str, Any], key: str, notes: Iterable[Note]) -> dict[str, Any]:
    """Return a ``meta`` with more notes under a key, each once, in the order they came."""
    together = dict.fromkeys([*notes_of(meta, key), *notes])
    return {**meta, key: [note.to_json() for note in together]} if together else dict(meta)
