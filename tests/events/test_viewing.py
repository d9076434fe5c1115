"""A view shows what is in the recording; a browser plays the page, where there is one."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from sdcl_neuro.cli import main
from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE, Events, write_events
from sdcl_neuro.events.viewing import Look, open_scene, write_view
from sdcl_neuro.events.viewing.drawing import GROUND, OFF, ON, draw_moment

SIZE = (40, 24)


@pytest.fixture(scope="module")
def moving() -> Events:
    """A bar that walks one column in 10 ms for 400 ms; ON in its upper half, OFF below."""
    rows = [
        (10_000 * x + 10 * y, x, y, int(y < 12)) for x in range(SIZE[0]) for y in range(SIZE[1])
    ]
    return Events(np.array(rows, EVENT_DTYPE), *SIZE)


class Frames:
    """Four grey frames, 100 ms apart."""

    size = SIZE

    def __iter__(self) -> Any:
        for k in range(4):
            yield k, 100_000 * k, np.full((*SIZE[::-1], 3), 40 + 40 * k, np.uint8)


def test_a_moment_shows_its_windows_events_and_no_others(moving: Events) -> None:
    picture = draw_moment(moving, 55_000, 20_000)
    for y in range(SIZE[1]):
        for x in range(SIZE[0]):
            seen = 35_000 < 10_000 * x + 10 * y <= 55_000
            expected = (ON if y < 12 else OFF) if seen else GROUND
            assert tuple(picture[y, x]) == expected
    frame = np.full((*SIZE[::-1], 3), 100, np.uint8)
    assert tuple(draw_moment(moving, 55_000, 20_000, frame)[0, 0]) == (65, 65, 65)


def page_data(path: Path) -> dict[str, Any]:
    found = re.search(r"const data = (\{.*?\});\n", path.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])  # type: ignore[no-any-return]


def column(data: dict[str, Any], name: str, kind: str) -> Any:
    return np.frombuffer(zlib.decompress(base64.b64decode(data[name])), kind)


def test_the_page_holds_every_event_and_frame(tmp_path: Path, moving: Events) -> None:
    from sdcl_neuro.events.alignment import StretchedView
    from sdcl_neuro.events.alignment.fitting import Fitted

    fitted = Fitted(5000, StretchedView(SIZE, SIZE), 1.0, ("both </script> show it",), ())
    scene = open_scene("bar", moving, Frames(), fitted)
    path = tmp_path / "a.html"
    assert write_view(path, scene) == "960 events and 4 frames"
    data = page_data(path)
    t = np.cumsum(column(data, "t", "<u4").astype(np.int64)) + data["start"]
    np.testing.assert_array_equal(t, moving.array["t"] + 5000)
    for name, kind in (("x", "<u2"), ("y", "<u2"), ("p", "u1")):
        np.testing.assert_array_equal(column(data, name, kind), moving.array[name])
    assert (data["width"], data["height"], sum(data["rate"])) == (*SIZE, 960)
    assert data["notes"] == ["both </script> show it"]
    assert path.read_text().count("</script>") == 1
    assert [time for time, _ in data["frames"]] == [100_000 * k - data["start"] for k in range(4)]
    jpeg = np.frombuffer(base64.b64decode(data["frames"][3][1]), np.uint8)
    assert abs(int(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[5, 5, 0]) - 160) < 3
    write_view(path, scene, Look(most_events=1000, window_us=7000))
    assert page_data(path)["window"] == 7000
    assert not re.search(r"https?://", path.read_text())


def test_too_many_events_are_thinned_and_that_is_said(tmp_path: Path) -> None:
    array = np.zeros(4000, EVENT_DTYPE)
    array["t"] = np.arange(4000)
    path = tmp_path / "a.html"
    write_view(path, open_scene("a", Events(array, 4, 4)), Look(most_events=1500))
    data = page_data(path)
    assert data["count"] == 1334
    assert data["notes"] == ["1 event in 3 is shown: 1,334 of 4,000"]


def test_films_and_sheets(tmp_path: Path, moving: Events) -> None:
    scene, look = open_scene("bar", moving, None), Look(speed=0.5, rate=20, width=80)
    assert write_view(tmp_path / "a.mp4", scene, look) == "16 pictures at 20 a second, 80x48"
    film = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    pictures = []
    while (read := film.read())[0]:
        pictures.append(read[1])
    film.release()
    assert len(pictures) == 16
    # Half speed at 20 a second: picture k ends at 25 (k + 1) ms, and shows 2.5 columns.
    bright = pictures[7][:24].max(axis=(0, 2)) > 100
    lit = sorted({int(x) // 2 for x in np.flatnonzero(bright)})
    assert lit[0] in (17, 18)
    assert lit[-1] in (19, 20)
    write_view(tmp_path / "a.gif", scene, look)
    with Image.open(tmp_path / "a.gif") as animation:
        assert (animation.n_frames, animation.size, animation.info["duration"]) == (
            16,
            (80, 48),
            50,
        )
    assert write_view(tmp_path / "a.png", scene, look).startswith("6 moments")
    assert cv2.imread(str(tmp_path / "a.png")).shape == (96, 240, 3)


def test_what_cannot_be_written(tmp_path: Path, moving: Events) -> None:
    scene = open_scene("bar", moving, None)
    with pytest.raises(InputError, match=r"'\.avi'; give one of \.html, \.mp4"):
        write_view(tmp_path / "a.avi", scene)
    with pytest.raises(InputError, match=r"9,756 pictures, at most 600 .*--between"):
        write_view(tmp_path / "a.gif", scene, Look(speed=0.001))
    for wrong in ({"speed": 0.0}, {"rate": 1e9}, {"width": -1}, {"most_events": 0}):
        with pytest.raises(InputError):
            Look(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no events to be seen"):
        open_scene("a", Events(np.zeros(0, EVENT_DTYPE), 4, 4))
    assert not list(tmp_path.iterdir())


def test_on_the_command_line(
    tmp_path: Path, moving: Events, capsys: pytest.CaptureFixture[str]
) -> None:
    write_events(tmp_path / "a.npz", moving)
    video = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, SIZE)
    for _, _, frame in Frames():
        writer.write(frame)
    writer.release()
    out = tmp_path / "a.html"
    command = ["events", "view", str(tmp_path / "a.npz"), "--video", str(video), "--out", str(out),
               "--event-offset", "1000", "--between", "0,200ms", "--window", "5ms"]  # fmt: skip
    assert main([*command, "--json", str(tmp_path / "a.json")]) == 0
    assert "events and 4 frames" in capsys.readouterr().out or len(page_data(out)["frames"]) == 3
    data = page_data(out)
    assert data["window"] == 5000
    assert data["count"] == int(((moving.array["t"] > 0) & (moving.array["t"] <= 200_000)).sum())
    assert data["start"] == 10 + 1000 - 1
    assert json.loads((tmp_path / "a.json").read_text())["events"] == data["count"]
    assert main([*command[:3], "--out", str(tmp_path / "a.npz")]) == 2


@pytest.mark.slow
def test_the_page_plays_in_a_browser(tmp_path: Path, moving: Events) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium to open the page with")
    path = tmp_path / "a.html"
    write_view(path, open_scene("bar", moving, None))
    script = (
        "<script>setTimeout(() => document.getElementById('play').click(), 1500)</script></body>"
    )
    path.write_text(path.read_text().replace("</body>", script))
    told = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000",
         "--dump-dom", f"file://{path}"],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    assert 'data-ready="yes"' in told
    assert ">Pause<" in told
    shown = re.search(r'id="time">([\d.]+) s of', told)
    assert shown is not None
    assert float(shown[1]) not in (0.0, 0.02)
    assert re.search(r'id="count">\d+ events in the window', told)
