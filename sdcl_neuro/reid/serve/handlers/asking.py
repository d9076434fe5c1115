"""What the handlers share: asking the gallery's thread, and reading parameters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sdcl_neuro.errors import InputError

from ..routes import LONGEST_NAME
from ..service import Service

WAIT_S = 20.0
"""How long a question may wait for the gallery."""
MOST_SHOWN = 500
Answer = TypeVar("Answer")
Values = dict[str, Any]


class NotThere(InputError):
    """What was asked for is not there."""


async def asked(service: Service, function: Callable[[], Answer]) -> Answer:
    """Call a function on the gallery's thread and wait for it."""
    return await asyncio.wait_for(asyncio.wrap_future(service.desk.ask(function)), WAIT_S)


def at_most(given: Values, usual: int) -> int:
    """Return how many are wanted, from 1 to `MOST_SHOWN`; `usual` where that was not said."""
    value = given.get("limit")
    return usual if value is None else max(1, min(MOST_SHOWN, int(value)))


def checked_name(text: str) -> str:
    """Return the name of a person, without spaces to spare.

    Raises:
        InputError: an empty or a long one, or characters that cannot be printed.
    """
    name = " ".join(text.split())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise InputError("not a name", hint=f"give 1 to {LONGEST_NAME} printable characters")
    return name


def ids_of_person(service: Service, name: str) -> list[int]:
    """Return the ids of a person's entries, on the gallery's thread.

    Raises:
        NotThere: no such person.
    """
    ids = service.desk.people.ids(name)
    if not ids:
        raise NotThere(f"no person {name[:80]!r}")
    return ids


def relabelled(service: Service, ids: Sequence[int], name: str) -> int:
    """Relabel entries, on the gallery's thread; return how many there were."""
    done = service.desk.gallery.relabel(list(ids), name)
    service.desk.changed()
    return done
