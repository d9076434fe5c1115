"""Offset and view found in recordings of known truth, and refused where they cannot be told."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.moving_scene import Film, Recording, on_clock, record
from sdcl_neuro.cli import main
from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE, Events, write_events
from sdcl_neuro.events.aligning import estimate_alignment
from sdcl_neuro.events.aligning.activity import centred
from sdcl_neuro.events.alignment import Mapping, read_alignment

TILTED = np.array([[0.37, 0.03, 4], [-0.02, 0.39, 3], [5e-5, -4e-5, 1]])
CLOCK_US = 777_000_123


@pytest.fixture(scope="module")
def tilted() -> Recording:
    return record(view=TILTED)


def furthest_px(found: Mapping | None, recording: Recording) -> float:
    """Between found and true places in the frame, over the part of the sensor that moves."""
    size = np.array([recording.events.width, recording.events.height])
    points = size * np.array([[0.2, 0.3], [0.8, 0.3], [0.8, 0.7], [0.2, 0.7], [0.5, 0.5]])
    raised = np.column_stack([points, np.ones(len(points))]) @ recording.matrix.T
    truth = raised[:, :2] / raised[:, 2:]
    if found is None:
        return float(np.hypot(*(points - truth).T).max())
    return float(np.hypot(*(found.points(points) - truth).T).max())


@pytest.mark.slow
def test_another_clock_and_a_tilted_camera(tilted: Recording) -> None:
    found = estimate_alignment(tilted.film, on_clock(tilted.events, CLOCK_US))
    assert abs(found.alignment.offset_us + CLOCK_US) < 2000
    assert furthest_px(found.alignment.mapping, tilted) < 2
    assert found.score > 0.9
    assert found.elsewhere < 0.1
    assert found.sureness > 0.9
    assert found.freedom >= 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "limit_us"),
    [
        ({"event_size": (320, 240)}, 2000),
        ({"fps": 25, "varying": True, "exposure_s": 0.014, "view": TILTED}, 2000),
        ({"fps": 10, "seconds": 4.0, "hertz": 200, "exposure_s": 0.02}, 5000),
        ({"view": np.array([[-0.4, 0, 159], [0, -0.4, 119], [0, 0, 1]])}, 2000),  # upside down
    ],
)
def test_accuracy(case: dict, limit_us: int) -> None:
    """2 ms and 2 px from 25 frames/s on; below, a twentieth of the frame interval."""
    recording = record(**case)
    found = estimate_alignment(recording.film, on_clock(recording.events, -CLOCK_US))
    assert abs(found.alignment.offset_us - CLOCK_US) < limit_us
    assert furthest_px(found.alignment.mapping, recording) < 2
    same = recording.film.size == (recording.events.width, recording.events.height)
    assert (found.alignment.mapping is None) == same


@pytest.mark.slow
def test_a_wrong_pair_is_refused(tilted: Recording) -> None:
    backwards = Film(tilted.film.frames[::-1], tilted.film.times_us)
    with pytest.raises(InputError, match="cannot tell"):
        estimate_alignment(backwards, tilted.events)
    rng = np.random.default_rng(0)
    noise = tilted.events.array.copy()
    noise["x"] = rng.integers(0, tilted.events.width, len(noise))
    noise["p"] = rng.integers(0, 2, len(noise))
    with pytest.raises(InputError, match="cannot tell"):
        estimate_alignment(tilted.film, Events(noise, tilted.events.width, tilted.events.height))


def test_too_little_is_refused(tilted: Recording) -> None:
    still = Film([tilted.film.frames[0]] * 30, tilted.film.times_us[:30])
    with pytest.raises(InputError, match="nothing changes in the frames"):
        estimate_alignment(still, tilted.events)
    few = Events(tilted.events.array[:100], tilted.events.width, tilted.events.height)
    with pytest.raises(InputError, match="100 events"):
        estimate_alignment(tilted.film, few)


def test_events_are_moved_to_the_middle_of_their_change() -> None:
    rows = [(0, 3, 4, 1), (100, 3, 4, 1), (160, 3, 4, 1), (200, 3, 4, 0), (230, 9, 9, 1)]
    found = centred(Events(np.array(rows, EVENT_DTYPE), 16, 16), longest_us=1000)
    moved = {(int(x), int(p), int(t)) for t, x, _, p in found.tolist()}
    # 0 and 200 have no event of their polarity before: the one after, or the median (100), stands.
    assert moved == {(3, 1, -50), (3, 1, 50), (3, 1, 130), (3, 0, 150), (9, 1, 180)}


def test_the_command_line(tilted: Recording, tmp_path: Path, capsys) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for index, frame in enumerate(tilted.film.frames):
        cv2.imwrite(str(frames / f"{index}.png"), frame)
    starts = tilted.starts_us
    times = "".join(f"{a} {a + b}\n" for a, b in zip(starts, tilted.exposures_us, strict=True))
    (tmp_path / "times.txt").write_text(times)
    write_events(tmp_path / "events.npz", on_clock(tilted.events, CLOCK_US))
    out = tmp_path / "alignment.toml"
    arguments = ["events", "align", str(frames), str(tmp_path / "events.npz"), "--out", str(out)]
    assert main(arguments) == 2
    assert "--frame-times" in capsys.readouterr().err
    arguments += ["--frame-times", str(tmp_path / "times.txt"), "--quiet"]
    assert main([*arguments, "--json", str(tmp_path / "a.json")]) == 0
    said = capsys.readouterr().out
    assert "sureness" in said
    assert main(["check", str(tmp_path / "a.json")]) == 0
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["estimate"]["score"] > 0.9
    assert told["coverage"] > 0.95
    found = read_alignment(out)
    assert abs(found.offset_us + CLOCK_US) < 2000
    assert furthest_px(found.mapping, tilted) < 2
    assert found.frame_times == tmp_path / "times.txt"
    picture = cv2.imread(str(tmp_path / "alignment.png"))
    assert picture.shape == (480, 960, 3)
    red = (picture[..., 2].astype(int) - picture[..., 0]) > 100
    assert red.mean() > 0.005
