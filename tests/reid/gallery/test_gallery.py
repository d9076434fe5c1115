"""Enrol, search, remove: both engines against a plain oracle, and every wrong use in one line."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.reid.gallery import Enrolment, Gallery, Where, engines
from sdcl_neuro.reid.gallery.sqlite import database
from sdcl_neuro.reid.gallery.sqlite import embedded as module
from sdcl_neuro.reid.metrics import distance_matrix

ENGINES = ("faiss", "numpy")
METRICS = ("cosine", "euclidean")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "faiss":
        pytest.importorskip("faiss")
    return request.param


def opened(path: Path, dimension: int = 6, **options) -> Gallery:
    return Gallery(path, model="m" * 64, dimension=dimension, **options)


def people(vectors) -> list[Enrolment]:
    return [
        Enrolment(
            embedding=vector,
            label=f"person {n % 3}",
            camera=f"door {n % 2}" if n % 5 else None,
            time_us=n * 10 if n % 7 else None,
            source=f"film {n % 4}",
            key=f"tracklet {n}",
            metadata={"n": n},
        )
        for n, vector in enumerate(vectors)
    ]


def test_what_is_enrolled_comes_back(tmp_path: Path, engine: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(9, 6))
    with opened(tmp_path / "g", engine=engine) as gallery:
        done = gallery.enrol(people(vectors))
        assert done.ids == tuple(range(1, 10))
        assert str(done) == "9 enrolled"
        assert "9 entries" in str(gallery)
    with opened(tmp_path / "g", create=False, engine=engine) as gallery:
        entries = gallery.entries()
        assert [entry.id for entry in entries] == list(done.ids)
        assert entries[1].to_dict() == {
            "id": 2, "label": "person 1", "camera": "door 1", "time_us": 10, "source": "film 1",
            "key": "tracklet 1", "metadata": {"n": 1}, "enrolled_us": entries[1].enrolled_us,
        }  # fmt: skip
        assert str(entries[1]) == "2: person 1, camera door 1, time_us 10, source film 1"
        (hits,) = gallery.search(vectors[3:4], k=3)
        assert hits[0].entry == entries[3]
        assert str(hits[0]) == "person 0 (0.000)"
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_the_same_key_is_enrolled_once(tmp_path: Path) -> None:
    vectors = np.eye(6)
    with opened(tmp_path / "g") as gallery:
        first = gallery.enrol(people(vectors[:4]))
        again = gallery.enrol(people(vectors))
        assert again.ids[:4] == first.ids
        assert (again.added, len(gallery)) == (2, 6)
        assert str(again) == "2 enrolled, 4 already there"
        without = [Enrolment(embedding=vectors[0]), Enrolment(embedding=vectors[0])]
        assert gallery.enrol(without).added == 2
        assert gallery.enrol([]).ids == ()


def oracle(vectors, kept, query, k, metric):
    """Indices by distance in float64, equally near ones by index."""
    single = vectors.astype(np.float32)
    far = distance_matrix(query.astype(np.float32)[None], single, metric=metric)[0]
    order = sorted(kept, key=lambda n: (far[n], n))[:k]
    return order, [far[n] for n in order]


@settings(deadline=None, max_examples=60, derandomize=True)
@given(data=st.data())
def test_both_engines_find_what_an_oracle_finds(data, meets, tmp_path_factory) -> None:
    """On a grid of small whole numbers, where distances are far apart or equal."""
    pytest.importorskip("faiss")
    dimension = data.draw(st.integers(1, 5))
    values = st.lists(st.integers(-2, 2), min_size=dimension, max_size=dimension)
    vectors = np.array(data.draw(st.lists(values, min_size=1, max_size=60)), dtype=np.float64)
    query = np.array(data.draw(values), dtype=np.float64)
    k = data.draw(st.integers(1, 70))
    gone = data.draw(st.sets(st.integers(0, len(vectors) - 1)))
    where = Where(
        cameras=data.draw(st.none() | st.just(["door 0"])),
        not_cameras=data.draw(st.sampled_from([(), ("door 1",)])),
        labels=data.draw(st.none() | st.just(["person 1", "person 2", "no one"])),
        sources=data.draw(st.none() | st.just({"film 1", "film 2"})),
        not_sources=data.draw(st.sampled_from([(), ("film 2", "film 3")])),
        since_us=data.draw(st.none() | st.just(20)),
        until_us=data.draw(st.none() | st.just(130)),
    )
    kept = [n for n, one in enumerate(people(vectors)) if n not in gone and meets(one, where)]
    path = tmp_path_factory.mktemp("g") / "g"
    with opened(path, dimension) as gallery:
        gallery.enrol(people(vectors))
        if data.draw(st.booleans()):
            gallery.search(query[None])  # an index is held already and has to follow
        gallery.remove([n + 1 for n in gone])
    for metric in METRICS:
        expected, far = oracle(vectors, kept, query, k, metric)
        for engine in ENGINES:
            with opened(path, dimension, engine=engine) as gallery:
                (hits,) = gallery.search(query[None], k=k, metric=metric, where=where)
                assert [hit.distance for hit in hits] == pytest.approx(far, abs=1e-6)
                if metric == "euclidean":  # whole squares: equal means equal
                    assert [hit.entry.metadata["n"] for hit in hits] == expected


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("spread", [1.0, 1e-4])
def test_engines_agree_to_the_last_digit(tmp_path: Path, metric: str, spread: float) -> None:
    """Also where float32 cannot tell the neighbours apart, and for many copies of one vector."""
    pytest.importorskip("faiss")
    rng = np.random.default_rng(3)
    centre = rng.normal(size=64) * 30
    vectors = centre + spread * rng.normal(size=(5000, 64))
    vectors[1000:1200] = vectors[0]
    queries = np.concatenate([vectors[:3], centre + spread * rng.normal(size=(30, 64))])
    answers = []
    for engine in ENGINES:
        with opened(tmp_path / "g", 64, engine=engine) as gallery:
            if not len(gallery):
                gallery.enrol([Enrolment(embedding=vector) for vector in vectors])
            answers.append(gallery.search(queries, k=12, metric=metric))
    assert answers[0] == answers[1]
    far = distance_matrix(
        queries.astype(np.float32), vectors.astype(np.float32), metric="euclidean"
    )
    if metric == "euclidean":
        assert [hit.entry.id for hit in answers[0][0]] == [1, *range(1001, 1012)]
        for row, hits in zip(far[3:], answers[0][3:], strict=True):
            nearest = [hit.entry.id - 1 for hit in hits]
            assert spread < 1 or nearest == np.argsort(row, kind="stable")[:12].tolist()


def test_numpy_in_several_blocks_is_numpy_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    vectors, queries = (rng.normal(size=(n, 8)).astype(np.float32) for n in (300, 7))
    allowed = rng.random(300) < 0.5
    found = []
    for block in (1 << 22, 7 * 11):
        monkeypatch.setattr(engines, "_BLOCK", block)
        held = engines.NumpyEngine(8, "euclidean")
        held.add(vectors[:200])
        held.add(vectors[200:])
        scores, places = held.nearest(queries, 9, allowed)
        found.append(np.sort(places, axis=1))
        assert allowed[places].all()
        exact = distance_matrix(queries, vectors, metric="euclidean") ** 2
        assert np.allclose(-scores, np.take_along_axis(exact, places, axis=1), atol=1e-4)
    assert (found[0] == found[1]).all()


def test_removed_and_relabelled(tmp_path: Path, engine: str) -> None:
    with opened(tmp_path / "g", engine=engine) as gallery, opened(tmp_path / "g") as other:
        gallery.enrol(people(np.eye(6)))
        assert [hits[0].entry.id for hits in other.search(np.eye(6), k=1)] == [1, 2, 3, 4, 5, 6]
        assert gallery.remove([2, 3, 99]) == 2
        assert gallery.relabel([4], "Alice") == 1
        assert gallery.relabel([5], None) == 1
        (hits,) = other.search(np.eye(6)[3:4])
        assert {hit.entry.id for hit in hits} == {1, 4, 5, 6}
        assert [hits[0].entry.name, hits[2].entry.name] == ["Alice", "entry 5"]
        assert gallery.enrol([Enrolment(embedding=np.ones(6))]).ids == (7,)
        gallery.remove([7])
        assert gallery.enrol([Enrolment(embedding=np.ones(6))]).ids == (8,)  # no id comes back


def test_a_copy_is_a_gallery(tmp_path: Path) -> None:
    with opened(tmp_path / "g") as gallery:
        gallery.enrol(people(np.eye(6)))
        gallery.copy(tmp_path / "copy")
        for target in ("g", "copy"):
            with pytest.raises(InputError, match="already exists"):
                gallery.copy(tmp_path / target)
    with opened(tmp_path / "copy", create=False) as copy:
        assert len(copy.search(np.eye(6)[:1])[0]) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "g"]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gallery with an index on disk."""
    pytest.importorskip("faiss")
    monkeypatch.setattr(module, "KEPT_FROM", 1)
    path = tmp_path / "g"
    with opened(path) as gallery:
        gallery.enrol(people(np.eye(6)))
        gallery.search(np.eye(6))
    assert (tmp_path / "g.cosine.faiss").exists()
    return path


def _built_from_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many rows' embeddings a search reads; it has to find the right ones."""
    read = []
    original = module.EmbeddedStore.vectors

    def counting(store, after):
        for ids, vectors in original(store, after):
            read.extend(ids.tolist())
            yield ids, vectors

    monkeypatch.setattr(module.EmbeddedStore, "vectors", counting)
    with opened(path) as gallery:
        count = len(gallery)
        (hits,) = gallery.search(np.eye(6)[5:], k=count)
        assert hits[0].distance < 1e-6
        assert len(hits) == count
    monkeypatch.setattr(module.EmbeddedStore, "vectors", original)
    return len(read)


def test_the_index_on_disk_is_used_and_followed_up(kept: Path, monkeypatch) -> None:
    assert _built_from_rows(kept, monkeypatch) == 0
    with opened(kept) as gallery:
        gallery.enrol([Enrolment(embedding=np.ones(6))])
    assert _built_from_rows(kept, monkeypatch) == 1


def test_a_stale_or_damaged_index_is_never_trusted(kept: Path, monkeypatch) -> None:
    index = kept.with_name("g.cosine.faiss")
    whole = index.read_bytes()
    index.write_bytes(whole[:-4] + b"\0\0\0\0")
    assert _built_from_rows(kept, monkeypatch) == 6
    index.write_bytes(b"")
    assert _built_from_rows(kept, monkeypatch) == 6
    index.unlink()
    assert _built_from_rows(kept, monkeypatch) == 6
    assert index.read_bytes() == whole
    assert _built_from_rows(kept, monkeypatch) == 0
    with opened(kept) as gallery:
        gallery.remove([1])
    assert _built_from_rows(kept, monkeypatch) == 5
    # Also where another program changed an embedding.
    base = sqlite3.connect(kept)
    with base:
        base.execute("UPDATE entry SET embedding = ? WHERE id = 2", (np.eye(6, dtype="f4")[5],))
    base.close()
    assert _built_from_rows(kept, monkeypatch) == 5
    with opened(kept) as gallery:
        assert [hit.entry.id for hit in gallery.search(np.eye(6)[5:], k=2)[0]] == [2, 6]


def test_numpy_needs_no_index_and_writes_none(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "KEPT_FROM", 1)
    with opened(tmp_path / "g", engine="numpy") as gallery:
        gallery.enrol(people(np.eye(6)))
        gallery.search(np.eye(6))
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_without_faiss_numpy_answers(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sdcl_neuro.extras.find_spec", lambda name: None)
    with opened(tmp_path / "g") as gallery:
        assert gallery.engine == "numpy"
    with pytest.raises(EnvironmentFault, match=r"faiss-cpu, which is not installed; .*pip install"):
        opened(tmp_path / "g", engine="faiss")


def test_an_empty_gallery_answers(tmp_path: Path, engine: str) -> None:
    with opened(tmp_path / "g", engine=engine) as gallery:
        assert gallery.search(np.eye(6)) == [[]] * 6
        gallery.enrol(people(np.eye(6)))
        assert gallery.search(np.eye(6), where=Where(cameras=[])) == [[]] * 6
        assert gallery.search(np.empty((0, 6))) == []


def test_another_models_gallery_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "g").close()
    with pytest.raises(InputError, match=r"of model mmmmmmmmmmmm in 6 dimensions; this model is o"):
        Gallery(tmp_path / "g", model="other", dimension=6)
    with pytest.raises(InputError, match="in 6 dimensions; this model is mmmmmmmmmmmm in 7"):
        opened(tmp_path / "g", 7)


def test_no_galleries(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such gallery"):
        opened(tmp_path / "g", create=False)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="got a directory"):
        opened(tmp_path)
    text = tmp_path / "text"
    text.write_text("a diary, of more than a hundred bytes, that is not a database at all " * 3)
    other = sqlite3.connect(tmp_path / "other")
    with other:
        other.execute("CREATE TABLE songs (title TEXT)")
    other.close()
    (tmp_path / "empty").touch()
    for name, create in (("text", True), ("text", False), ("other", True), ("empty", False)):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError, match="gallery"):
            opened(tmp_path / name, create=create)
        assert (tmp_path / name).read_bytes() == before
    opened(tmp_path / "empty").close()  # as a process leaves it that is killed while making it


@pytest.mark.parametrize("version", range(1, database.VERSION))
def test_an_older_file_is_brought_up(tmp_path: Path, version: int) -> None:
    base = sqlite3.connect(tmp_path / "g")
    with base:
        for script in database.MIGRATIONS[:version]:
            base.executescript(script)
        base.execute("INSERT INTO gallery (one, model, dimension) VALUES (1, 'm', 2)")
        base.executemany(
            "INSERT INTO entry (embedding, camera, time_us, metadata) VALUES (?, ?, ?, '{}')",
            [(np.float32([1, n]).tobytes(), f"door {n % 2}", 10 * n) for n in range(6)],
        )
        base.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
        base.execute(f"PRAGMA user_version = {version}")
    base.close()
    with Gallery(tmp_path / "g", create=False) as gallery:
        for where, expected in (
            (Where(cameras=["door 1"]), [2, 4, 6]),
            (Where(since_us=20, until_us=40), [3, 4, 5]),
            (Where(cameras=["door 0"], since_us=40), [5]),
        ):
            (hits,) = gallery.search([[1.0, 0.0]], where=where)
            assert [hit.entry.id for hit in hits] == expected
    base = sqlite3.connect(tmp_path / "g")
    ((found,),) = base.execute("PRAGMA user_version").fetchall()
    kept = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    base.close()
    assert found == database.VERSION
    assert {"entry_camera", "entry_time", "entry_label", "entry_enrolled"} <= kept


def test_damaged_galleries(tmp_path: Path) -> None:
    with opened(tmp_path / "g") as gallery:
        gallery.enrol(people(np.eye(6)))
    whole = (tmp_path / "g").read_bytes()
    (tmp_path / "g").write_bytes(whole[: len(whole) // 2])
    with (
        pytest.raises(InputError, match="not a gallery that can be used"),
        opened(tmp_path / "g") as g,
    ):
        g.search(np.eye(6))
    for change, message in {
        "UPDATE entry SET embedding = x'00' WHERE id = 3": "entry 3 is damaged",
        "UPDATE entry SET metadata = '{' WHERE id = 3": "not a gallery that can be used",
        "PRAGMA user_version = 4": "gallery version 4",
        "DELETE FROM gallery": "0 dimensions",
    }.items():
        (tmp_path / "g").write_bytes(whole)
        base = sqlite3.connect(tmp_path / "g")
        with base:
            base.execute(change)
        base.close()
        with pytest.raises(InputError, match=message), opened(tmp_path / "g") as gallery:
            gallery.search(np.eye(6))


WRONG = {
    "another size": ({"embedding": np.ones(5)}, r"float64 \(5,\)"),
    "whole numbers": ({"embedding": np.ones(6, int)}, r"int64 \(6,\)"),
    "not a number": ({"embedding": np.full(6, np.nan)}, "not finite"),
    "past float32": ({"embedding": np.full(6, 1e200)}, "not finite"),
    "no JSON": ({"metadata": {"a": object()}}, "JSON cannot hold"),
    "NaN in JSON": ({"metadata": {"a": float("nan")}}, "JSON cannot hold"),
    "a number as label": ({"label": 7}, "another type"),
    "a time in halves": ({"time_us": 0.5}, "another type"),
    "a time past all times": ({"time_us": 2**63}, "too large"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_tracklet_is_refused_with_its_whole_batch(tmp_path: Path, case: str) -> None:
    change, message = WRONG[case]
    with opened(tmp_path / "g") as gallery:
        good = Enrolment(embedding=np.ones(6))
        with pytest.raises(InputError, match=message):
            gallery.enrol([good, Enrolment(**{"embedding": np.ones(6), **change})])
        assert len(gallery) == 0


def test_wrong_questions(tmp_path: Path) -> None:
    with opened(tmp_path / "g") as gallery:
        for queries in (np.ones(6), np.ones((1, 5)), np.ones((1, 6), int), [["a"] * 6]):
            with pytest.raises(InputError, match=r"give floats \[Q, 6\]"):
                gallery.search(queries)
        with pytest.raises(InputError, match="not finite"):
            gallery.search(np.full((1, 6), np.inf))
        with pytest.raises(InputError, match="k is 0"):
            gallery.search(np.eye(6), k=0)
        with pytest.raises(InputError, match="metric 'city block'"):
            gallery.search(np.eye(6), metric="city block")
        with pytest.raises(InputError, match=r"give cameras=\['door'\]"):
            Where(cameras="door")
    with pytest.raises(InputError, match="unknown engine"):
        opened(tmp_path / "g", engine="annoy")
    with pytest.raises(InputError, match="dimension 0"):
        opened(tmp_path / "h", 0)
