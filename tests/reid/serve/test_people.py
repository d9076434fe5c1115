"""Visits put together to persons: proposals, confirmations, splits, and proposals that go round."""

from __future__ import annotations

from typing import Any

from sdcl_neuro.reid.gallery import Entry
from sdcl_neuro.reid.serve.people import People


def entry(number: int, visit: str, label: str | None = None, like: int | None = None) -> Entry:
    metadata: dict[str, Any] = {"visit": visit}
    if like is not None:
        metadata |= {"like": like, "cosine": 0.9}
    return Entry(
        id=number,
        label=visit if label is None else label,
        camera=visit.split("/")[0],
        time_us=1_000_000 * number,
        source=visit,
        key=None,
        metadata=metadata,
        enrolled_us=0,
    )


def test_a_proposal_counts_to_the_person_it_resembles() -> None:
    people = People([entry(1, "a/1"), entry(2, "a/1"), entry(3, "b/1", like=1), entry(4, "c/1")])
    assert {name: len(found) for name, found in people.persons().items()} == {"a/1": 2, "c/1": 1}
    first, second = people.visits("a/1")
    assert (first.name, first.cosine, first.confirmed) == ("a/1", None, False)
    assert (second.name, second.cosine, second.entries) == ("b/1", 0.9, (3,))
    assert people.person_of(3) == people.person_of_visit("b/1") == "a/1"
    assert not people.named("a/1")
    assert people.ids("a/1") == [1, 2, 3]


def test_a_name_carries_over_to_what_was_proposed() -> None:
    people = People([entry(1, "a/1", "Alice"), entry(2, "b/1", like=1)])
    assert people.person_of(2) == "Alice"
    assert people.named("Alice")
    assert [visit.confirmed for visit in people.visits("Alice")] == [True, False]


def test_the_last_entry_of_a_visit_decides() -> None:
    people = People([entry(1, "a/1"), entry(2, "b/1"), entry(3, "c/1", like=1)])
    assert people.person_of(3) == "a/1"
    people.add(4, "c/1", "c", None, {"visit": "c/1", "like": 2, "cosine": 0.95})
    assert people.person_of(3) == people.person_of(4) == "b/1"
    people.add(5, "c/1", "c", None, {"visit": "c/1"})
    assert people.person_of(3) == "c/1"


def test_what_was_split_off_is_another_person() -> None:
    people = People([entry(1, "a/1"), entry(2, "a/1", "Bob"), entry(3, "b/1", like=2)])
    assert people.ids("a/1") == [1]
    assert people.ids("Bob") == [2, 3]
    assert people.ids_of_visit("a/1") == [1, 2]


def test_proposals_that_go_round_end_at_the_oldest_visit() -> None:
    round_ = [entry(1, "a/1"), entry(2, "b/1", like=1), entry(3, "a/1", like=2)]
    people = People(round_)
    assert people.person_of(1) == people.person_of(2) == people.person_of(3) == "a/1"
    people = People([*round_, entry(4, "c/1", like=2)])
    assert people.person_of(4) == "a/1"
    grown = People()
    for one in round_:
        grown.add(one.id, one.label, one.camera, one.time_us, one.metadata)
        grown.persons()
    assert grown.person_of(2) == "a/1"


def test_an_entry_that_was_erased_proposes_nothing() -> None:
    people = People([entry(2, "b/1", like=1)])
    assert people.person_of(2) == "b/1"
    assert people.visits("b/1")[0].cosine is None


def test_entries_of_other_verbs_are_persons_by_their_label() -> None:
    plain = Entry(
        id=7, label="monday.mp4#3", camera=None, time_us=None, source="x", key=None,
        metadata={"track": 3}, enrolled_us=0,
    )  # fmt: skip
    people = People([plain])
    assert people.named("monday.mp4#3")
    (visit,) = people.visits("monday.mp4#3")
    assert visit.confirmed
    assert visit.first_us is None


def test_growing_gives_what_reading_at_once_gives() -> None:
    rows = [entry(1, "a/1"), entry(2, "b/1", like=1), entry(3, "c/1"), entry(4, "b/1", like=3),
            entry(5, "d/1", like=4), entry(6, "c/1", "Carl"), entry(7, "a/1")]  # fmt: skip
    grown = People()
    for one in rows:
        grown.add(one.id, one.label, one.camera, one.time_us, one.metadata)
        grown.persons()
    assert grown.persons() == People(rows).persons()
