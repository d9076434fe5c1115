"""Event-ReId's windows: the real ones, made-up lists, and folds that keep persons apart."""

from __future__ import annotations

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.datasets import Clip, labels, leave_persons_out, read_event_reid, tracklets
from sdcl_neuro.reid.datasets.event_reid import person_box, read_window

CLIP = Clip(frames=2, bins=3, size=(64, 32))


@pytest.fixture(scope="module")
def real(shared_data):
    return read_event_reid(shared_data / "event_reid_train")


def test_real_windows(real):
    found = labels(real, "train")
    assert len(real.entries) == 30
    assert sorted(set(found.persons.tolist())) == list(range(1, 11))
    assert set(found.cameras.tolist()) == {1, 2, 3, 4}
    for tracklet in tracklets(real, "train", CLIP):
        assert tracklet.spikes.shape == (6, 2, 64, 32)
        assert tracklet.spikes.any()
        assert not tracklet.frames.any()
        # 33.3 ms, in microseconds, however the file counts them.
        assert 16_000 < int(np.diff(tracklet.times_us)[0]) < 17_000


def test_box_holds_nearly_all_events_and_has_a_crops_proportions(real):
    for entry in real.entries:
        events = read_window(entry.path)
        box = person_box(events)
        assert box[3] == pytest.approx(2 * box[2])
        assert len(events.crop(box, (64, 32))) >= 0.95 * len(events)


def test_real_list_of_the_data_set(shared_data, real):
    root = shared_data / "event_reid_train"
    listed = read_event_reid(root, query=root / "train_list.txt", gallery=root / "train_list.txt")
    assert [one.path for one in listed.entries] == [one.path for one in real.entries]
    assert listed.query == listed.gallery == tuple(range(30))
    assert listed.train == ()


def test_folds_leave_persons_out(real):
    folds = leave_persons_out(real, folds=5, seed=2)
    assert folds == leave_persons_out(real, folds=5, seed=2)
    tested: list[int] = []
    for fold in folds:
        train, test = labels(fold, "train"), labels(fold, "query")
        assert not set(train.persons) & set(test.persons)
        assert len(train.persons) + len(test.persons) == 30
        assert fold.query == fold.gallery
        tested += sorted(set(test.persons.tolist()))
    assert sorted(tested) == list(range(1, 11))
    with pytest.raises(InputError, match="11 folds of 10 persons"):
        leave_persons_out(real, folds=11)


def test_lists_are_checked_all_at_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "001_c1_000.txt").write_text("1 3 4 1\n")
    (tmp_path / "query.txt").write_text("a/001_c1_000.txt 2\na/001_c1_001.txt 1\nother.txt 1\n")
    with pytest.raises(InputError) as caught:
        read_event_reid(tmp_path, query=tmp_path / "query.txt", gallery=tmp_path / "none.txt")
    message = str(caught.value)
    for part in (
        "4 faults",
        "query.txt line 1: a/001_c1_000.txt is not of person 2",
        "a/001_c1_001.txt missing",
        "other.txt: not named PERSON_cCAMERA_WINDOW.txt",
        "none.txt: no such file",
    ):
        assert part in message


def test_a_window_of_one_event_and_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="no windows named"):
        read_event_reid(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read_event_reid(tmp_path / "none")
    (tmp_path / "001_c1_000.txt").write_text("7.5 300 200 1\n")
    tracklet = read_event_reid(tmp_path).load(0, CLIP)
    assert int(tracklet.spikes.sum()) == 1
