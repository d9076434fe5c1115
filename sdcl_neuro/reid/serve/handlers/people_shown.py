"""Answers on who was seen: visits, persons, their timelines and pictures."""

from __future__ import annotations

from collections.abc import Sequence

from ..people import Visit
from ..service import Service
from .asking import MOST_SHOWN, NotThere, Values, asked, at_most


async def recent(service: Service, given: Values) -> Values:
    """See `routes`."""
    limit = at_most(given, 50)

    def newest() -> list[Values]:
        visits = service.desk.visits
        names = list(reversed(visits))[:limit]
        return [visits[name].to_dict(name) for name in names if not visits[name].silent]

    return {"visits": await asked(service, newest)}


async def persons(service: Service, given: Values) -> Values:
    """See `routes`."""
    text = str(given.get("text", "")).casefold()
    limit, offset = at_most(given, 100), max(0, int(given.get("offset", 0)))

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
