"""Searches of the gallery, for whoever is like a visit or a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...gallery import Hit
from ..pictures import person_picture
from ..service import Service
from .asking import MOST_SHOWN, WAIT_S, NotThere, Values, asked, at_most


async def search_track(service: Service, given: Values) -> Values:
    """See `routes`."""
    visit, top = given["visit"], at_most({"limit": given.get("top")}, 10)

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
    top = at_most({"limit": given.get("top")}, 10)
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
