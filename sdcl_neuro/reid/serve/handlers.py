"""What the server answers, one function for each row of `routes.ROWS`.

A handler gets the service and the parameters that were checked, and returns plain JSON values or
bytes. `app` turns them into answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from ..gallery import Hit
from . import metrics as prometheus
from .people import Visit
from .pictures import frame_jpeg, person_picture
from .routes import LONGEST_NAME, openapi
from .service import Service

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


async def status(service: Service, given: Values) -> Values:
    """See `routes`."""
    found, plan = service.recognition, service.settings.gallery

    def gallery() -> Values:
        kept = service.desk.gallery.retention
        return {
            "address": service.desk.gallery.address,
            "enrol": plan.enrol,
            "keep_crops": plan.keep_crops,
            "retain_s": None if kept is None else kept.total_seconds(),
            "entries": len(service.desk.people),
        }

    return {
        **service.state(),
        "gallery": await asked(service, gallery),
        "model": {"sha256": service.model, "trained": service.trained},
        "backend": service.settings.backend,
        "hardware": list(service.settings.hardware),
        "threshold": service.threshold,
        "recognition": None if found is None else {**found.to_dict(), "line": found.line()},
        "assumed": list(service.assumed),
    }


async def curves(service: Service, given: Values) -> Values:
    """See `routes`."""
    return {"points": service.meters.history()}


async def camera_picture(service: Service, given: Values) -> bytes:
    """See `routes`."""
    camera = service.cameras.get(given["camera"])
    if camera is None or camera.look is None:
        raise NotThere("no such camera, or no picture yet")
    return await asyncio.to_thread(frame_jpeg, camera.look.frame)


async def recent(service: Service, given: Values) -> Values:
    """See `routes`."""
    limit = _limit(given, 50)

    def newest() -> list[Values]:
        visits = service.desk.visits
        names = list(reversed(visits))[:limit]
        return [visits[name].to_dict(name) for name in names if not visits[name].silent]

    return {"visits": await asked(service, newest)}


async def persons(service: Service, given: Values) -> Values:
    """See `routes`."""
    text = str(given.get("text", "")).casefold()
    limit, offset = _limit(given, 100), max(0, int(given.get("offset", 0)))

    def listed() -> Values:
        service.desk.refresh()
        people = service.desk.people
        found = [
            _person(name, visits, named=people.named(name))
            for name, visits in people.persons().items()
            if any(text in one.casefold() for one in (name, *{visit.camera for visit in visits}))
        ]
        found.sort(key=lambda one: (-(one["last_us"] or 0), one["person"]))
        return {"count": len(found), "persons": found[offset : offset + limit]}

    return await asked(service, listed)


async def person(service: Service, given: Values) -> Values:
    """See `routes`."""
    name = str(given.get("name", ""))

    def timeline() -> Values:
        service.desk.refresh()
        people = service.desk.people
        # A visit that no one has named may have come to count to another one since.
        known = name if people.ids(name) else people.person_of_visit(name)
        if known is None:
            raise NotThere(f"no person {name[:80]!r}")
        visits = people.visits(known)
        shown = _person(known, visits, named=people.named(known))
        return {**shown, "timeline": [visit.to_dict() for visit in visits[-MOST_SHOWN:]]}

    return await asked(service, timeline)


async def visit_picture(service: Service, given: Values) -> bytes:
    """See `routes`."""
    state = service.desk.visits.get(str(given.get("visit", "")))
    if state is None or not state.picture:
        raise NotThere("no picture of this visit in memory")
    return state.picture


async def entry_picture(service: Service, given: Values) -> bytes:
    """See `routes`."""
    number = int(given["number"])

    def picture() -> bytes | None:
        if (crop := service.desk.gallery.crop(number)) is not None:
            return crop
        entry = service.desk.people.entry(number)
        state = None if entry is None else service.desk.visits.get(entry.visit)
        return None if state is None else state.picture or None

    found = await asked(service, picture)
    if found is None:
        raise NotThere("no picture is stored with this entry")
    return found


async def search_track(service: Service, given: Values) -> Values:
    """See `routes`."""
    visit, top = given["visit"], _limit({"limit": given.get("top")}, 10)

    def found() -> Values:
        service.desk.refresh()
        desk = service.desk
        ids = desk.people.ids_of_visit(visit)
        state = desk.visits.get(visit)
        if ids:
            queries = desk.gallery.embeddings(ids)
        elif state is not None and state.embedding.size:
            queries = state.embedding[None]
        else:
            raise NotThere("no such visit in the gallery or in memory")
        hits = desk.gallery.search(queries, k=top + len(ids) + MOST_SHOWN // 10)
        return {"hits": _ranked(service, hits, top, without=visit)}

    return await asked(service, found)


async def search_picture(service: Service, given: Values) -> Values:
    """See `routes`."""
    top = _limit({"limit": given.get("top")}, 10)
    picture = await asyncio.to_thread(person_picture, given["picture"])
    row: NDArray[np.float32] = await asyncio.wait_for(
        asyncio.wrap_future(service.search(picture)), WAIT_S
    )

    def found() -> Values:
        service.desk.refresh()
        hits = service.desk.gallery.search(row[None], k=top + MOST_SHOWN // 10)
        return {
            "hits": _ranked(service, hits, top),
            "note": "a still picture has no events: the event branch was silent, and the "
            "threshold, which was found on tracklets, does not hold; a ranking only",
        }

    return await asked(service, found)


async def confirm(service: Service, given: Values) -> Values:
    """See `routes`."""
    name = _name(given["person"])

    def confirmed() -> Values:
        people = service.desk.people
        counted = people.person_of_visit(given["visit"])
        ids = people.ids_of_visit(given["visit"])
        if not ids:
            raise NotThere("no such visit in the gallery (is the server started with --enrol?)")
        # What was split off the visit before is someone else.
        ids = [one for one in ids if people.person_of(one) == counted]
        return {"entries": _relabel(service, ids, name)}

    return await asked(service, confirmed)


async def split(service: Service, given: Values) -> Values:
    """See `routes`."""
    ids = [int(one) for one in given["entries"]]
    if not 0 < len(ids) <= MOST_SHOWN:
        raise InputError(f"{len(ids)} entries", hint=f"give 1 to {MOST_SHOWN}")

    def parted() -> Values:
        known = [one for one in ids if service.desk.people.entry(one) is not None]
        if len(known) != len(ids):
            raise NotThere("an entry that is not in the gallery")
        wanted = given.get("person")
        name = f"person {min(known)}" if wanted is None else _name(wanted)
        return {"entries": _relabel(service, known, name), "person": name}

    return await asked(service, parted)


async def merge(service: Service, given: Values) -> Values:
    """See `routes`."""
    name, into = given["person"], given["into"]

    def merged() -> Values:
        ids = _ids(service, name)
        _ids(service, into)
        if name == into:
            raise InputError("the same person twice")
        return {"entries": _relabel(service, ids, into), "person": into}

    return await asked(service, merged)


async def forget(service: Service, given: Values) -> Values:
    """See `routes`."""
    name = given["person"]

    def forgotten() -> Values:
        desk = service.desk
        desk.refresh()
        ids = _ids(service, name)
        # One label for all, so that one call erases them and the free pages once.
        label = f"forgotten {min(ids)}"
        desk.forget(ids)
        desk.gallery.relabel(ids, label)
        gone = desk.gallery.forget(person=label)
        desk.changed()
        return {"entries": gone}

    return await asked(service, forgotten)


async def audit(service: Service, given: Values) -> Values:
    """See `routes`."""
    limit = _limit(given, 50)
    lines = await asked(service, lambda: service.desk.gallery.audit(limit))
    return {"audit": [line.to_dict() for line in lines]}


async def metrics(service: Service, given: Values) -> bytes:
    """See `routes`."""
    return prometheus.exposition(service)


async def openapi_document(service: Service, given: Values) -> Values:
    """See `routes`."""
    return openapi(guarded=service.settings.door.token is not None)


async def health(service: Service, given: Values) -> Values:
    """See `routes`."""
    if service.failed is not None:
        raise InputError("the model failed")
    return {"running": True}


def _person(name: str, visits: Sequence[Visit], *, named: bool) -> Values:
    times = [time for visit in visits for time in (visit.first_us, visit.last_us) if time]
    return {
        "person": name,
        "named": named,
        "visits": len(visits),
        "entries": sum(len(visit.entries) for visit in visits),
        "unconfirmed": sum(not visit.confirmed for visit in visits),
        "cameras": sorted({visit.camera for visit in visits}),
        "first_us": min(times, default=None),
        "last_us": max(times, default=None),
        "picture": visits[-1].entries[-1],
    }


def _ranked(
    service: Service, hits: Sequence[Sequence[Hit]], top: int, *, without: str | None = None
) -> list[Values]:
    """Return the best entry of each person over all queries, best first."""
    best: dict[str, Hit] = {}
    people = service.desk.people
    for hit in (one for row in hits for one in row):
        entry, name = people.entry(hit.entry.id), people.person_of(hit.entry.id)
        if entry is None or name is None or entry.visit == without:
            continue
        if name not in best or hit.distance < best[name].distance:
            best[name] = hit
    ordered = sorted(best.items(), key=lambda one: (one[1].distance, one[1].entry.id))[:top]
    return [
        {
            "person": name,
            "named": people.named(name),
            "cosine": 1.0 - hit.distance,
            "entry": hit.entry.id,
            "camera": hit.entry.camera,
            "time_us": hit.entry.time_us,
        }
        for name, hit in ordered
    ]


def _relabel(service: Service, ids: Sequence[int], name: str) -> int:
    done = service.desk.gallery.relabel(list(ids), name)
    service.desk.changed()
    return done


def _ids(service: Service, name: str) -> list[int]:
    ids = service.desk.people.ids(name)
    if not ids:
        raise NotThere(f"no person {name[:80]!r}")
    return ids


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise InputError("not a name", hint=f"give 1 to {LONGEST_NAME} printable characters")
    return name


def _limit(given: Values, usual: int) -> int:
    value = given.get("limit")
    return usual if value is None else max(1, min(MOST_SHOWN, int(value)))
