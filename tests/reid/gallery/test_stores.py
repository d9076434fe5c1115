"""One contract, every store: the same calls give the same answers in a file and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.gallery import Enrolment, Entry, Gallery, Where
from sdcl_neuro.reid.gallery import gallery as front
from sdcl_neuro.reid.metrics import distance_matrix

Place = Callable[[], str]
PICTURE = b"\xff\xd8\xff" + b"a person in a red coat" * 40


def opened(address: str, dimension: int = 6, **options) -> Gallery:
    return Gallery(address, model="m" * 64, dimension=dimension, **options)


def people(vectors) -> list[Enrolment]:
    return [
        Enrolment(
            embedding=vector,
            label=f"person {n % 3}" if n % 4 else None,
            camera=f"door {n % 2}" if n % 5 else None,
            time_us=n * 10 if n % 7 else None,
            source=f"film {n % 4}",
            key=f"tracklet {n}",
            metadata={"n": n},
            crop=PICTURE if n == 1 else None,
        )
        for n, vector in enumerate(vectors)
    ]


def test_what_is_enrolled_comes_back(place: Place) -> None:
    address, vectors = place(), np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    with opened(address) as gallery:
        done = gallery.enrol(people(vectors))
        assert done.added == len(gallery) == 9
    with Gallery(address, create=False) as gallery:
        assert (gallery.model, gallery.dimension) == ("m" * 64, 6)
        entries = gallery.entries()
        assert tuple(entry.id for entry in entries) == done.ids
        wanted = people(vectors)[1]
        for name in ("label", "camera", "time_us", "source", "key", "metadata"):
            assert getattr(entries[1], name) == getattr(wanted, name)
        assert gallery.crop(done.ids[1]) == PICTURE
        assert gallery.crop(done.ids[2]) is None
        assert (gallery.embeddings(done.ids) == vectors).all()
        with pytest.raises(InputError, match="is not there"):
            gallery.embeddings([done.ids[0], 10**6])
        (hits,) = gallery.search(vectors[3:4], k=3)
        assert hits[0].entry == entries[3]


def test_the_same_key_is_enrolled_once(place: Place) -> None:
    vectors = np.eye(6)
    with opened(place()) as gallery:
        first = gallery.enrol(people(vectors[:4]))
        again = gallery.enrol(people(vectors))
        assert again.ids[:4] == first.ids
        assert (again.added, len(gallery)) == (2, 6)
        twice = [
            Enrolment(embedding=vectors[0], key="one"),
            Enrolment(embedding=-vectors[0], key="one"),
        ]
        done = gallery.enrol(twice)
        assert done.added == 1
        assert done.ids[0] == done.ids[1]
        assert (gallery.embeddings(done.ids[:1]) == vectors[0]).all()
        without = [Enrolment(embedding=vectors[0]), Enrolment(embedding=vectors[0])]
        assert gallery.enrol(without).added == 2
        assert gallery.enrol([]).ids == ()


@settings(
    deadline=None,
    max_examples=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_every_store_finds_what_an_oracle_finds(data, meets, place: Place) -> None:
    dimension = data.draw(st.integers(1, 5))
    values = st.lists(st.integers(-2, 2), min_size=dimension, max_size=dimension)
    vectors = np.array(data.draw(st.lists(values, min_size=1, max_size=40)), dtype=np.float64)
    query = np.array(data.draw(values), dtype=np.float64)
    k = data.draw(st.integers(1, 50))
    gone = data.draw(st.sets(st.integers(0, len(vectors) - 1)))
    chosen = data.draw(st.none() | st.sets(st.integers(0, len(vectors) - 1)))
    where = Where(
        cameras=data.draw(st.none() | st.just(["door 0"]) | st.just([])),
        not_cameras=data.draw(st.sampled_from([(), ("door 1",)])),
        labels=data.draw(st.none() | st.just(["person 1", "person 2", "somebody else"])),
        sources=data.draw(st.none() | st.just({"film 1", "film 2"})),
        not_sources=data.draw(st.sampled_from([(), ("film 2", "film 3")])),
        since_us=data.draw(st.none() | st.just(20)),
        until_us=data.draw(st.none() | st.just(130)),
    )
    kept = [
        n
        for n, one in enumerate(people(vectors))
        if n not in gone and meets(one, where) and (chosen is None or n in chosen)
    ]
    with opened(place(), dimension) as gallery:
        ids = gallery.enrol(people(vectors)).ids
        where = where if chosen is None else replace(where, ids=[ids[n] for n in chosen])
        gallery.remove([ids[n] for n in gone])
        assert [ids.index(entry.id) for entry in gallery.entries(where)] == kept
        for metric in ("cosine", "euclidean"):
            far = distance_matrix(
                query.astype(np.float32)[None], vectors.astype(np.float32), metric=metric
            )[0]
            expected = sorted(kept, key=lambda n: (far[n], n))[:k]
            (hits,) = gallery.search(query[None], k=k, metric=metric, where=where)
            assert [hit.distance for hit in hits] == pytest.approx(
                [far[n] for n in expected], abs=1e-6
            )
            if metric == "euclidean":  # whole squares: equal means equal
                assert [ids.index(hit.entry.id) for hit in hits] == expected


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("spread", [1.0, 1e-4])
def test_database_and_file_agree_to_the_last_digit(
    tmp_path: Path, fresh: str, metric: str, spread: float
) -> None:
    """Also where float32 cannot tell the neighbours apart, and for many copies of one vector."""
    rng = np.random.default_rng(3)
    centre = rng.normal(size=64) * 30
    vectors = centre + spread * rng.normal(size=(3000, 64))
    vectors[1000:1200] = vectors[0]
    vectors[5] = 0
    queries = np.concatenate([vectors[:6], centre + spread * rng.normal(size=(10, 64))])
    answers = []
    for address in (str(tmp_path / "g"), fresh):
        with opened(address, 64) as gallery:
            gallery.enrol([Enrolment(embedding=vector) for vector in vectors])
            hits = gallery.search(queries, k=12, metric=metric)
            answers.append([[(hit.entry.id, hit.distance) for hit in row] for row in hits])
    assert answers[0] == answers[1]


def test_two_handles_see_each_others_changes(place: Place) -> None:
    address = place()
    with opened(address) as gallery, opened(address) as other:
        gallery.enrol(people(np.eye(6)))
        assert [hits[0].entry.id for hits in other.search(np.eye(6), k=1)] == [1, 2, 3, 4, 5, 6]
        assert gallery.remove([2, 3, 99]) == 2
        assert gallery.relabel([4], "Alice") == 1
        assert gallery.relabel([6], None) == 1
        (hits,) = other.search(np.eye(6)[3:4])
        assert {hit.entry.id for hit in hits} == {1, 4, 5, 6}
        assert {hit.entry.name for hit in hits} == {"entry 1", "Alice", "entry 5", "entry 6"}
        (new,) = gallery.enrol([Enrolment(embedding=np.ones(6))]).ids
        gallery.remove([new])
        assert gallery.enrol([Enrolment(embedding=np.ones(6))]).ids[0] > new  # no id comes back


def test_two_persons_become_one(place: Place) -> None:
    with opened(place()) as gallery:
        gallery.enrol(people(np.eye(6)))  # 1 and 5 have no label; person 1: 2; person 2: 3, 6
        assert gallery.persons() == {
            "entry 1": [1], "person 1": [2], "person 2": [3, 6], "person 0": [4], "entry 5": [5],
        }  # fmt: skip
        assert gallery.merge("person 2", "person 1") == 2
        assert gallery.persons()["person 1"] == [2, 3, 6]
        assert gallery.merge("entry 1", "person 1") == 1
        assert gallery.merge("person 0", "entry 5") == 1
        assert gallery.persons() == {"person 1": [1, 2, 3, 6], "entry 5": [4, 5]}
        for wrong in (("person 1", "person 1"), ("person 9", "person 1"), ("person 1", "entry 9")):
            with pytest.raises(InputError):
                gallery.merge(*wrong)
        assert gallery.persons() == {"person 1": [1, 2, 3, 6], "entry 5": [4, 5]}


def test_a_person_without_a_label_is_found_by_one_row(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(place()) as gallery:
        gallery.enrol(people(np.eye(6)))  # 1 and 5 have no label
        gallery.relabel([6], "entry 1")
        read: list[int] = []
        entries = gallery._store.entries

        def counted(where: Where) -> list[Entry]:
            found = entries(where)
            read.append(len(found))
            return found

        monkeypatch.setattr(gallery._store, "entries", counted)
        assert gallery.ids_of("entry 5") == [5]
        assert gallery.ids_of("entry 1") == [6]  # a label that someone gave goes first
        assert read == [0, 1, 1]
        wrong = ("entry 2", "entry 05", "entry 9", "entry 99999999999999999999", "entry -1")
        for person in wrong:
            with pytest.raises(InputError, match="no person"):
                gallery.ids_of(person)
        assert max(read) == 1


def test_forgetting_erases(place: Place, tmp_path: Path) -> None:
    address, rng = place(), np.random.default_rng(1)
    vectors = rng.normal(size=(600, 6)).astype(np.float32)
    with opened(address) as gallery:
        gallery.enrol(
            [Enrolment(embedding=v, label=f"p {n % 60}") for n, v in enumerate(vectors[:-1])]
        )
        gallery.enrol([Enrolment(embedding=vectors[-1], label="Zebedee", crop=PICTURE)])
        assert gallery.forget(person="Zebedee") == 1
        assert gallery.forget(person="p 7") == 10
        assert len(gallery) == 589
        with pytest.raises(InputError, match="no person 'Zebedee'"):
            gallery.forget(person="Zebedee")
        with pytest.raises(InputError, match="a person or an age"):
            gallery.forget()
        left = {hit.entry.label for row in gallery.search(vectors[-5:], k=600) for hit in row}
        assert not left & {"Zebedee", "p 7"}
        assert "Zebedee" not in str(gallery.audit(1000))
        for path in tmp_path.iterdir():  # the file, for a store that has one
            content = path.read_bytes()
            assert b"Zebedee" not in content
            assert b"red coat" not in content
            assert not any(vectors[n].tobytes() in content for n in (599, 7, 67))
            assert vectors[8].tobytes() in content


def test_what_is_too_old_goes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    address, day = place(), timedelta(days=1)
    with opened(address) as gallery:
        gallery.enrol(people(np.eye(6)[:3]))
        assert gallery.retention is None
        gallery.retention = 30 * day
        assert gallery.retention == 30 * day
        real = front.now_us
        monkeypatch.setattr(front, "now_us", lambda: real() + 29 * 86_400_000_000)
        assert len(gallery.entries()) == 3
        assert gallery.forget(older_than=40 * day) == 0
        monkeypatch.setattr(front, "now_us", lambda: real() + 31 * 86_400_000_000)
        assert gallery.search(np.eye(6)[:1]) == [[]]
        assert len(gallery) == 0
        assert [line.action for line in gallery.audit()][-2:] == ["expire", "search"]
        monkeypatch.undo()
        gallery.enrol(people(np.eye(6)[3:]))
        monkeypatch.setattr(front, "now_us", lambda: real() + 3_700_000_000)
        assert gallery.forget(older_than=timedelta(hours=1)) == 3
        with pytest.raises(InputError, match="an age of"):
            gallery.retention = -day
        gallery.retention = None
        assert gallery.retention is None


def test_all_that_is_done_is_in_the_audit(place: Place) -> None:
    with opened(place()) as gallery:
        ids = gallery.enrol(people(np.eye(6))).ids
        gallery.search(np.eye(6)[:2], k=3)
        gallery.relabel(ids[:1], "Alice")
        gallery.merge("Alice", "person 1")
        gallery.remove(ids[1:2])
        gallery.forget(person="person 0")
        gallery.vacuum()
        lines = gallery.audit()
        assert [(line.action, line.entries) for line in lines] == [
            *(("enrol", 6), ("search", 2), ("relabel", 1), ("merge", 1), ("remove", 1)),
            *(("forget", 1), ("vacuum", 0)),
        ]
        assert all(line.user and line.time_us > 1.7e15 for line in lines)
        assert gallery.audit(2) == lines[-2:]
        assert "Alice" not in str([line.to_dict() for line in lines])


PAIRS = [
    ("file", "file"),
    *(
        pytest.param(*pair, marks=pytest.mark.slow)
        for pair in (("file", "base"), ("base", "file"), ("base", "base"))
    ),
]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_copy_is_a_gallery(source: str, target: str, tmp_path: Path, request) -> None:
    def address(kind: str, name: str) -> str:
        return str(tmp_path / name) if kind == "file" else request.getfixturevalue("fresh") + name

    first, second = address(source, "a"), address(target, "b")
    vectors = np.random.default_rng(2).normal(size=(50, 6)).astype(np.float32)
    with opened(first) as gallery:
        gallery.enrol(people(vectors))
        gallery.retention = timedelta(days=7)
        gallery.copy(second)
        with pytest.raises(InputError, match=r"there|already"):
            gallery.copy(second)
        entries = [{**entry.to_dict(), "id": 0} for entry in gallery.entries()]
    with Gallery(second, create=False) as copy:
        assert copy.retention == timedelta(days=7)
        ids = [entry.id for entry in copy.entries()]
        assert [{**entry.to_dict(), "id": 0} for entry in copy.entries()] == entries
        assert (copy.embeddings(ids) == vectors).all()
        assert copy.crop(ids[1]) == PICTURE


def test_another_models_gallery_is_refused(place: Place) -> None:
    address = place()
    opened(address).close()
    with pytest.raises(InputError, match=r"of model mmmmmmmmmmmm in 6 dimensions; this model is o"):
        Gallery(address, model="other", dimension=6)
    with pytest.raises(InputError, match="in 6 dimensions; this model is mmmmmmmmmmmm in 7"):
        opened(address, 7)
    with pytest.raises(InputError, match="no such gallery"):
        opened(place(), create=False)
    with pytest.raises(InputError, match="dimension 0"):
        opened(place(), 0)
    with pytest.raises(InputError, match="needs the model and dimension"):
        Gallery(place())


WRONG = {
    "another size": ({"embedding": np.ones(5)}, r"float64 \(5,\)"),
    "not a number": ({"embedding": np.full(6, np.nan)}, "not finite"),
    "no JSON": ({"metadata": {"a": object()}}, "JSON cannot hold"),
    "a number as label": ({"label": 7}, "another type"),
    "a time past all times": ({"time_us": 2**63}, "too large"),
    "half a character": ({"label": "\ud800"}, "."),
    "a crop that is text": ({"crop": b"GIF89a"}, "not a picture"),
    "a crop without end": ({"crop": b"\xff\xd8\xff" + bytes(5 << 20)}, "not a picture"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_tracklet_is_refused_with_its_whole_batch(place: Place, case: str) -> None:
    change, message = WRONG[case]
    with opened(place()) as gallery:
        good = Enrolment(embedding=np.ones(6))
        with pytest.raises(InputError, match=message):
            gallery.enrol([good, Enrolment(**{"embedding": np.ones(6), **change})])
        assert len(gallery) == 0
        gallery.enrol([good])
        assert len(gallery) == 1
