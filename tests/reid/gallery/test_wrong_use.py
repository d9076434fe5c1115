"""Wrong arguments to a gallery's methods, and a gallery that is closed, are our errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sdcl_neuro.errors import InputError
from sdcl_neuro.reid import Enrolment, Gallery

WRONG: dict[str, tuple[Callable[[Any], object], str]] = {
    "embeddings, not tracklets": (
        lambda g: g.enrol(np.eye(4)),
        "tracklet 0 to enrol: expected an Enrolment, got a ndarray",
    ),
    "one tracklet": (lambda g: g.enrol(Enrolment(embedding=np.eye(4)[0])), "Gallery.enrol: "),
    "a number of hits as text": (lambda g: g.search(np.eye(4), k="3"), "k is '3'"),
    "a condition as text": (lambda g: g.entries("a"), "Gallery.entries: expected a Where as where"),
    "one id": (lambda g: g.embeddings(1), "expected ids of entries, got an int; give a list"),
    "ids as texts": (lambda g: g.remove(["a"]), "expected ids of entries, got 'a' among them"),
    "a label as a number": (lambda g: g.relabel([1], 3), "expected a label, got an int"),
    "a person as a number": (lambda g: g.ids_of(3), "expected a person, got an int; give a label"),
    "an age as a number": (lambda g: g.forget(older_than=3), "expected a time span, got an int"),
    "unknown keyword": (lambda g: g.forget(persons="a"), "did you mean person?"),
    "k by position": (lambda g: g.search(np.eye(4), 3), "Gallery.search: takes one argument"),
}


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery(tmp_path / "g", model="m" * 64, dimension=4) as opened:
        opened.enrol([Enrolment(embedding=row, label="a") for row in np.eye(4)])
        yield opened


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_answered(gallery: Gallery, name: str) -> None:
    call, expected = WRONG[name]
    with pytest.raises(InputError, match=expected) as caught:
        call(gallery)
    assert "\n" not in str(caught.value)


def test_embeddings_that_take_part_in_training_are_taken(gallery: Gallery) -> None:
    row = torch.eye(4, requires_grad=True)[2]
    gallery.enrol([Enrolment(embedding=row, label="b")])
    (hits,) = gallery.search(row[None], k=1)
    assert hits[0].distance == pytest.approx(0, abs=1e-6)


def test_an_address_is_a_text_or_a_path() -> None:
    with pytest.raises(InputError, match="Gallery: expected a path, got an int"):
        Gallery(3)  # type: ignore[arg-type]


def test_a_retention_is_a_time_span(gallery: Gallery) -> None:
    with pytest.raises(InputError, match=r"give a datetime.timedelta\(days=30\)"):
        gallery.retention = 30  # type: ignore[assignment]
    gallery.retention = timedelta(days=30)
    assert gallery.retention == timedelta(days=30)


def test_numbers_of_numpy_are_taken(gallery: Gallery) -> None:
    (hits,) = gallery.search(np.eye(4)[:1], k=np.int64(2))
    assert len(hits) == 2
    done = gallery.enrol([Enrolment(embedding=np.eye(4)[0], time_us=np.int64(3))])
    assert gallery.entries()[-1].time_us == 3
    assert gallery.remove(np.array(done.ids)) == 1  # type: ignore[arg-type]


def test_a_closed_gallery_says_so(gallery: Gallery) -> None:
    gallery.close()
    gallery.close()
    assert "closed" in str(gallery)
    with pytest.raises(InputError, match="the gallery is closed; open it again"):
        gallery.search(np.eye(4))
