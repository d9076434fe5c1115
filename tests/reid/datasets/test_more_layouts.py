"""EvReID, MARS*, Event-ReId v2, DVS128 Gesture and one's own folder, against hand-made truth."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
import scipy.io

from sdcl_neuro.cli import main
from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.configuration import build_data, list_configurations, load_configuration
from sdcl_neuro.reid.datasets import Clip, labels
from sdcl_neuro.reid.datasets.checking import check_data
from sdcl_neuro.reid.datasets.event_pictures import polarity_planes
from sdcl_neuro.reid.datasets.table import KINDS, Choices, recognise

TREES = {
    "prid": "prid2011",
    "ilids": "ilidsvid",
    "mars": "mars",
    "evreid": "evreid",
    "mars_star": "mars-star",
    "event_reid_v2": "event-reid-v2",
    "gesture": "dvs-gesture",
    "own": "folder",
}


def opened(name, root, **choices):
    return KINDS[name].open_data(root, Choices(**choices))


def who(data, part):
    found = labels(data, part)
    return list(zip(found.persons.tolist(), found.cameras.tolist(), strict=True))


@pytest.mark.parametrize("tree", TREES)
def test_folders_are_recognised(tree, request):
    assert recognise(request.getfixturevalue(tree)) == TREES[tree]


def test_every_row_has_its_configuration(tmp_path):
    for name, kind in KINDS.items():
        assert kind.configuration in list_configurations()
        if kind.needs_root and kind.recogniser:
            assert not kind.recognise(tmp_path)
            assert load_configuration(kind.configuration).data.kind == name
    (tmp_path / "x").mkdir()
    with pytest.raises(InputError, match="is not recognised as a data set: it holds x"):
        recognise(tmp_path)
    with pytest.raises(InputError, match=r"did you mean evreid"):
        load_configuration("evreid", ["data.kind=evried"])


def test_evreid_counts_from_zero(evreid):
    data = opened("evreid", evreid)
    assert who(data, "train") == [(1, 1), (1, 6), (4, 2)]
    assert who(data, "query") == [(2, 1), (6, 2)]
    assert who(data, "gallery") == [(2, 5), (6, 3)]  # queries are not in it
    names = [f"0001C1T0001F{f:03d}.jpg" for f in (1, 2, 3)]
    assert data.entries[0].frames == tuple(names)
    assert data.entries[2].frames[-1] == "0004C2T0001F003.jpg"
    assert [len(entry.frames) for entry in data.entries] == [3, 2, 3, 3, 1, 2, 2]
    assert "event pictures" not in str(data).split(";")[0]
    assert "events are pictures without timestamps: one bin a frame" in str(data)
    # Of a test clip's equal parts the first frame is shown.
    tracklet = data.load(data.query[0], Clip(3, 1, (4, 2)))
    assert tracklet.indices.tolist() == [0, 1, 2]
    assert data.load(data.query[0], Clip(2, 1, (4, 2))).indices.tolist() == [0, 1]
    assert data.load(data.query[0], Clip(1, 1, (4, 2))).indices.tolist() == [0]


def test_event_pictures_have_two_polarities_and_one_bin(evreid):
    data = opened("evreid", evreid)
    tracklet = data.load(0, Clip(3, 1, (4, 2)))
    assert tracklet.spikes.shape == (3, 2, 4, 2)
    for frame in range(3):
        on = np.zeros((4, 2), np.uint8)
        off = on.copy()
        on[frame, 0], off[frame, 1] = 1, 1
        np.testing.assert_array_equal(tracklet.spikes[frame], [off, on])
    with pytest.raises(InputError, match=r"2 bins a frame of event pictures.*clip\.bins = 1"):
        data.load(0, Clip(3, 2, (4, 2)))
    with pytest.raises(InputError, match=r"clip\.bins: is 2"):
        load_configuration("evreid", ["clip.bins=2"])
    plain = np.full((8, 8, 3), 255, np.uint8)
    assert not polarity_planes(plain, (2, 2)).any()
    alone = opened("evreid", evreid, events="none")
    assert not alone.load(0, Clip(3, 4, (4, 2))).spikes.any()


def test_all_that_is_wrong_with_evreid_at_once(evreid):
    (evreid / "event" / "train" / "0001" / "0001C1T0001F002.jpg").unlink()
    (evreid / "rgb_degrade" / "test" / "0002" / "0002C1T0001F003.jpg").unlink()
    info = evreid / "rgb_degrade" / "info"
    names = (info / "train_name.txt").read_text().split()
    (info / "train_name.txt").write_text("\n".join([*names[:-1], "0009C2T0001F003.jpg"]))
    scipy.io.savemat(info / "query_IDX.mat", {"query_IDX": np.array([[1, 5]])})
    report = check_data(evreid)
    assert [fault.split(":")[0] for fault in report.faults] == [
        "query_IDX.mat",
        "event picture event/train/0001",
        "train train-00002",
        "frame rgb_degrade/test/0002",
    ]
    assert "rows outside the 5 of the test half, counted from 0" in report.faults[0]
    assert "0009C2T0001F003.jpg, not of person 4, camera 2" in report.faults[2]
    assert not report.good


def test_mars_star_counts_from_one(mars_star):
    data = opened("mars-star", mars_star)
    assert who(data, "query") == [(2, 1), (6, 2)]
    assert len(data.gallery) == 5
    assert len(opened("mars-star", mars_star, queries_in_gallery=False).gallery) == 3
    tracklet = data.load(0, Clip(4, 1, (4, 2)))
    assert tracklet.spikes.sum() == 4 * 2  # a block of each polarity in every frame
    (mars_star / "event" / "bbox_test" / "0002" / "0002C5T0001F002.jpg").unlink()
    with pytest.raises(InputError, match=r"event/bbox_test/0002: 0002C5T0001F002.jpg missing"):
        opened("mars-star", mars_star)


def test_event_reid_v2_whole_recordings(event_reid_v2):
    data = opened("event-reid-v2", event_reid_v2)
    assert {person for person, _ in who(data, "train")} == {1, 3, 4, 6}
    assert who(data, "query") == who(data, "gallery") == [(2, 1), (2, 2), (5, 1), (5, 2)]
    assert "a unit of time is taken as 100 us" in str(data)
    tracklet = data.load(0, Clip(5, 2, (16, 8)))
    assert tracklet.indices.tolist() == [3, 9, 15, 21, 27]
    # Label 3 + 7 of 30: its interval ends 4/30 s after the first event.
    assert tracklet.times_us[0] == -1 + round(4e6 / 30)
    assert tracklet.boxes[0].tolist() == [300 + 11, 200, 30, 60]
    assert tracklet.boxes[-1][0] == 300 + 91
    # The box follows the person: all events of the interval lie in it.
    events = data.reading.read
    assert events is not None
    assert tracklet.spikes.reshape(5, -1).sum(1).min() > 20
    again = pickle.loads(pickle.dumps(data)).load(0, Clip(5, 2, (16, 8)))
    np.testing.assert_array_equal(again.spikes, tracklet.spikes)


def test_event_reid_v2_published_windows(event_reid_v2):
    data = opened("event-reid-v2", event_reid_v2, protocol="windows")
    assert len(data.train) == 4 * 2 * 30
    assert [data.entries[k].name for k in data.gallery[:7]] == [
        *(f"002_c1_{5 * k:03d}" for k in range(6)),
        "002_c2_000",
    ]
    assert [data.entries[k].name for k in data.query] == [
        "002_c1_015", "002_c2_015", "005_c1_015", "005_c2_015"
    ]  # fmt: skip
    assert "the middle window of each recording asks" in str(data)
    window = data.load(data.gallery[1], Clip(1, 2, (16, 8)))
    assert window.indices.tolist() == [5]
    (event_reid_v2 / "ids.txt").write_text("5_c2_10 5\n002_c1_025.txt\n")
    configuration = load_configuration(
        "event-reid-v2", ["data.protocol=windows", "data.event_reid.query=ids.txt"]
    )
    listed = build_data(configuration, event_reid_v2)
    assert [listed.entries[k].name for k in listed.query] == ["005_c2_010", "002_c1_025"]
    (event_reid_v2 / "ids.txt").write_text("002_c1_026.txt\n")
    with pytest.raises(InputError, match=r"002_c1_026.txt is not a test window"):
        build_data(configuration, event_reid_v2)


def test_event_reid_v2_units_and_faults(event_reid_v2):
    folder = event_reid_v2 / "003" / "cam02"
    lines = (folder / "events.txt").read_text().splitlines()
    scaled = [lines[0]]
    for line in lines[1:]:
        t, *rest = line.split()
        scaled.append(" ".join([f"{int(t) / 10:.1f}", *rest]))
    (folder / "events.txt").write_text("\n".join(scaled))
    assert "taken as 100, 1000 us" in str(opened("event-reid-v2", event_reid_v2))
    (folder / "labels" / "0003.json").write_text("[[1, 2, 3], 4]")
    shutil.rmtree(event_reid_v2 / "001" / "cam01" / "labels")
    (event_reid_v2 / "004" / "cam01" / "events.txt").write_text("640 480\n0 1 1 1\n7 1 1 1\n")
    report = check_data(event_reid_v2, choices=Choices())
    assert [fault.split(":")[0] for fault in report.faults] == [
        "labels",
        "003/cam02/labels/0003.json",
        "004/cam01/events.txt",
    ]
    with pytest.raises(InputError, match="it has recordings, windows"):
        opened("event-reid-v2", event_reid_v2, protocol="strange")


def test_gestures_by_person_and_light(gesture):
    data = opened("dvs-gesture", gesture)
    assert len(data.train) == 8
    assert who(data, "query") == who(data, "gallery")
    assert who(data, "gallery")[:4] == [(24, 1), (24, 1), (24, 4), (24, 4)]
    assert data.entries[data.query[0]].name == "user24_fluorescent-0"
    tracklet = data.load(0, Clip(3, 2, (16, 8)))
    # 900 ms in intervals of 100 ms: the middle one of each third.
    assert tracklet.indices.tolist() == [1, 4, 7]
    assert np.diff(tracklet.times_us).tolist() == [300_000, 300_000]
    assert tracklet.spikes.any()
    (gesture / "ids.txt").write_text("user25_led/10\n")
    configuration = load_configuration("dvs-gesture", ["data.event_reid.query=ids.txt"])
    listed = build_data(configuration, gesture)
    assert [listed.entries[k].name for k in listed.query] == ["user25_led-10"]
    (gesture / "ibmGestureTest" / "user26_moon").mkdir()
    shutil.rmtree(gesture / "ibmGestureTrain" / "user01_led")
    (gesture / "ibmGestureTrain" / "user01_led").mkdir()
    report = check_data(gesture)
    assert report.faults == (
        "ibmGestureTrain/user01_led: no recording N.npy",
        "ibmGestureTest/user26_moon: not named userNN_LIGHT",
    )


def test_ones_own_folder(own):
    data = opened("folder", own)
    assert who(data, "train") == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert who(data, "query") == [(3, 1), (4, 1)]
    assert who(data, "gallery") == [(3, 2), (4, 2)]
    # By number, not by letter: frame8 comes before frame10.
    assert data.entries[0].frames == tuple(f"frame{k}.jpg" for k in (8, 9, 10, 11, 12, 13))
    assert "25 frames/s are assumed" in str(data)
    assert "4 persons by name" in str(data)
    assert "one event file a tracklet" in str(data)
    table = np.loadtxt(own / "events" / "train" / "anna" / "hall" / "t1.txt", dtype=int)
    tracklet = data.load(0, Clip(6, 2, (32, 16)))
    for frame in range(6):
        for k in range(2):
            low, high = 40_000 * frame - 40_000 + 20_000 * k, 40_000 * frame - 20_000 + 20_000 * k
            inside = table[(table[:, 0] > low) & (table[:, 0] <= high)]
            expected = np.zeros((2, 32, 16), np.uint8)
            expected[inside[:, 3], inside[:, 2], inside[:, 1]] = 1
            np.testing.assert_array_equal(tracklet.spikes[2 * frame + k], expected)


def test_clocks_and_forms_of_ones_own_events(own, make):
    path = own / "events" / "train" / "anna" / "hall" / "t1.txt"
    table = np.loadtxt(path, dtype=int)
    table[:, 0] += 1_700_000_000_000_000
    np.savetxt(path, table, fmt="%d")
    clip = Clip(6, 2, (32, 16))
    with pytest.raises(InputError, match=r"but 6 frames at 25/s last to 200000 us.*clock = .first"):
        opened("folder", own).load(0, clip)
    configuration = load_configuration("folder", ["data.folder.clock=first", "data.folder.fps=25"])
    assert build_data(configuration, own).load(0, clip).spikes.any()
    # One file a frame, and none for the first.
    for parent in sorted((own / "events").rglob("t1.txt")):
        folder = parent.with_suffix("")
        folder.mkdir()
        parent.unlink()
        for k in range(5):
            make.write_events(folder / f"{k}.mat", k)
    data = opened("folder", own)
    assert "one event file a frame" in str(data)
    tracklet = data.load(0, clip)
    assert not tracklet.spikes[:2].any()
    assert tracklet.spikes[2:].reshape(5, -1).any(1).all()
    (own / "events" / "query" / "cleo" / "hall" / "t1" / "2.mat").unlink()
    with pytest.raises(InputError, match="6 frames with 4 event files"):
        opened("folder", own)
    shutil.rmtree(own / "events")
    assert "no events for the frames" in str(opened("folder", own))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("0007C3T0002F001.jpg", (7, 3, 2)),
        ("0007_c3s2_000151_01.jpg", (7, 3, 2)),
        ("0007_c3_f0151.jpg", (7, 3, 2)),
        ("-1_c3s2_000151_01.jpg", None),
    ],
)
def test_flat_names(tmp_path, make, name, expected):
    for part in ("bounding_box_train", "query", "bounding_box_test"):
        make.write_picture(tmp_path / part / name, 1)
        make.write_picture(tmp_path / part / "0009C1T0001F001.jpg", 2)
    data = opened("folder", tmp_path)
    persons = {person for person, _ in who(data, "gallery")}
    assert persons == ({9} if expected is None else {7, 9})
    if expected is None:
        assert "3 tracklets of person -1 (junk) were left out" in str(data)


def test_names_that_say_too_little_are_all_named(tmp_path, make):
    for part in ("train", "query", "gallery"):
        make.write_picture(tmp_path / part / "someone.jpg", 1)
    report = check_data(tmp_path)
    assert len(report.faults) == 6
    assert "neither PERSON/CAMERA/TRACKLET/FRAME nor a flat name" in report.faults[0]


def test_data_check_on_the_command_line(evreid, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["data", "check", str(evreid), "--json", str(out)]) == 1
    said = capsys.readouterr().out
    assert "published     1,200   differs" in said
    assert "no faults" in said
    assert main(["check", str(out)]) == 0
    capsys.readouterr()
    found = json.loads(out.read_text())
    assert found["kind"] == "evreid"
    assert found["counts"] == {
        "persons": 4, "cameras": 5, "tracklets": 7, "frames": 16, "train tracklets": 3,
        "train persons": 2, "query tracklets": 2, "query persons": 2, "gallery tracklets": 2,
        "gallery persons": 2,
    }  # fmt: skip
    assert main(["data", "check", str(evreid), "--subset", "--read", "--quiet"]) == 0
    assert "7 tracklets were read" in capsys.readouterr().out
    (evreid / "event" / "train" / "0001" / "0001C1T0001F002.jpg").write_bytes(b"no picture")
    (evreid / "rgb_degrade" / "test" / "0006" / "0006C3T0001F001.jpg").write_bytes(b"")
    assert main(["data", "check", str(evreid), "--subset"]) == 0
    capsys.readouterr()
    assert main(["data", "check", str(evreid), "--subset", "--read"]) == 1
    said = capsys.readouterr().out
    assert "2 faults" in said
    assert main(["data", "check", str(tmp_path / "none")]) == 2
