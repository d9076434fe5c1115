"""Who is who in a gallery: visits put together to persons, and a person's timeline.

A visit is one track of one camera, the `source` of its entries. As long as no one has said who it
was, its entries are labelled with the visit itself, and ``like`` in the last one's metadata
names the entry that it resembles: the visit then counts to that entry's person, as a proposal.
Confirming, splitting and merging set labels, nothing else, so that a gallery needs no tables
beyond its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..gallery import Entry

VISIT, LIKE, COSINE = "visit", "like", "cosine"
"""Keys of an entry's metadata."""


@dataclass(frozen=True)
class Sighted:
    """What is kept in memory of one entry.

    Attributes:
        id, label, camera, time_us: of the entry; its name where it has no label.
        visit: the visit that it belongs to.
        own: whether the label is the visit's own, so that no one has said who it is.
        like: the entry it was taken to resemble; None for an unknown person.
        cosine: how much.
    """

    id: int
    label: str
    camera: str
    time_us: int | None
    visit: str
    own: bool
    like: int | None
    cosine: float | None


@dataclass(frozen=True)
class Visit:
    """A visit as the page shows it.

    Attributes:
        name: of the visit.
        person: whom it counts to.
        camera, first_us, last_us: where and when; the times are None where no entry has one.
        entries: ids, oldest first.
        confirmed: whether someone said who it was.
        cosine: of the proposal; None for a confirmed or an unknown one.
    """

    name: str
    person: str
    camera: str
    first_us: int | None
    last_us: int | None
    entries: tuple[int, ...]
    confirmed: bool
    cosine: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**vars(self), "entries": list(self.entries)}


class People:
    """Entries of a gallery by visit and by person."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: dict[int, Sighted] = {}
        self._visits: dict[str, list[int]] = {}  # by group: a visit, or what was split off it
        self._groups: dict[str, list[str]] = {}  # of each visit
        self._persons: dict[str, list[str]] | None = None  # visits by person; None: not known
        self._person_of: dict[str, str] = {}
        for entry in entries:
            self.add(entry.id, entry.label, entry.camera, entry.time_us, entry.metadata)

    def __len__(self) -> int:
        return len(self._entries)

    def add(
        self,
        number: int,
        label: str | None,
        camera: str | None,
        time_us: int | None,
        metadata: Mapping[str, Any],
    ) -> None:
        """Take one entry in; those of other verbs are a visit for each label."""
        name = f"entry {number}" if label is None else label
        visit = str(metadata.get(VISIT) or name)
        like, cosine = metadata.get(LIKE), metadata.get(COSINE)
        own = VISIT in metadata and name == visit
        self._entries[number] = Sighted(
            id=number,
            label=name,
            camera=camera or "",
            time_us=time_us,
            visit=visit,
            own=own,
            like=like if own and isinstance(like, int) else None,
            cosine=cosine if own and isinstance(cosine, float) else None,
        )
        group = self._group(self._entries[number])
        self._visits.setdefault(group, []).append(number)
        if len(self._visits[group]) == 1:
            self._groups.setdefault(visit, []).append(group)
        self._place(group)

    def _place(self, group: str) -> None:
        """Bring the persons up to date after an entry was added; none may be known yet."""
        if self._persons is None:
            return
        if group not in self._person_of:
            self._persons.setdefault(self._resolved(group), []).append(group)
            return
        near = self._next(group)
        now = self._entries[self._visits[group][0]].label
        if near is not None:
            now = self._person_of[near]
        if now != self._person_of[group]:
            self._persons = None

    def persons(self) -> dict[str, list[Visit]]:
        """Return every person's visits, the oldest first."""
        return {name: self._shown(groups) for name, groups in self._by_person().items()}

    def visits(self, person: str) -> list[Visit]:
        """Return one person's visits, the oldest first; none for an unknown name."""
        return self._shown(self._by_person().get(person, []))

    def person_of(self, number: int) -> str | None:
        """Return whom an entry counts to; None for one that is not there."""
        one = self._entries.get(number)
        self._by_person()
        return None if one is None else self._person_of[self._group(one)]

    def person_of_visit(self, visit: str) -> str | None:
        """Return whom a visit counts to, by its first entry; None before it has any."""
        groups = self._groups.get(visit)
        return self.person_of(self._visits[groups[0]][0]) if groups else None

    def entry(self, number: int) -> Sighted | None:
        """Return what is known of an entry."""
        return self._entries.get(number)

    def ids(self, person: str) -> list[int]:
        """Return the ids of all that counts to a person."""
        groups = self._by_person().get(person, [])
        return sorted(number for group in groups for number in self._visits[group])

    def ids_of_visit(self, visit: str) -> list[int]:
        """Return the ids of a visit's entries, whoever they count to."""
        return sorted(
            number for group in self._groups.get(visit, ()) for number in self._visits[group]
        )

    def named(self, person: str) -> bool:
        """Return whether a person has a name, not only that of a visit no one has spoken of."""
        return person not in self._visits

    def _group(self, one: Sighted) -> str:
        return one.visit if one.own else f"{one.visit}\0{one.label}"

    def _by_person(self) -> dict[str, list[str]]:
        if self._persons is None:
            self._person_of = {}
            found: dict[str, list[str]] = {}
            for group in self._visits:
                found.setdefault(self._resolved(group), []).append(group)
            self._persons = found
        return self._persons

    def _resolved(self, group: str) -> str:
        """Follow proposals to a person; where they go round, the oldest visit gives the name."""
        path: list[str] = []
        name: str | None = None
        here: str | None = group
        while here is not None and name is None:
            if here in self._person_of:
                name = self._person_of[here]
            elif here in path:
                round_ = path[path.index(here) :]
                oldest = min(round_, key=lambda one: self._visits[one][0])
                name = self._entries[self._visits[oldest][0]].label
            else:
                path.append(here)
                here = self._next(here)
        if name is None:
            name = self._entries[self._visits[path[-1]][0]].label
        for passed in path:
            self._person_of[passed] = name
        return name

    def _next(self, group: str) -> str | None:
        """Return the group of the entry that this one resembles most; None at the end."""
        best = self._best(group)
        target = None if best is None or best.like is None else self._entries.get(best.like)
        return None if target is None else self._group(target)

    def _best(self, group: str) -> Sighted | None:
        """Return the entry that decides: the last one, which knows most of its visit."""
        last = self._entries[max(self._visits[group])]
        return last if last.like in self._entries else None

    def _shown(self, groups: Iterable[str]) -> list[Visit]:
        shown = []
        for group in groups:
            members = [self._entries[number] for number in self._visits[group]]
            times = [one.time_us for one in members if one.time_us is not None]
            best = self._best(group)
            shown.append(
                Visit(
                    name=members[0].visit,
                    person=self._person_of[group],
                    camera=members[0].camera,
                    first_us=min(times, default=None),
                    last_us=max(times, default=None),
                    entries=tuple(one.id for one in members),
                    confirmed=not members[0].own,
                    cosine=None if best is None else best.cosine,
                )
            )
        return sorted(shown, key=lambda one: (one.first_us or 0, one.entries[0]))
