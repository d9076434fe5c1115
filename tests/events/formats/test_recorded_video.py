"""An event recording with frames is a video, on the clock of its own events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import holds_both, read_events
from sdcl_neuro.events.alignment import Alignment
from sdcl_neuro.events.options import ReadingOptions
from sdcl_neuro.events.tracklets import Video, open_video
from sdcl_neuro.events.tracklets.event_source import RecordedEvents
from sdcl_neuro.reid.pipeline.live_source import LiveSource
from sdcl_neuro.reid.pipeline.video import Source

BASE = 1_700_000_000_000_000
SIZE = (64, 48)


def write(
    path: Path, aedat4: Any, *, exposure_us: int = 8000, cameras: tuple[str, ...] = ("D",)
) -> None:
    streams, packets = [], []
    for c, camera in enumerate(cameras):
        streams += [("EVTS", "events", camera, *SIZE), ("FRME", "frames", camera, *SIZE)]
        for k in range(5):
            picture = np.full(SIZE[::-1], 10 * k + c, np.uint8)
            # Frames are not evenly spaced: the exposure grew.
            packets.append((2 * c + 1, aedat4.frame(BASE + 40_000 * k + 1000 * k * k, picture,
                                                    exposure_us=exposure_us)))  # fmt: skip
            rows = [(BASE + 40_000 * k + 1000 * j, j, k, j & 1) for j in range(40)]
            packets.append((2 * c, aedat4.vector(rows, b"EVTS")))
    aedat4.write_aedat4(path, streams, packets, closed=True)


def test_times_are_the_middles_of_the_exposures(tmp_path: Path, aedat4: Any) -> None:
    path = tmp_path / "a.aedat4"
    write(path, aedat4)
    video = Video(path)
    expected = [BASE + 4000 + 40_000 * k + 1000 * k * k for k in range(5)]
    assert video.times_us.tolist() == [t for _, t, _ in video] == expected
    assert (video.size, video.count, video.middles) == (SIZE, 5, True)
    assert [int(frame[0, 0, 0]) for _, _, frame in video] == [0, 10, 20, 30, 40]
    with pytest.raises(InputError, match=r"says when each exposure began.*leave --stamp out"):
        open_video(path, Alignment(stamp="end", exposure_us=8000))
    write(path, aedat4, exposure_us=0)
    video = Video(path)
    assert video.times_us.tolist() == [t - 4000 for t in expected]
    assert not video.middles
    shifted = open_video(path, Alignment(stamp="start", exposure_us=6000))
    assert shifted.times_us.tolist() == [t - 1000 for t in expected]


def test_its_own_events_need_no_offset(tmp_path: Path, aedat4: Any) -> None:
    path = tmp_path / "a.aedat4"
    write(path, aedat4)
    video, events = Video(path), read_events(path)
    source = RecordedEvents(video, events)
    assert source.fitted.shift_us == 0
    times = video.times_us.tolist()
    for k in range(1, 5):
        found = source.interval(times[k - 1], times[k], np.zeros((48, 64, 3), np.uint8))
        inside = (events.array["t"] > times[k - 1]) & (events.array["t"] <= times[k])
        np.testing.assert_array_equal(found.array, events.array[inside])
        assert len(found)


def test_one_file_is_enough_for_infer_and_live(tmp_path: Path, aedat4: Any) -> None:
    path = tmp_path / "a.aedat4"
    write(path, aedat4)
    assert holds_both(path)
    assert Source(path, tmp_path / "t.txt").events == path
    assert LiveSource(str(path), "t.txt").events == str(path)
    other = tmp_path / "b.npz"
    assert Source(path, tmp_path / "t.txt", events=other).events == other
    assert Source(tmp_path / "c.mp4", tmp_path / "t.txt").events is None
    aedat4.write_aedat4(path, [("FRME", "frames", "D", *SIZE)],
                        [(0, aedat4.frame(5, np.zeros((48, 64), np.uint8)))])  # fmt: skip
    assert not holds_both(path)
    assert Source(path, tmp_path / "t.txt").events is None


def test_a_camera_is_chosen_for_both(tmp_path: Path, aedat4: Any) -> None:
    path = tmp_path / "a.aedat4"
    write(path, aedat4, cameras=("L", "R"))
    with pytest.raises(InputError, match=r"2 streams of frames.*--stream"):
        Video(path)
    video = open_video(path, Alignment(), ReadingOptions(stream="R"))
    assert int(next(iter(video))[2][0, 0, 0]) == 1
