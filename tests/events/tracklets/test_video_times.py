"""Times of frames: the file's own, against ffprobe; a file of times; a rate that is stated."""

from __future__ import annotations

import shutil
import struct
import subprocess
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.alignment import Alignment
from sdcl_neuro.events.tracklets import Video, open_video, simulate_video
from sdcl_neuro.events.tracklets.detecting import DetectionOptions
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat
from sdcl_neuro.reid.pipeline.video import Source, open_footage

NEEDS_FFMPEG = pytest.mark.skipif(
    shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None,
    reason="ffmpeg and ffprobe are not installed (apt-get install ffmpeg)",
)
# 11 frames a second, then 8: the exposure grew.
RULE = "setpts='if(lt(N,30),N*0.09,2.7+(N-30)*0.125)/TB'"


def encode(path: Path, *more: str, rule: str = RULE) -> None:
    source = ["-f", "lavfi", "-i", "testsrc=r=10:d=4:s=64x48", "-vf", rule, "-vsync", "vfr"]
    subprocess.run(["ffmpeg", "-v", "error", *source, *more, str(path)], check=True)


def probed(path: Path) -> np.ndarray:
    entries = ["-select_streams", "v", "-show_entries", "frame=pts_time", "-of", "csv=p=0"]
    done = subprocess.run(
        ["ffprobe", "-v", "error", *entries, str(path)], capture_output=True, text=True, check=True
    )
    times = np.array([float(word.strip(",")) for word in done.stdout.split()])
    return times - times[0]


@NEEDS_FFMPEG
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("v.mp4", ("-video_track_timescale", "10000")),
        ("b.mp4", ("-bf", "3", "-video_track_timescale", "10000")),
        ("v.mkv", ()),
        ("late.mkv", ("-output_ts_offset", "5")),
        ("v.ts", ("-c:v", "mpeg2video")),
        ("v.gif", ()),
    ],
)
def test_presentation_timestamps_are_the_files_own(tmp_path: Path, name: str, more: tuple) -> None:
    path = tmp_path / name
    encode(path, *more)
    video, truth = Video(path), probed(path)
    seen = np.array([time for _, time, _ in video])
    assert np.abs(seen / 1e6 - truth).max() < 1e-5
    assert np.array_equal(video.times_us, seen)
    assert video.length == len(truth)
    assert (video.first_us, video.before_us) == (0, -seen[1])
    assert video.assumed == ()
    assert len(np.unique(np.diff(seen))) > 1


@NEEDS_FFMPEG
@pytest.mark.parametrize(
    ("name", "more", "untimed", "said"),
    [
        ("b.avi", ("-c:v", "libx264", "-bf", "2"), 2, "states a rate and no times"),
        ("b.mpg", ("-c:v", "mpeg2video", "-r", "25", "-output_ts_offset", "5"), 1, "the last 1"),
    ],
)
def test_last_frames_without_times_follow_at_the_rate(
    tmp_path: Path, name: str, more: tuple, untimed: int, said: str
) -> None:
    """Decoders hand out the frames that they held back without times there."""
    path = tmp_path / name
    rule = "setpts='(5+N*0.1+if(gt(N,20),2.5,0))/TB'"
    encode(path, *more, rule=rule)
    video = Video(path)
    seen = np.array([time for _, time, _ in video])
    entries = ["-select_streams", "v", "-show_entries", "frame=best_effort_timestamp_time"]
    done = subprocess.run(
        ["ffprobe", "-v", "error", *entries, "-of", "csv=p=0", str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    words = [word.strip(",") for word in done.stdout.split() if word.strip(",")]
    times = [float(word) for word in words if word != "N/A"]
    assert (len(words), len(words) - len(times)) == (len(seen), untimed)
    assert np.abs(seen[: len(times)] / 1e6 - np.array(times) + times[0]).max() < 1e-5
    step = 100_000 if name == "b.avi" else 40_000
    assert np.diff(seen[len(times) - 1 :]).tolist() == [step] * untimed
    assert any(said in line for line in video.assumed)
    frames = "1 frame" if untimed == 1 else f"{untimed} frames"
    assert f"no time for the last {frames} of {name}: put at the" in video.assumed[-1]
    assert np.array_equal(video.times_us, seen)
    assert Video(path, fps=10).assumed == ()


@NEEDS_FFMPEG
def test_a_killed_recordings_header_does_not_count(tmp_path: Path) -> None:
    """A Matroska file cut short still promises all of its frames."""
    path = tmp_path / "v.mkv"
    encode(path)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    video = Video(cut)
    assert video.count is not None
    assert video.length == len(list(video)) < video.count


def test_a_header_that_understates_the_count(film, tmp_path: Path) -> None:
    """An AVI whose writer was killed before it could correct its header."""
    content = bytearray(film.read_bytes())
    struct.pack_into("<I", content, content.index(b"avih") + 8 + 16, 5)
    struct.pack_into("<I", content, content.index(b"strh") + 8 + 32, 5)
    path = tmp_path / "film.avi"
    path.write_bytes(content)
    video = Video(path)
    assert video.count == 5
    assert video.length == len(list(video)) == 14
    tracks = tmp_path / "tracks.txt"
    tracks.write_text("".join(f"{k},1,3,3,40,90\n" for k in range(1, 15)))
    footage = open_footage(Source(path, tracks), ClipFormat())
    assert len(footage.plan.windows) == 4
    tracks.write_text("".join(f"{k},1,3,3,40,90\n" for k in range(1, 17)))
    with pytest.raises(InputError, match="line 15: frame 15 is beyond the video's 14 frames"):
        open_footage(Source(path, tracks), ClipFormat())


@NEEDS_FFMPEG
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("raw.h264", ("-f", "h264")),
        ("raw.mjpeg", ("-c:v", "mjpeg", "-f", "mjpeg")),
        ("raw.m4v", ("-c:v", "mpeg4", "-f", "m4v")),
    ],
)
def test_streams_without_times_are_refused(tmp_path: Path, name: str, more: tuple) -> None:
    path = tmp_path / name
    encode(path, *more, rule="null")
    with pytest.raises(InputError, match=r"no times; give --frame-times FILE, or --fps"):
        Video(path)
    told = Video(path, fps=10)
    assert told.times_us[:3].tolist() == [0, 100_000, 200_000]


def test_a_container_that_states_a_rate_only_says_so(film) -> None:
    video = Video(film)
    (line,) = video.assumed
    assert "states a rate and no times" in line
    assert "10 frames/s" in line
    assert Video(film, fps=10).assumed == ()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eleven pictures whose names sort wrongly as text."""
    path = tmp_path / "frames"
    path.mkdir()
    for k in range(11):
        cv2.imwrite(str(path / f"frame{k}.png"), np.full((6, 8, 3), 20 * k, np.uint8))
    (path / "notes.txt").write_text("not a picture")
    return path


def test_a_folder_of_frames(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no times; give --frame-times"):
        Video(folder)
    video = Video(folder, fps=25)
    assert [int(frame[0, 0, 0]) for _, _, frame in video] == [20 * k for k in range(11)]
    assert video.times_us.tolist() == [40_000 * k for k in range(11)]
    assert str(video) == "frames: 11 frames, 8x6, 25 frames/s"
    times = [1000 * k * k + 7 for k in range(11)]
    path = tmp_path / "times.txt"
    path.write_text("\n".join(map(str, times)))
    told = open_video(folder, Alignment(frame_times=path))
    assert [time for _, time, _ in told] == times == told.times_us.tolist()
    assert told.before_us == 7 - 1000
    events = simulate_video(told)
    assert events.array["t"][0] > 7
    assert events.array["t"][-1] <= times[-1]
    path.write_text("\n".join(map(str, times[:-1])))
    with pytest.raises(InputError, match="10 frame times for more than 10 frames"):
        list(open_video(folder, Alignment(frame_times=path)))
    path.write_text("\n".join(map(str, [*times, 10**9])))
    with pytest.raises(InputError, match="12 frame times for 11 frames"):
        list(open_video(folder, Alignment(frame_times=path)))
    (folder / "frame5.png").write_text("damaged")
    with pytest.raises(InputError, match=r"frame5.png: not a picture"):
        list(video)


def test_stamps_of_start_and_end_are_brought_to_the_middle(folder: Path, tmp_path: Path) -> None:
    rate = Fraction(100)
    starts = open_video(folder, Alignment(fps=rate, stamp="start", exposure_us=8000))
    assert starts.times_us[:2].tolist() == [4000, 14_000]
    ends = open_video(folder, Alignment(fps=rate, stamp="end", exposure_us=8000))
    assert ends.times_us[:2].tolist() == [-4000, 6000]
    path = tmp_path / "exposures.txt"
    path.write_text("".join(f"{1000 * k}, {1000 * k + 40 * k}\n" for k in range(11)))
    both = open_video(folder, Alignment(frame_times=path))
    assert both.times_us.tolist() == [1000 * k + 20 * k for k in range(11)]
    assert both.span().stamps_are_middles
    with pytest.raises(InputError, match="leave --stamp out"):
        open_video(folder, Alignment(frame_times=path, stamp="end", exposure_us=3))


def test_a_view_that_nothing_states_is_told_before_persons_are_sought(film, tmp_path: Path) -> None:
    events = tmp_path / "e.txt"
    events.write_text("96 64\n100000 3 4 1\n900000 5 6 0\n")
    detection = DetectionOptions(tmp_path / "missing.onnx")
    with pytest.raises(InputError, match="do not say that they show the same view"):
        open_footage(Source(film, events=events, detection=detection), ClipFormat())
    same = Alignment(assume_same_view=True)
    with pytest.raises(InputError, match=r"missing\.onnx: no such file"):
        open_footage(Source(film, events=events, detection=detection, alignment=same), ClipFormat())
