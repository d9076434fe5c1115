"""The gallery's only thread: looks sightings up, stores them, and does what people ask for."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import SdclNeuroError

from ..gallery import Enrolment, Gallery, Hit
from .people import COSINE, LIKE, VISIT, People
from .settings import GalleryPlan

SIGHTINGS_WAITING = 256
ASKED_WAITING = 64
VISITS_KEPT = 1024
TRACKLETS = 8
"""Of a visit, that decide whom it counts to."""
_AT_ONCE = 64
_NEIGHBOURS = 24  # entries looked at for each sighting: its own visit's are among them
_TRIES, _PAUSE_S = 5, 1.0

Answer = TypeVar("Answer")


class Busy(Exception):
    """More is asked for than the gallery can answer."""


@dataclass(frozen=True, eq=False)
class Sighting:
    """One tracklet, embedded.

    Attributes:
        visit: name of the visit: camera, run and track.
        camera, track: where.
        time_us: microseconds since 1970 (UTC).
        first_frame, last_frame: of the camera's run, from 1.
        embedding: float32 ``[D]``, of unit length.
        picture: JPEG file of the person.
        together: visits in the same picture, which are other persons.
        latency_s: from the last frame's arrival to the embedding.
    """

    visit: str
    camera: str
    track: int
    time_us: int
    first_frame: int
    last_frame: int
    embedding: NDArray[np.float32]
    picture: bytes
    together: frozenset[str]
    latency_s: float


@dataclass
class VisitState:
    """What is remembered of a visit while it lasts, and for a while after.

    Attributes:
        camera, track: where.
        person: whom it counts to; None for one who is not recognised.
        named: whether that person has a name that someone gave.
        cosine: mean over the visit's tracklets of their best cosine with that person.
        like: that person's entry which is most similar.
        found: of the last tracklets, entries that were near and their cosines, nearest first.
        stored: entries in the gallery.
        silent: forgotten by request: nothing more of it is stored.
        picture: JPEG file of the latest tracklet.
        embedding: of the latest tracklet.
        time_us: of the latest tracklet.
        latency_s: of the latest tracklet.
    """

    camera: str
    track: int
    person: str | None = None
    named: bool = False
    cosine: float | None = None
    like: int | None = None
    found: deque[list[tuple[int, float]]] = field(default_factory=lambda: deque(maxlen=TRACKLETS))
    stored: int = 0
    silent: bool = False
    picture: bytes = b""
    embedding: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    time_us: int = 0
    latency_s: float = 0.0

    def to_dict(self, visit: str) -> dict[str, Any]:
        """Return plain JSON values, without picture and embedding."""
        return {
            "visit": visit,
            "camera": self.camera,
            "track": self.track,
            "person": self.person,
            "named": self.named,
            "cosine": self.cosine,
            "stored": self.stored,
            "time_us": self.time_us,
            "latency_ms": 1e3 * self.latency_s,
        }


class Desk:
    """Owns the gallery; everything that touches it happens on its thread, one after another.

    Args:
        opened: opens the gallery, on the desk's thread.
        plan: see `GalleryPlan`.
        threshold: cosine from which two are the same person; None where none is known.
        backend: of the event branch, stored with each entry.
        on_seen: called with each visit that changed.
        on_people: called after a change that people asked for.
        say: told what went wrong, in one line.

    Attributes:
        counts: ``searched``, ``enrolled``, ``recognised``, ``unknown``, ``unstored``.
        people: who is who; read it on the desk's thread.
    """

    def __init__(
        self,
        opened: Callable[[], Gallery],
        plan: GalleryPlan,
        *,
        threshold: float | None,
        backend: str,
        on_seen: Callable[[str, VisitState], None],
        on_people: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._opened, self.plan, self.threshold = opened, plan, threshold
        self._backend, self._on_seen, self._on_people, self._say = backend, on_seen, on_people, say
        self.counts: Counter[str] = Counter()
        self.people = People()
        self.visits: OrderedDict[str, VisitState] = OrderedDict()
        self.gallery: Gallery
        self._changed = threading.Condition()
        self._sightings: deque[Sighting] = deque()
        self._asked: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._closing = False
        self._ready: Future[None] = Future()
        self._last_audit: Any = None
        self._thread = threading.Thread(target=self._work, name="serve-gallery", daemon=True)

    def begin(self) -> None:
        """Open the gallery; raises what `opened` raises."""
        self._thread.start()
        self._ready.result()

    def close(self, timeout: float) -> bool:
        """Store what waits, close the gallery, return whether that was done in time."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def closed(self) -> bool:
        """Whether the gallery is closed, and everything handed over before is stored."""
        return not self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Sightings that wait."""
        return len(self._sightings)

    def see(self, sightings: Sequence[Sighting]) -> None:
        """Hand sightings over; waits while too many are there, so that drops happen before."""
        with self._changed:
            while len(self._sightings) >= SIGHTINGS_WAITING and not self._closing:
                self._changed.wait(0.1)
            self._sightings.extend(sightings)
            self._changed.notify_all()

    def ask(self, function: Callable[[], Answer]) -> Future[Answer]:
        """Have a function called on the desk's thread.

        Raises:
            Busy: too many wait, or the server is ending.
        """
        answer: Future[Answer] = Future()
        with self._changed:
            if self._closing or len(self._asked) >= ASKED_WAITING:
                raise Busy
            self._asked.append((function, answer))
            self._changed.notify_all()
        return answer

    # On the desk's thread.

    def changed(self) -> None:
        """Take in what this desk or another program changed in the gallery."""
        self._read_people()
        for visit, state in self.visits.items():
            self._name(visit, state)
        self._on_people()

    def refresh(self) -> None:
        """Look whether another program changed the gallery: each change leaves a line of audit."""
        if self.gallery.audit(1) != self._last_audit or len(self.gallery) != len(self.people):
            self.changed()

    def forget(self, ids: Sequence[int]) -> None:
        """Drop what is in memory of visits whose entries are to be erased."""
        gone = {sighted.visit for one in ids if (sighted := self.people.entry(one)) is not None}
        for visit in gone & self.visits.keys():
            state = self.visits[visit]
            self.visits[visit] = VisitState(state.camera, state.track, silent=True)
            self._on_seen(visit, self.visits[visit])

    def _read_people(self) -> None:
        self.people = People(self.gallery.entries())
        self._last_audit = self.gallery.audit(1)

    def _work(self) -> None:
        try:
            with self._opened() as self.gallery:
                self._read_people()
                self._ready.set_result(None)
                self._serve()
        except BaseException as error:
            if self._ready.done():
                self._say(f"the gallery failed: {error}")
                self._give_up(error)
            else:
                self._ready.set_exception(error)

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not (self._asked or self._sightings or self._closing):
                    self._changed.wait()
                asked = self._asked.popleft() if self._asked else None
                count = 0 if asked else min(_AT_ONCE, len(self._sightings))
                taken = [self._sightings.popleft() for _ in range(count)]
                self._changed.notify_all()
            if asked is not None:
                self._answer(*asked)
            elif taken:
                self._look_up(taken)
            else:
                return

    def _answer(self, function: Callable[[], Any], answer: Future[Any]) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(function())
        except BaseException as error:
            answer.set_exception(error)

    def _give_up(self, error: BaseException) -> None:
        with self._changed:
            self._closing = True
            for _, answer in self._asked:
                answer.set_exception(error)
            self._asked.clear()
            self.counts["unstored"] += len(self._sightings)
            self._sightings.clear()
            self._changed.notify_all()

    def _look_up(self, taken: list[Sighting]) -> None:
        for attempt in range(_TRIES):
            try:
                self._see(taken)
                return
            except SdclNeuroError as error:
                self._say(f"the gallery did not answer ({error}), try {attempt + 1} of {_TRIES}")
                with self._changed:
                    ending = self._closing
                    if not ending:
                        self._changed.wait(_PAUSE_S)
                if ending:
                    break
        self.counts["unstored"] += len(taken)

    def _see(self, taken: list[Sighting]) -> None:
        taken = [one for one in taken if not self._state(one).silent]
        if not taken:
            return
        found: list[list[Hit]] = [[] for _ in taken]
        if len(self.people):
            found = self.gallery.search(np.stack([one.embedding for one in taken]), k=_NEIGHBOURS)
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
            self._on_seen(one.visit, state)

    def _state(self, one: Sighting) -> VisitState:
        state = self.visits.get(one.visit)
        if state is None:
            state = self.visits[one.visit] = VisitState(one.camera, one.track)
        self.visits.move_to_end(one.visit)
        while len(self.visits) > VISITS_KEPT:
            self.visits.popitem(last=False)
        return state

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
        others = {self.people.person_of_visit(visit) for visit in one.together}
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
