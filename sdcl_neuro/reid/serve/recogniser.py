"""Whom a visit counts to: looks sightings up in the gallery, and enrols them."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..gallery import Enrolment, Gallery, Hit
from .people import COSINE, LIKE, VISIT, People
from .settings import GalleryPlan
from .visits import Sighting, VisitState

VISITS_KEPT = 1024
_NEIGHBOURS = 24  # entries looked at for each sighting: its own visit's are among them


class Recogniser:
    """Recognises visits in one gallery, and enrols them; not to be shared between threads.

    Args:
        plan: see `GalleryPlan`.
        threshold: cosine from which two are the same person; None where none is known.
        backend: of the event branch, stored with each entry.

    Attributes:
        counts: ``searched``, ``enrolled``, ``recognised``, ``unknown``.
        gallery: set by `open`.
        people: who is who in the gallery.
        visits: what is remembered of the latest `VISITS_KEPT` visits.
    """

    def __init__(self, plan: GalleryPlan, *, threshold: float | None, backend: str) -> None:
        self.plan, self.threshold, self._backend = plan, threshold, backend
        self.counts: Counter[str] = Counter()
        self.gallery: Gallery
        self.people = People()
        self.visits: OrderedDict[str, VisitState] = OrderedDict()
        self._last_audit: Any = None

    def open(self, gallery: Gallery) -> None:
        """Take a gallery, and read who is who in it."""
        self.gallery = gallery
        self._read()

    def read_again(self) -> None:
        """Read who is who after a change, and name the visits accordingly."""
        self._read()
        for visit, state in self.visits.items():
            self._name(visit, state)

    def outdated(self) -> bool:
        """Return whether another program changed the gallery: each change leaves a line of
        audit.
        """
        return self.gallery.audit(1) != self._last_audit or len(self.gallery) != len(self.people)

    def silence(self, ids: Sequence[int]) -> list[str]:
        """Drop what is in memory of visits whose entries are to be erased; return their names."""
        gone = {sighted.visit for one in ids if (sighted := self.people.entry(one)) is not None}
        gone &= self.visits.keys()
        for visit in gone:
            state = self.visits[visit]
            self.visits[visit] = VisitState(state.camera, state.track, silent=True)
        return sorted(gone)

    def see(self, sightings: Sequence[Sighting]) -> list[str]:
        """Look sightings up, enrol them where that is wanted; return each one's visit.

        Raises:
            SdclNeuroError: the gallery does not answer; the same may be tried again.
        """
        taken = [one for one in sightings if not self._state(one).silent]
        if not taken:
            return []
        found: list[list[Hit]] = [[] for _ in taken]
        if len(self.people):
            found = self.gallery.search(np.stack([one.embedding for one in taken]), k=_NEIGHBOURS)
        for one in taken:
            self._meet(one)
        for one, hits in zip(taken, found, strict=True):
            self._recognise(one, self._state(one), hits)
        self.counts["searched"] += len(taken)
        if self.plan.enrol:
            self._enrol(taken)
        self._last_audit = self.gallery.audit(1)
        for one in taken:
            state = self.visits[one.visit]
            self._name(one.visit, state)
            self.counts["unknown" if state.person is None else "recognised"] += 1
        return [one.visit for one in taken]

    def _state(self, one: Sighting) -> VisitState:
        state = self.visits.get(one.visit)
        if state is None:
            met = {name for name, other in self.visits.items() if one.visit in other.together}
            state = VisitState(one.camera, one.track, together=met)
            self.visits[one.visit] = state
        self.visits.move_to_end(one.visit)
        while len(self.visits) > VISITS_KEPT:
            self.visits.popitem(last=False)
        return state

    def _meet(self, one: Sighting) -> None:
        """Remember who shared a picture with whom, in both visits: it holds after one has left."""
        self.visits[one.visit].together |= one.together
        for other in one.together & self.visits.keys():
            self.visits[other].together.add(one.visit)

    def _recognise(self, one: Sighting, state: VisitState, hits: Sequence[Hit]) -> None:
        """Enter the tracklet into its visit, and decide whom the visit counts to so far.

        A person's score is the mean over the visit's tracklets of the best cosine with any of the
        person's entries, so that one lucky tracklet decides nothing. Where a person is not among a
        tracklet's nearest, the farthest of those counts, which is at least the truth.
        """
        state.picture, state.embedding = one.picture, one.embedding
        state.time_us, state.latency_s = one.time_us, one.latency_s
        if self.plan.enrol and state.stored >= self.plan.per_visit:
            return  # decided, and stored so
        state.found.append([(hit.entry.id, 1.0 - hit.distance) for hit in hits])
        state.like = state.cosine = None
        others = {self.people.person_of_visit(visit) for visit in state.together}
        best, scores = self._scores(one.visit, state, others)
        if scores and self.threshold is not None:
            person = max(scores, key=lambda name: scores[name])
            if scores[person] >= self.threshold:
                state.like, state.cosine = best[person][0], scores[person]

    def _scores(
        self, visit: str, state: VisitState, others: set[str | None]
    ) -> tuple[dict[str, tuple[int, float]], dict[str, float]]:
        """Return each person's most similar entry, and each person's score; `others` are left
        out.
        """
        rows: list[tuple[dict[str, float], float]] = []
        best: dict[str, tuple[int, float]] = {}
        for found in state.found:
            row: dict[str, float] = {}
            for number, cosine in found:
                entry, person = self.people.entry(number), self.people.person_of(number)
                if entry is None or person is None or entry.visit == visit or person in others:
                    continue
                row.setdefault(person, cosine)  # the nearest comes first
                if person not in best or cosine > best[person][1]:
                    best[person] = (number, cosine)
            rows.append((row, found[-1][1] if found else 0.0))
        scores = {
            person: sum(row.get(person, least) for row, least in rows) / len(rows)
            for person in best
        }
        return best, scores

    def _enrol(self, taken: list[Sighting]) -> None:
        new: Counter[str] = Counter()
        kept: list[Sighting] = []
        for one in taken:
            if self.visits[one.visit].stored + new[one.visit] < self.plan.per_visit:
                new[one.visit] += 1
                kept.append(one)
        if not kept:
            return
        rows = [self._enrolment(one) for one in kept]
        done = self.gallery.enrol(rows)
        self.counts["enrolled"] += done.added
        for visit, count in new.items():
            self.visits[visit].stored += count
        for number, row in zip(done.ids, rows, strict=True):
            if self.people.entry(number) is None:
                self.people.add(number, row.label, row.camera, row.time_us, row.metadata)

    def _enrolment(self, one: Sighting) -> Enrolment:
        state = self.visits[one.visit]
        metadata: dict[str, Any] = {
            VISIT: one.visit,
            "track": one.track,
            "first_frame": one.first_frame,
            "last_frame": one.last_frame,
            "backend": self._backend,
        }
        if state.like is not None:
            metadata |= {LIKE: state.like, COSINE: state.cosine}
        return Enrolment(
            embedding=one.embedding,
            label=one.visit,
            camera=one.camera,
            time_us=one.time_us,
            source=one.visit,
            key=f"{one.visit}/{one.first_frame}-{one.last_frame}",
            metadata=metadata,
            crop=one.picture if self.plan.keep_crops else None,
        )

    def _name(self, visit: str, state: VisitState) -> None:
        """Say whom a visit counts to, as the gallery has it now."""
        person = self.people.person_of_visit(visit)
        if person is None and state.like is not None:
            person = self.people.person_of(state.like)
        alone = person == visit
        state.person = None if person is None or alone else person
        state.named = person is not None and self.people.named(person)

    def _read(self) -> None:
        self.people = People(self.gallery.entries())
        self._last_audit = self.gallery.audit(1)
