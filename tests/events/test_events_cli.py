"""The verb ``events`` as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.events import (
    EVENT_DTYPE,
    Events,
    SimulatorConfig,
    encode,
    read_events,
    simulate,
    write_events,
)

PROGRAM = (sys.executable, "-c", "import sys; from sdcl_neuro.cli import main; sys.exit(main())")


@pytest.fixture
def recording(tmp_path: Path) -> tuple[Path, Events]:
    rng = np.random.default_rng(2)
    array = np.empty(300, EVENT_DTYPE)
    array["t"] = np.sort(rng.integers(1_000_000, 1_200_000, 300))
    array["x"], array["y"] = rng.integers(0, 64, 300), rng.integers(0, 48, 300)
    array["p"] = rng.integers(0, 2, 300)
    events = Events(array, 64, 48)
    write_events(tmp_path / "in.npz", events)
    return tmp_path / "in.npz", events


def run(*arguments: object) -> int:
    return main(["events", *map(str, arguments)])


def test_info_as_a_process(recording: tuple[Path, Events], tmp_path: Path) -> None:
    path, events = recording
    done = subprocess.run(
        [*PROGRAM, "events", "info", path, "--json", tmp_path / "i.json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "300 events, 64x48" in done.stdout
    said = json.loads((tmp_path / "i.json").read_text())
    assert said["schema"] == {"name": "sdcl_neuro.events-info", "version": 1}
    assert (said["events"], said["width"], said["height"]) == (300, 64, 48)
    assert said["on"] + said["off"] == 300
    assert said["first_us"] == int(events.array["t"][0])


def test_bad_input_as_a_process(tmp_path: Path) -> None:
    (tmp_path / "bad.raw").write_bytes(b"% evt 3.0\nabc")
    out = tmp_path / "out.npz"
    done = subprocess.run(
        [*PROGRAM, "events", "encode", tmp_path / "bad.raw", "--fps",
         "25", "--bins", "4", "--out", out],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "bad.raw" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["bad.raw"]


def test_encode_by_times_is_the_function(
    recording: tuple[Path, Events], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, events = recording
    times = [1_050_000, 1_100_000, 1_200_000]
    (tmp_path / "times.txt").write_text("".join(f"{t}\n" for t in times))
    np.save(tmp_path / "times.npy", np.array(times))
    expected = encode(events, frame_times_us=times, bins=4, start_us=999_999, binary=False)
    for name in ("times.txt", "times.npy"):
        out = tmp_path / "spikes.npz"
        code = run("encode", path, "--out", out, "--frame-times", tmp_path / name, "--bins", 4,
                   "--start-us", 999_999, "--counts")  # fmt: skip
        assert code == 0
        with np.load(out, allow_pickle=False) as archive:
            spikes = archive["spikes"]
        assert spikes.dtype == np.uint8
        assert spikes.shape == (12, 1, 2, 48, 64)
        np.testing.assert_array_equal(spikes[:, 0], expected)
    assert "300 events counted in [12, 1, 2, 48, 64]" in capsys.readouterr().out


def test_encode_into_the_frames_view_and_clock(
    recording: tuple[Path, Events], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The events of a camera upside down and ahead of the frames, brought back by options."""
    path, events = recording
    times = [1_050_000, 1_100_000, 1_200_000]
    (tmp_path / "times.txt").write_text("".join(f"{t + 5}\n" for t in times))
    (tmp_path / "h.txt").write_text("-1 0 63 0 -1 47 0 0 1")
    out = tmp_path / "spikes.npz"
    common = ("--frame-times", tmp_path / "times.txt", "--bins", 2, "--start-us", 1_000_005)
    code = run("encode", path, "--out", out, *common, "--event-offset", 5,
               "--homography", tmp_path / "h.txt", "--frame-size", "64x48")  # fmt: skip
    assert code == 0
    with np.load(out, allow_pickle=False) as archive:
        spikes = archive["spikes"][:, 0]
    expected = encode(events, frame_times_us=times, bins=2, start_us=1_000_000)
    np.testing.assert_array_equal(spikes, expected[:, :, ::-1, ::-1])
    assert expected.any()
    code = run("encode", path, "--out", out, *common, "--homography", tmp_path / "h.txt")
    assert code == 2
    assert "--frame-size" in capsys.readouterr().err
    assert run("encode", path, "--out", out, "--fps", 9, "--bins", 2, "--event-offset", 5) == 2
    assert "laid over the events" in capsys.readouterr().err


@pytest.mark.parametrize("fps", ["25", "30000/1001", "7.3", "100000"])
def test_encode_by_rate_owns_every_event(
    recording: tuple[Path, Events], tmp_path: Path, fps: str
) -> None:
    path, events = recording
    out = tmp_path / "spikes.npz"
    code = run("encode", path, "--out", out, "--fps", fps, "--bins", 1, "--counts", "--size", "6x8",
               "--box", "0,0,64,48", "--json", tmp_path / "e.json")  # fmt: skip
    assert code == 0
    said = json.loads((tmp_path / "e.json").read_text())
    assert said["spikes"] == len(events)
    assert said["shape"][1:] == [1, 2, 6, 8]


def test_simulate_a_folder_and_a_video(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    frames = rng.integers(0, 256, (4, 24, 32, 3), dtype=np.uint8)
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{index:03}.png"), frame[..., ::-1])
    out = tmp_path / "e.npz"
    code = run("simulate", folder, "--fps", "20", "--out", out, "--threshold", 0.3, "--seed", 4,
               "--quiet", "--json", tmp_path / "s.json")  # fmt: skip
    assert code == 0
    config = SimulatorConfig(threshold_on=0.3, threshold_off=0.3, seed=4)
    assert read_events(out) == simulate(frames, [0, 50_000, 100_000, 150_000], config)
    said = json.loads((tmp_path / "s.json").read_text())
    assert said["frames"] == 4
    assert said["config"]["threshold_on"] == 0.3
    video = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (32, 24))
    for frame in frames:
        writer.write(frame)
    writer.release()
    assert run("simulate", video, "--out", out, "--resize", "12x16") == 0
    events = read_events(out)
    assert (events.width, events.height) == (16, 12)
    assert len(events) > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "IN", "--sensor", "64"], "--sensor: '64' is not a size"),
        (["info", "IN", "--sensor", "32x48"], "not 32x48"),
        (["info", "IN", "--columns", "xytp"], "leave --columns out"),
        (["info", "IN", "--time-unit", "fortnights"], "not a unit of time"),
        (["info", "IN", "--mend", "all"], "unknown repair"),
        (["encode", "IN", "--out", "OUT", "--fps", "0", "--bins", "2"], "not a frame rate"),
        (["encode", "IN", "--out", "OUT", "--fps", "9", "--bins", "-1"], "-1 bins"),
        (["encode", "IN", "--out", "OUT.txt", "--fps", "9", "--bins", "1"], "written as .npz"),
        (["encode", "IN", "--out", "OUT", "--frame-times", "IN", "--bins", "2"], "the first has 1"),
        (
            ["encode", "IN", "--out", "OUT", "--fps", "9", "--bins", "2", "--box", "1,2"],
            "not a box",
        ),
        (["simulate", "IN", "--out", "OUT"], "not a video"),
        (["encode", "IN", "--out", "IN", "--fps", "25", "--bins", "4"], "is also the input"),
        (["simulate", "DIR", "--out", "OUT"], "without pictures"),
        (["simulate", "IN", "--out", "OUT", "--threshold", "-1"], "threshold_on is -1"),
    ],
)
def test_bad_usage_is_one_line_and_no_file(
    recording: tuple[Path, Events],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    path, _ = recording
    names = {"IN": str(path), "OUT": str(tmp_path / "out.npz"), "DIR": str(tmp_path)}
    names["OUT.txt"] = str(tmp_path / "out.txt")
    assert run(*(names.get(item, item) for item in arguments)) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.strip().count("\n") == 0
    assert [p.name for p in tmp_path.iterdir()] == ["in.npz"]
