"""The gallery's only thread: hands sightings to the recogniser, and does what people ask for."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from sdcl_neuro.errors import SdclNeuroError

from ..gallery import Gallery
from .people import People
from .recogniser import Recogniser
from .settings import GalleryPlan
from .visits import Sighting, VisitState

SIGHTINGS_WAITING = 256
ASKED_WAITING = 64
_AT_ONCE = 64
_TRIES, _PAUSE_S = 5, 1.0

Answer = TypeVar("Answer")


class Busy(Exception):
    """More is asked for than the gallery can answer."""


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
        counts: the recogniser's, and ``unstored``.
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
        self._opened, self._on_seen, self._on_people, self._say = opened, on_seen, on_people, say
        self._recogniser = Recogniser(plan, threshold=threshold, backend=backend)
        self.counts = self._recogniser.counts
        self._changed = threading.Condition()
        self._sightings: deque[Sighting] = deque()
        self._asked: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._closing = False
        self._ready: Future[None] = Future()
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

    @property
    def gallery(self) -> Gallery:
        """The gallery, opened."""
        return self._recogniser.gallery

    @property
    def people(self) -> People:
        """Who is who in the gallery."""
        return self._recogniser.people

    @property
    def visits(self) -> OrderedDict[str, VisitState]:
        """What is remembered of the latest visits, the latest last."""
        return self._recogniser.visits

    def changed(self) -> None:
        """Take in what this desk or another program changed in the gallery."""
        self._recogniser.read_again()
        self._on_people()

    def refresh(self) -> None:
        """Take in what another program changed in the gallery."""
        if self._recogniser.outdated():
            self.changed()

    def forget(self, ids: Sequence[int]) -> None:
        """Drop what is in memory of visits whose entries are to be erased."""
        self._publish(self._recogniser.silence(ids))

    def _publish(self, visits: Sequence[str]) -> None:
        for visit in visits:
            self._on_seen(visit, self.visits[visit])

    def _work(self) -> None:
        try:
            with self._opened() as gallery:
                self._recogniser.open(gallery)
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
                self._publish(self._recogniser.see(taken))
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
