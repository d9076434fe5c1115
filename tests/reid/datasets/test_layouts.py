"""The published layouts: real splits and tables, made-up trees, and one list of what is wrong."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
import scipy.io

from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.datasets import (
    Clip,
    EventFiles,
    describe,
    labels,
    pick_frames,
    read_ilidsvid,
    read_mars,
    read_mars_tables,
    read_prid2011,
    tracklets,
)
from sdcl_neuro.reid.datasets import mars as mars_layout
from sdcl_neuro.reid.datasets.splits import read_prid_splits

CLIP = Clip(frames=3, bins=2, size=(32, 16))


def test_real_prid_splits(shared_data):
    splits = read_prid_splits(shared_data / "splits" / "splits_prid2011.json")
    assert len(splits) == 10
    everyone = {name for split in splits for name in split.train + split.test}
    assert len(everyone) == 178
    for split in splits:
        assert len(split.train) == len(split.test) == 89
        assert not set(split.train) & set(split.test)


def test_real_prid_splits_on_a_made_up_tree(shared_data, tmp_path, make):
    path = shared_data / "splits" / "splits_prid2011.json"
    split = read_prid_splits(path)[0]
    make.write_picture(tmp_path / "one.png", 0)
    for name in split.train + split.test:
        for camera in ("cam_a", "cam_b"):
            folder = tmp_path / "multi_shot" / camera / name
            folder.mkdir(parents=True)
            (folder / "0001.png").hardlink_to(tmp_path / "one.png")
    for number in range(10):
        data = read_prid2011(tmp_path, split=number, splits=path, events=None)
        assert (len(data.train), len(data.query), len(data.gallery)) == (178, 89, 89)


def test_real_mars_tables(shared_data):
    tables = read_mars_tables(shared_data / "splits" / "mars_info")
    assert (tables.train.shape, tables.test.shape) == ((8298, 4), (12180, 4))
    assert len(tables.query) == 1980
    # Counting from 0: every query is a person, and none of them asks twice.
    assert int(tables.test[tables.query, 2].min()) > 0
    pairs = tables.test[tables.query][:, 2:]
    assert len(np.unique(pairs, axis=0)) == 1980
    text = "train 8,298 tracklets of 625 persons, test 12,180 of 634, 1,980 queries"
    assert str(tables) == text


@pytest.fixture
def real_mars(shared_data, tmp_path, monkeypatch):
    """The real tables with name lists made up from them, and folders that list all names."""
    info = tmp_path / "info"
    shutil.copytree(shared_data / "splits" / "mars_info", info)
    tables, folders = read_mars_tables(info), {}
    for half, table in (("train", tables.train), ("test", tables.test)):
        lines = []
        for row, (first, last, person, camera) in enumerate(table.tolist()):
            folder = "00-1" if person == -1 else f"{person:04d}"
            stem = f"{folder}C{camera}T{row % 10000:04d}"
            names = [f"{stem}F{k:03d}.jpg" for k in range(1, last - first + 2)]
            folders.setdefault((f"bbox_{half}", folder), []).extend(names)
            lines += names
        (info / f"{half}_name.txt").write_text("\n".join(lines))
    monkeypatch.setattr(
        mars_layout, "names_in", lambda path, _: folders[(path.parent.name, path.name)]
    )
    return tmp_path


@pytest.mark.parametrize(("queries", "gallery"), [(True, 11_310), (False, 9_330)])
def test_real_mars_tables_make_the_published_counts(real_mars, queries, gallery):
    data = read_mars(real_mars, queries_in_gallery=queries)
    assert (len(data.train), len(data.query), len(data.gallery)) == (8298, 1980, gallery)
    assert sum(len(data.entries[k].frames) for k in data.train) == 509_914
    assert int((labels(data, "gallery").persons == 0).sum()) == 3248


def test_prid(prid, make):
    data = read_prid2011(prid)
    assert labels(data, "train").persons.tolist() == [1, 1, 3, 3]
    assert labels(data, "query").persons.tolist() == [7, 9]
    assert labels(data, "query").cameras.tolist() == [0, 0]
    assert labels(data, "gallery").cameras.tolist() == [1, 1]
    assert labels(read_prid2011(prid, split=1), "train").persons.tolist() == [3, 3, 7, 7]
    tracklet = data.load(0, CLIP)
    assert tracklet.indices.tolist() == [0, 2, 4]
    assert tracklet.times_us.tolist() == [0, 80_000, 160_000]
    assert tracklet.spikes[:2].sum() == 0  # nothing came before the first frame
    assert tracklet.spikes[2:4].sum() > 0
    small = tracklet.frames[0, 4::8, 4::8].astype(int)
    assert np.abs(small - make.picture(0)).mean() < 30
    assert "train 4 of 2 persons, 2 cameras" in str(data)


def test_event_files_bin_as_their_own_interval(prid, make):
    folder = prid / "prid_event_divide" / "multi_shot" / "cam_a" / "person_0001"
    # Coordinates from 1; times of any unit; 0.25 of the span is in the first of two bins.
    make.write_mat(folder / "0004.mat", [1, 16, 2], [1, 32, 5], [1000, 1025, 1100], [1, -1, 1])
    spikes = read_prid2011(prid).load(0, CLIP).spikes[4:6]
    found = {tuple(int(k) for k in where) for where in np.argwhere(spikes)}
    assert found == {(0, 1, 0, 0), (0, 0, 31, 15), (1, 1, 4, 1)}


def test_event_files_of_another_sensor_unit_and_order(prid, make):
    folder = prid / "prid_event_divide" / "multi_shot" / "cam_a" / "person_0001"
    make.write_mat(folder / "0004.mat", [64, 1], [128, 1], [0.5, 0.25], [1, 0])
    with pytest.raises(InputError, match=r"0004.mat: event 0 has t = 0.5"):
        read_prid2011(prid).load(0, CLIP)
    for number in (1, 2, 3):
        (folder / f"000{number}.mat").unlink()
        make.write_events(folder / f"000{number}.mat", number)
    how = EventFiles(sensor=(64, 128), time_unit_us=1e6, mend=("sort",))
    spikes = read_prid2011(prid, event_files=how).load(0, CLIP).spikes[4:6]
    assert {tuple(map(int, where)) for where in np.argwhere(spikes)} == {
        (0, 0, 0, 0),
        (1, 1, 31, 15),
    }


def test_ilids(ilids):
    data = read_ilidsvid(ilids)
    assert labels(data, "train").persons.tolist() == [2, 2, 8, 8]
    assert labels(data, "query").persons.tolist() == [1, 5]
    assert labels(read_ilidsvid(ilids, split=1), "gallery").persons.tolist() == [2, 8]
    for part in ("train", "query", "gallery"):
        assert all(t.spikes.any() for t in tracklets(data, part, CLIP, seed=3))


def test_mars(mars):
    data = read_mars(mars, events=mars / "ev")
    assert labels(data, "train").persons.tolist() == [1, 1, 4, 4]
    assert labels(data, "query").persons.tolist() == [2, 6]
    assert labels(data, "gallery").persons.tolist() == [0, 2, 2, 6, 6]
    rest = read_mars(mars, queries_in_gallery=False)
    assert labels(rest, "gallery").persons.tolist() == [0, 2, 6]
    assert not rest.load(0, CLIP).spikes.any()
    assert data.load(0, CLIP).spikes[:2].any()  # as many files as frames: the first has its own
    assert "gallery 5 of 2 persons" in describe(data)


def test_seeds_pick_within_chunks():
    assert pick_frames(16, 8).tolist() == [1, 3, 5, 7, 9, 11, 13, 15]
    assert pick_frames(3, 8).tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    drawn = np.stack([pick_frames(80, 8, seed=seed) for seed in range(200)])
    assert (drawn // 10 == np.arange(8)).all()
    assert len(np.unique(drawn)) == 80
    assert pick_frames(80, 8, seed=5).tolist() == pick_frames(80, 8, seed=5).tolist()


@pytest.mark.parametrize("count", range(8, 34))
def test_no_frame_is_drawn_twice_where_there_are_enough(count):
    drawn = np.stack([pick_frames(count, 8, seed=seed) for seed in range(200)])
    assert (np.diff(drawn, axis=1) > 0).all()
    assert len(np.unique(drawn)) == count  # and each can be drawn
    for pick in ("middle", "first"):
        assert (np.diff(pick_frames(count, 8, pick=pick)) > 0).all()


def test_prid_lists_everything_that_is_wrong_at_once(prid):
    frames, events = prid / "prid_2011", prid / "prid_event_divide"
    (events / "multi_shot/cam_a/person_0003/0002.mat").unlink()
    (events / "multi_shot/cam_a/person_0003/0003.mat").unlink()
    for path in (frames / "multi_shot/cam_b/person_0009").iterdir():
        path.unlink()
    with pytest.raises(InputError) as caught:
        read_prid2011(prid)
    message = str(caught.value)
    assert "2 faults" in message
    assert "cam_a/person_0003: 5 frames with 2 event files" in message
    assert "cam_b/person_0009: no frames" in message
    assert "\n" not in message


def test_missing_folders_and_files_are_named(tmp_path, prid):
    with pytest.raises(InputError, match=r"2 faults: frames: no folder .* \| events: no folder"):
        read_prid2011(tmp_path / "nothing")
    with pytest.raises(InputError, match="split 2 of 2"):
        read_prid2011(prid, split=2)
    (prid / "splits_prid2011.json").unlink()
    with pytest.raises(InputError, match="splits: no file"):
        read_prid2011(prid)


def test_the_list_is_bounded(mars):
    path = mars / "info" / "tracks_train_info.mat"
    rows = np.array([[k, k + 99, 1, 1] for k in range(1, 5000)])
    scipy.io.savemat(path, {"track_train_info": rows})
    with pytest.raises(InputError, match="4,999 faults") as caught:
        read_mars(mars)
    assert len(str(caught.value)) < 3500
    assert re.search(r"and 4,987 more; complete the folder", str(caught.value))


def test_mars_faults(mars):
    (mars / "bbox_test" / "0002" / "0002C1T0001F002.jpg").unlink()
    (mars / "bbox_test" / "0002" / "0002C1T0001F003.jpg").unlink()
    (mars / "ev" / "bbox_train" / "0004" / "0004C6T0001F001.mat").unlink()
    (mars / "ev" / "bbox_train" / "0004" / "0004C6T0001F002.mat").unlink()
    names = (mars / "info" / "test_name.txt").read_text().replace("0006C2", "0006C4")
    (mars / "info" / "test_name.txt").write_text(names)
    with pytest.raises(InputError) as caught:
        read_mars(mars, events=mars / "ev")
    message = str(caught.value)
    assert "bbox_test/0002: 0002C1T0001F002.jpg and 1 more missing" in message
    assert "bbox_train/0004/0004C6T0001: 4 frames with 2 event files" in message
    assert "frame 0006C4T0001F001.jpg, not of person 6, camera 2" in message


def test_mars_tables_that_are_none(mars):
    scipy.io.savemat(mars / "info" / "query_IDX.mat", {"query_IDX": np.array([[7]])})
    with pytest.raises(InputError, match="rows outside the 6"):
        read_mars(mars)
    (mars / "info" / "query_IDX.mat").write_bytes(b"no table")
    (mars / "info" / "tracks_test_info.mat").unlink()
    with pytest.raises(InputError, match=r"2 faults: tracks_test_info.mat: no such file \| query_"):
        read_mars(mars)


def test_ilids_split_that_does_not_fit(ilids):
    path = ilids / "train-test people splits" / "train_test_splits_ilidsvid.mat"
    scipy.io.savemat(path, {"ls_set": np.arange(1, 301).reshape(1, 300)})
    with pytest.raises(InputError, match="does not order the 4 persons"):
        read_ilidsvid(ilids)
    for path in (ilids / "i-LIDS-VID/sequences/cam2/person008").iterdir():
        path.unlink()
    (ilids / "i-LIDS-VID/sequences/cam2/person008").rmdir()
    with pytest.raises(InputError, match="cam2: person008 missing"):
        read_ilidsvid(ilids)


@pytest.mark.parametrize("content", ["{}x", "[1]", '[{"train": ["a"], "test": []}]', "[{}]"])
def test_split_files_that_are_none(tmp_path, content):
    path = tmp_path / "splits.json"
    path.write_text(content)
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_prid_splits(path)


def test_damaged_pictures_are_named(prid):
    path = prid / "prid_2011/multi_shot/cam_a/person_0001/0003.png"
    path.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"0003.png: is not a picture"):
        read_prid2011(prid).load(0, CLIP)
    path.unlink()
    data = read_prid2011(prid, events=None)
    (prid / "prid_2011/multi_shot/cam_a/person_0001/0001.png").unlink()
    with pytest.raises(InputError, match=r"0001\.png: no such file|cannot be read"):
        data.load(0, CLIP)
