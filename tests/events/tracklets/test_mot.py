"""Track files: what is read, and every fault with its line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Track, read_mot, write_mot


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "tracks.txt"
    path.write_text(text, encoding=encoding)
    return path


def test_tracks_come_in_order_of_appearance_with_frames_from_zero(tmp_path):
    path = written(tmp_path, "3,7,1,2,3,4,1,-1,-1,-1\r\n\n1,9,0.5,0,10,20\n2, 9, 1, 1, 10, 20, 1\n")
    nine, seven = read_mot(path, frame_size=(20, 30), frame_count=3)
    assert (nine.identity, seven.identity) == (9, 7)
    np.testing.assert_array_equal(nine.indices, [0, 1])
    np.testing.assert_array_equal(nine.boxes, [[0.5, 0, 10, 20], [1, 1, 10, 20]])
    assert str(seven) == "track 7: 1 box in frames 3 to 3"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,1,0,0,5", "5 fields, not 6 to 10"),
        ("1,1,0,0,5,5,1,-1,-1,-1,-1", "11 fields"),
        ("1 1 0 0 5", "5 fields"),
        ("1,1,0,zero,5,5", "top is 'zero'"),
        ("1,1,0,nan,5,5", "top is 'nan'"),
        ("1,1,0,0,inf,5", "width is 'inf'"),
        ("1,1,0,0,5,5,sure", "field 7 is 'sure'"),
        ("1,1,,0,5,5", "left is ''"),
        ("0,1,0,0,5,5", "frame is 0"),
        ("1.5,1,0,0,5,5", "frame is 1.5"),
        ("1e300,1,0,0,5,5", "frame is 1e+300"),
        ("1,-1,0,0,5,5", "id is -1"),
        ("11,1,0,0,5,5", "frame 11 is beyond the video's 10 frames"),
        ("1,1,0,0,0,5", "no area"),
        ("1,1,0,0,5,-5", "no area"),
        ("1,1,-1,0,5,5", "outside the picture of 20x30"),
        ("1,1,0,0,20.2,5", "outside the picture"),
        ("1,1,100,100,5,5", "outside the picture"),
        ("2,4,0,0,5,5", "a second box for frame 2, id 4"),
    ],
)
def test_every_fault_is_named_with_its_line(tmp_path, line, message):
    path = written(tmp_path, f"2,4,0,0,5,5\n{line}\n")
    with pytest.raises(InputError) as caught:
        read_mot(path, frame_size=(20, 30), frame_count=10)
    assert message in str(caught.value)
    assert f"{path}, line 2" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_is_an_error(tmp_path, text):
    with pytest.raises(InputError, match="no boxes"):
        read_mot(written(tmp_path, text))


def test_what_is_no_text_or_no_file_is_an_error(tmp_path):
    path = tmp_path / "tracks.txt"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_mot(path)
    with pytest.raises(InputError, match="no such file"):
        read_mot(tmp_path / "missing.txt")
    with pytest.raises(InputError, match="got a directory"):
        read_mot(tmp_path)


def test_boxes_are_cut_only_on_request_and_counted(tmp_path):
    path = written(tmp_path, "1,1,-2,-3,10,10\n2,1,15,25,10,10\n3,1,50,50,4,4\n4,1,0,0,20,30\n")
    with pytest.raises(InputError, match="--clip-boxes"):
        read_mot(path, frame_size=(20, 30))
    (track,) = read_mot(path, frame_size=(20, 30), clip_boxes=True)
    np.testing.assert_array_equal(track.boxes, [[0, 0, 8, 7], [15, 25, 5, 5], [0, 0, 20, 30]])
    np.testing.assert_array_equal(track.indices, [0, 1, 3])
    assert track.mended == 3
    assert "3 mended" in str(track)
    with pytest.raises(InputError, match="frame_size"):
        read_mot(path, clip_boxes=True)


def test_rounding_of_a_tenth_is_no_fault(tmp_path):
    path = written(tmp_path, "1,1,10.1,0,10.0,30\n")
    (track,) = read_mot(path, frame_size=(20, 30))
    np.testing.assert_allclose(track.boxes, [[10.1, 0, 9.9, 30]])


@given(
    st.dictionaries(
        st.tuples(st.integers(1, 40), st.integers(1, 5)),
        st.tuples(*[st.integers(0, 300)] * 2, *[st.integers(1, 300)] * 2),
        min_size=1,
        max_size=30,
    )
)
@settings(deadline=None, derandomize=True, max_examples=50)
def test_what_is_written_is_read_again(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("mot") / "tracks.txt"
    tracks = []
    for identity in {key[1] for key in rows}:
        mine = {frame: box for (frame, one), box in rows.items() if one == identity}
        frames = sorted(mine)
        tracks.append(
            Track(
                identity,
                np.array(frames, dtype=np.int64) - 1,
                np.array([mine[frame] for frame in frames], dtype=np.float64),
            )
        )
    write_mot(path, tracks)
    again = {track.identity: track for track in read_mot(path)}
    assert len(again) == len(tracks)
    for track in tracks:
        np.testing.assert_array_equal(again[track.identity].indices, track.indices)
        np.testing.assert_array_equal(again[track.identity].boxes, track.boxes)


def test_runs_end_at_gaps():
    track = Track(1, np.array([3, 4, 7, 9, 10, 11]), np.ones((6, 4)))
    assert track.runs() == [slice(0, 2), slice(2, 3), slice(3, 6)]
