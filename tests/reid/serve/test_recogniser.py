"""Whom visits count to, decided without a camera: who shared a picture is never one person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.reid.gallery import Gallery
from sdcl_neuro.reid.serve.recogniser import Recogniser
from sdcl_neuro.reid.serve.settings import GalleryPlan
from sdcl_neuro.reid.serve.visits import Sighting

THRESHOLD = 0.9


@pytest.fixture
def recogniser(tmp_path: Path) -> Iterator[Recogniser]:
    address = str(tmp_path / "people.gallery")
    with Gallery(address, model="m", dimension=4) as gallery:
        found = Recogniser(GalleryPlan(address, enrol=True), threshold=THRESHOLD, backend="integer")
        found.open(gallery)
        yield found


def sighting(visit: str, axis: int, frame: int, *, together: set[str] | None = None) -> Sighting:
    """Return a tracklet that looks like all others of its axis."""
    camera, track = visit.split("/")
    return Sighting(
        visit=visit,
        camera=camera,
        track=int(track),
        time_us=frame,
        first_frame=frame,
        last_frame=frame + 1,
        embedding=np.eye(4, dtype=np.float32)[axis],
        picture=b"",
        together=frozenset(together or ()),
        latency_s=0.0,
    )


def test_two_visits_that_look_alike_are_one_person(recogniser: Recogniser) -> None:
    recogniser.see([sighting("door/1", 0, 1)])
    recogniser.see([sighting("hall/2", 0, 5)])
    assert recogniser.visits["hall/2"].person == "door/1"
    assert set(recogniser.people.persons()) == {"door/1"}


@pytest.mark.parametrize("told_by", ["the one who stays", "the one who leaves"])
@pytest.mark.parametrize("batched", [True, False])
def test_who_shared_a_picture_stays_another_person_after_one_has_left(
    recogniser: Recogniser, told_by: str, batched: bool
) -> None:
    stays, leaves = {"door/2"}, {"door/1"}
    seen = [
        sighting("door/1", 0, 1, together=stays if told_by == "the one who leaves" else None),
        sighting("door/2", 0, 2, together=leaves if told_by == "the one who stays" else None),
    ]
    for taken in [seen] if batched else [[one] for one in seen]:
        recogniser.see(taken)
    for frame in range(5, 25, 2):  # alone now, and alike
        recogniser.see([sighting("door/2", 0, frame)])
        assert recogniser.visits["door/2"].person is None
    assert set(recogniser.people.persons()) == {"door/1", "door/2"}
    recogniser.see([sighting("hall/3", 0, 30)])  # another visit may be either of them
    assert recogniser.visits["hall/3"].person in {"door/1", "door/2"}
