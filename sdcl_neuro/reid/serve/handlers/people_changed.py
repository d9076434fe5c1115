"""Changes that people ask for: confirm, split, merge, forget."""

from __future__ import annotations

from sdcl_neuro.errors import InputError

from ..service import Service
from .asking import MOST_SHOWN, NotThere, Values, asked, checked_name, ids_of_person, relabelled


async def confirm(service: Service, given: Values) -> Values:
    """See `routes`."""
    name = checked_name(given["person"])

    def confirmed() -> Values:
        people = service.desk.people
        counted = people.person_of_visit(given["visit"])
        ids = people.ids_of_visit(given["visit"])
        if not ids:
            raise NotThere("no such visit in the gallery (is the server started with --enrol?)")
        # What was split off the visit before is someone else.
        ids = [one for one in ids if people.person_of(one) == counted]
        return {"entries": relabelled(service, ids, name)}

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
        name = f"person {min(known)}" if wanted is None else checked_name(wanted)
        return {"entries": relabelled(service, known, name), "person": name}

    return await asked(service, parted)


async def merge(service: Service, given: Values) -> Values:
    """See `routes`."""
    name, into = given["person"], given["into"]

    def merged() -> Values:
        ids = ids_of_person(service, name)
        ids_of_person(service, into)
        if name == into:
            raise InputError("the same person twice")
        return {"entries": relabelled(service, ids, into), "person": into}

    return await asked(service, merged)


async def forget(service: Service, given: Values) -> Values:
    """See `routes`."""
    name = given["person"]

    def forgotten() -> Values:
        desk = service.desk
        desk.refresh()
        ids = ids_of_person(service, name)
        # One label for all, so that one call erases them and the free pages once.
        label = f"forgotten {min(ids)}"
        desk.forget(ids)
        desk.gallery.relabel(ids, label)
        gone = desk.gallery.forget(person=label)
        desk.changed()
        return {"entries": gone}

    return await asked(service, forgotten)
