"""Controls of the events: what changes is said, everything else stays as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.configuration import build_data, load_configuration
from sdcl_neuro.reid.datasets.controls import KINDS, Controlled
from sdcl_neuro.reid.datasets.rendered_on_disk import RenderedOnDisk
from sdcl_neuro.reid.evaluation.signature import entry_signature

SMALL = (
    "data.generated.persons=6",
    "data.generated.train_persons=3",
    "data.generated.cameras=2",
    "data.generated.walks=1",
    "clip.frames=2",
    "clip.bins=2",
)


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("walks")


def opened(walks: Path, *overrides: str):
    configuration = load_configuration("generated-small", [*SMALL, "data.cache=w", *overrides])
    return build_data(configuration, walks), configuration.clip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["test", "all"])
def test_events_change_and_frames_do_not(walks: Path, kind: str, part: str) -> None:
    plain, clip = opened(walks)
    changed, _ = opened(walks, f"data.control.events={kind}", f"data.control.part={part}")
    assert isinstance(changed, Controlled)
    assert isinstance(changed.data, RenderedOnDisk)
    for position in (changed.train[0], changed.query[0], changed.gallery[-1]):
        right, found = plain.load(position, clip, seed=3), changed.load(position, clip, seed=3)
        assert np.array_equal(found.frames, right.frames)
        assert (found.name, found.person) == (right.name, right.person)
        own = right.spikes
        if part == "test" and position in changed.train:
            expected = own
        elif kind == "others":
            other = changed.partner(position)
            assert plain.entries[other].person != right.person
            same_part = changed.train if position in changed.train else changed.gallery
            assert other in same_part or other in changed.query
            expected = plain.load(other, clip, seed=3).spikes
        else:
            expected = {
                "late": np.concatenate([np.zeros_like(own[:2]), own[:-2]]),
                "reversed": own[::-1],
                "swapped": own[:, [1, 0]],
                "none": 0 * own,
            }[kind]
        assert np.array_equal(found.spikes, expected)
        assert own.any()


def test_others_are_chosen_once_and_are_part_of_a_caches_key(walks: Path) -> None:
    first, _ = opened(walks, "data.control.events=others")
    again, _ = opened(walks, "data.control.events=others")
    other, _ = opened(walks, "data.control.events=others", "data.control.seed=1")
    plain, _ = opened(walks)
    chosen = [[data.partner(p) for p in data.gallery] for data in (first, again, other)]
    assert chosen[0] == chosen[1] != chosen[2]
    position = first.gallery[0]
    partner = entry_signature(plain, first.partner(position))
    assert entry_signature(first, position) == [entry_signature(plain, position), partner]
    assert str(first).endswith("events of other persons in query and gallery")


def test_refusals(walks: Path) -> None:
    with pytest.raises(InputError, match="events is 'early'"):
        opened(walks, "data.control.events=early")
    plain, clip = opened(walks)
    with pytest.raises(InputError, match="use others, late"):
        Controlled(plain, "fast")
    alone, _ = opened(walks, "data.generated.persons=4", "data.control.events=others")
    with pytest.raises(InputError, match="no other person"):
        alone.load(alone.query[0], clip)
