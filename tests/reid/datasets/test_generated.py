"""The generated persons: repeatable, separable by what they should be, and not by one colour."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.datasets import (
    Clip,
    Generated,
    GeneratedConfig,
    contact_sheet,
    describe,
    labels,
    tracklets,
)
from sdcl_neuro.reid.datasets.person import make_person
from sdcl_neuro.reid.datasets.posing import pose
from sdcl_neuro.reid.metrics import distance_matrix, evaluate_ranking

CLIP = Clip(frames=2, bins=4, size=(64, 32))


@pytest.fixture(scope="module")
def small():
    return Generated(GeneratedConfig(persons=24, train_persons=0, cameras=3, walks=1))


@pytest.fixture(scope="module")
def seen(small):
    return list(tracklets(small, "gallery", CLIP))


def digest(tracklet):
    return hashlib.sha256(tracklet.frames.tobytes() + tracklet.spikes.tobytes()).hexdigest()


def test_shapes_and_labels(small, seen):
    first = seen[0]
    assert first.frames.shape == (2, 256, 128, 3)
    assert first.spikes.shape == (8, 2, 64, 32)
    assert int(first.spikes.max()) == 1
    found = labels(small, "gallery")
    assert found.persons.tolist() == [tracklet.person for tracklet in seen]
    assert found.cameras.tolist() == [tracklet.camera for tracklet in seen]
    assert len({tracklet.name for tracklet in seen}) == len(seen) == 72
    assert "gallery 72 of 24 persons, 3 cameras" in describe(small)


def test_same_numbers_same_tracklet_in_any_order(small, seen):
    again = Generated(small.config)
    for position in (50, 7):
        assert digest(again.load(position, CLIP)) == digest(seen[position])
    # A person does not depend on how many others there are.
    larger = Generated(GeneratedConfig(persons=30, train_persons=0, cameras=3, walks=1))
    assert digest(larger.load(7, CLIP)) == digest(seen[7])
    other = Generated(GeneratedConfig(persons=24, train_persons=0, cameras=3, walks=1, seed=1))
    assert digest(other.load(7, CLIP)) != digest(seen[7])


def test_a_seed_is_another_moment_of_the_walk(small, seen):
    moments = [small.load(7, CLIP, seed=seed) for seed in (0, 1, 0)]
    assert digest(moments[0]) == digest(moments[2])
    assert len({digest(seen[7]), digest(moments[0]), digest(moments[1])}) == 3
    assert {moment.person for moment in moments} == {seen[7].person}


def test_split_keeps_identities_apart():
    data = Generated(GeneratedConfig(persons=9, train_persons=4, cameras=2, walks=3))
    train, query, gallery = (labels(data, part) for part in ("train", "query", "gallery"))
    assert set(train.persons) == {1, 2, 3, 4}
    assert set(query.persons) == set(gallery.persons) == {5, 6, 7, 8, 9}
    assert (len(train.persons), len(query.persons), len(gallery.persons)) == (24, 10, 30)


def mean_ap(features, seen):
    persons = [tracklet.person for tracklet in seen]
    cameras = [tracklet.camera for tracklet in seen]
    distances = distance_matrix(features, features, metric="euclidean")
    return evaluate_ranking(distances, persons, persons, cameras, cameras).mean_ap


def test_one_colour_does_not_name_a_person_but_shape_in_events_helps(seen):
    colour = [t.frames[:, 40:230, 40:88].mean((0, 1, 2)) for t in seen]
    grids = [t.spikes.reshape(8, 2, 16, 4, 8, 4).mean((0, 1, 3, 5)) for t in seen]
    shape = [(grid + grid[:, ::-1]).ravel() for grid in grids]  # they walk both ways
    chance = mean_ap(np.random.default_rng(0).random((len(seen), 8)), seen)
    assert mean_ap(colour, seen) < chance + 0.15
    assert mean_ap(shape, seen) > chance + 0.05


def test_events_stay_near_the_person(seen):
    rate = np.mean([tracklet.spikes.mean() for tracklet in seen])
    assert 0.03 < rate < 0.3
    # The background stands still: the upper corners of the crop are silent.
    corners = np.mean([t.spikes[..., :6, :3].mean() for t in seen])
    assert corners < 0.2 * rate


def test_gait_is_periodic_and_limbs_keep_their_lengths():
    person = make_person(3, 5)
    first, later = pose(person, 0.3), pose(person, 4.3)
    for name, joint in first.joints.items():
        np.testing.assert_allclose(joint, later[name], atol=1e-9)
    for phase in np.linspace(0, 1, 7):
        now = pose(person, float(phase))
        for side in ("left", "right"):
            thigh = np.linalg.norm(now[f"hip_{side}"] - now[f"knee_{side}"])
            shank = np.linalg.norm(now[f"knee_{side}"] - now[f"ankle_{side}"])
            np.testing.assert_allclose(
                [thigh, shank], [person.body.thigh, person.body.shank], atol=1e-9
            )


def test_persons_share_colours_and_differ_in_the_whole():
    people = [make_person(0, number) for number in range(1, 41)]
    assert len({str(one.clothes) + str(one.body) for one in people}) == 40
    kinds = {(one.clothes.texture, one.clothes.lower_kind) for one in people}
    assert 8 <= len(kinds) < 40


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"persons": 0}, "persons is 0"),
        ({"persons": 4, "train_persons": 5}, "5 persons for training of 4"),
        ({"fps": float("nan")}, "fps is nan"),
    ],
)
def test_refused_configurations(wrong, message):
    with pytest.raises(InputError, match=message):
        GeneratedConfig(**wrong)


def test_refused_entry(small):
    with pytest.raises(InputError, match="entry 72 of 72"):
        small.load(72, CLIP)


def test_contact_sheet(seen):
    sheet = contact_sheet(seen[:5], 3, scale=0.25)
    assert sheet.shape == (2 * 64, 3 * 64, 3)
    assert not sheet[64:, 128:].any()
    assert sheet[:64, 32:64, 0].max() > 32
    with pytest.raises(InputError, match="0 tracklets"):
        contact_sheet([], 3)
