"""Videos: colours, times, and files that are none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro import demo
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Video


def test_frames_are_rgb_with_times_of_the_container(film, pictures):
    video = Video(film)
    assert (video.size, video.fps, video.count) == ((320, 288), 10.0, 14)
    seen = list(video)
    assert [index for index, _, _ in seen] == list(range(14))
    assert [time for _, time, _ in seen] == [100_000 * k for k in range(14)]
    difference = np.abs(np.stack([frame for _, _, frame in seen]).astype(int) - pictures)
    # The codec may store luma and chroma: a step of rounding, never exchanged channels.
    assert difference.mean() < 2
    assert str(video) == "film.avi: 14 frames, 320x288, 10 frames/s"


def test_it_can_be_read_twice_and_another_rate_be_told(film):
    video = Video(film, fps=30)
    times = [time for _, time, _ in video]
    assert times == [time for _, time, _ in video]
    assert times[:4] == [0, 33333, 66667, 100000]
    with pytest.raises(InputError, match="frames a second"):
        Video(film, fps=float("nan"))


def test_files_that_are_no_video(tmp_path, film):
    with pytest.raises(InputError, match="no such file"):
        Video(tmp_path / "missing.mp4")
    with pytest.raises(InputError, match="a folder without pictures"):
        Video(tmp_path)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(InputError, match="is empty"):
        Video(empty)
    text = tmp_path / "text.mp4"
    text.write_text("not a film\n" * 50)
    with pytest.raises(InputError, match=r"not a video|can be decoded"):
        Video(text)
    stump = tmp_path / "stump.avi"
    stump.write_bytes(film.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"not a video|can be decoded"):
        Video(stump)


def test_of_a_damaged_video_only_we_speak(tmp_path):
    """In a process of its own: FFmpeg takes its level of talk once, and writes past Python."""
    whole = Path(demo.__file__).parent / "clip" / "clip.mp4"
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:20_000])
    code = f"from sdcl_neuro.events.tracklets import Video; Video({str(cut)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "no frame of it can be decoded" in done.stderr
    assert "NAL unit" not in done.stderr
