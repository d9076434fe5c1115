"""Track files of MOTChallenge, BoxMOT, trackers and py-motmetrics, by the formats' definitions."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import read_tracks

# Layout: (a row of a person, what it is read as). Frame 3, track 7, a box of 20 x 40 at 10, 30.
LAYOUTS = {
    "MOT15 results": "3,7,10,30,20,40,0.83,-1,-1,-1",
    "MOT15 ground truth": "3,7,10,30,20,40,1,-4.25,3.5,0",
    "MOT17 ground truth": "3,7,10,30,20,40,1,1,0.86",
    "BoxMOT": "3,7,10,30,20,40,1,1,0.91",
    "py-motmetrics mot16": "3 7 10 30 20 40 1 1 0.5 -1",
    "trackers": "3,7,10.0,30.0,20.0,40.0,0.9,-1,-1,-1",
    "tabs": "3\t7\t10\t30\t20\t40\t1\t-1\t-1\t-1",
    "vatic": '6 10 30 30 70 2 0 0 0 "Person"',
    "six fields": "3, 7, 10, 30, 20, 40,",
    "semicolons": "3;7;10;30;20;40;1;-1;-1;-1",
    "VisDrone": "3,7,10,30,20,40,1,2,0,1",
    "names and a remark": "frame,id,x,y,w,h\n# by hand\n3,7,10,30,20,40",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_person_of_every_layout(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "tracks.txt"
    path.write_text(LAYOUTS[layout] + "\n")
    found = read_tracks(path)
    (track,) = found.tracks
    assert (track.identity, track.indices.tolist()) == (7, [2])
    assert track.box(2) == (10, 30, 20, 40)
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("1,9,1,1,5,9,0,1,0.5", "not to be considered (7th field 0)"),
        ("1,9,1,1,5,9,1,3,1", "of class 3, car"),
        ("1,9,1,1,5,9,1,7,1", "of class 7, static person"),
        ("1,9,1,1,5,9,1,12,1", "of class 12, reflection"),
        ("1,9,1,1,5,9,1,80,0.7", "of class 80, not a pedestrian"),
        ("1,9,1,1,5,9,0,-1,-1,-1", "not to be considered"),
        ("1,9,1,1,5,9,1,4,0,2", "of class 4, car"),
        ("1,9,1,1,5,9,0,0,0,0", "not to be considered"),
        ('8 1 1 6 10 0 1 0 0 "Person"', "of a lost object"),
        ('8 1 1 6 10 0 0 0 0 "Car"', "of class Car"),
    ],
)
def test_rows_that_are_left_out_are_counted_and_named(tmp_path: Path, row: str, why: str) -> None:
    path = tmp_path / "gt.txt"
    person = '0 10 30 30 70 2 0 0 0 "Person"' if '"' in row else "3,7,10,30,20,40,1,1,0.86"
    if row.count(",") == 9 and "-1" not in row:
        person = "3,7,10,30,20,40,1,1,0,0"
    path.write_text(f"{person}\n{row}\n{row}\n")
    found = read_tracks(path)
    assert len(found.tracks) == 1
    (line,) = found.left_out
    assert line.startswith("2 rows ")
    assert why in line
    assert "(track 9)" in line
    path.write_text(f"{row}\n")
    with pytest.raises(InputError, match="no boxes of persons in it; 1 row"):
        read_tracks(path)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("1,-1,1,1,5,9,0.4,-1,-1,-1", "detections, not tracks"),
        ('1 2 3 "Person"', "not a VATIC row"),
        ("1,2,3,4,5", "5 fields, not 6 to 10"),
        ("1,2,3,4,0,9", "no area"),
    ],
)
def test_rows_that_are_no_tracks(tmp_path: Path, row: str, told: str) -> None:
    path = tmp_path / "det.txt"
    path.write_text(row + "\n")
    with pytest.raises(InputError, match=told):
        read_tracks(path)
