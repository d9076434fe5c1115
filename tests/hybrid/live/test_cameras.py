"""Event cameras: a recording played through their interface, and what is said where none is."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.events import EVENT_DTYPE, Denoise, Events, write_events
from sdcl_neuro.events.alignment import Alignment, StretchedView
from sdcl_neuro.events.options import ReadingOptions
from sdcl_neuro.hybrid.live.cameras import (
    CameraEvents,
    DriverCamera,
    PlayedCamera,
    is_event_camera,
    open_event_camera,
)

SIZE = (32, 24)
FRAME = np.zeros((24, 32, 3), np.uint8)


@pytest.fixture
def recording(tmp_path: Path) -> tuple[Path, Events]:
    rng = np.random.default_rng(0)
    array = np.empty(4000, EVENT_DTYPE)
    array["t"] = 77_000_000 + np.sort(rng.integers(0, 200_000, 4000))
    array["x"], array["y"] = rng.integers(0, 32, 4000), rng.integers(0, 24, 4000)
    array["p"] = rng.integers(0, 2, 4000)
    events = Events(array, *SIZE)
    write_events(tmp_path / "a.npz", events)
    return tmp_path / "a.npz", events


def source(camera: Any, reading: ReadingOptions | None = None, **how: Any) -> CameraEvents:
    frames = SimpleNamespace(first_us=0, unix_start_us=None, size=SIZE, start_us=-20_000)
    return CameraEvents(
        camera,
        reading=reading or ReadingOptions(),
        patience_s=1.0,
        alignment=Alignment(event_clock="first"),
        view=StretchedView(SIZE, SIZE),
        frames=frames,  # type: ignore[arg-type]
        **how,
    )


def wait_for_the_first(stream: CameraEvents) -> None:
    """Until an event has come, nothing says where the camera's clock begins."""
    deadline = time.monotonic() + 60
    while stream._stream.first() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def test_names() -> None:
    assert [is_event_camera(one) for one in ("camera", "camera:7", "play:a.raw")] == [True] * 3
    assert not any(map(is_event_camera, ("camera.raw", "a.aedat4", "-", "playback.npz")))
    with pytest.raises(InputError, match="without a serial number"):
        open_event_camera("camera:", ReadingOptions())
    with pytest.raises(InputError, match="no such file"):
        open_event_camera("play:nowhere.raw", ReadingOptions())


def test_a_played_recording_comes_in_real_time(recording: tuple[Path, Events]) -> None:
    path, events = recording
    camera = open_event_camera(f"play:{path}", ReadingOptions())
    begun, arrived = time.perf_counter(), []
    for packet in camera.packets(threading.Event()):
        arrived.append((time.perf_counter() - begun, packet))
    np.testing.assert_array_equal(np.concatenate([one for _, one in arrived]), events.array)
    first = int(events.array["t"][0])
    for moment, packet in arrived:  # never before it happened
        assert moment >= (int(packet["t"][-1]) - first) / 1e6
    assert arrived[-1][0] >= 0.19


def test_every_interval_gets_its_events(recording: tuple[Path, Events]) -> None:
    path, events = recording
    first = int(events.array["t"][0])
    with source(PlayedCamera(path, ReadingOptions(), speed=0)) as camera:
        wait_for_the_first(camera)
        for k in range(10):
            low, high = 20_000 * k - 20_000, 20_000 * k
            found = camera.interval(low, high, FRAME).array
            expected = events.slice(first + low, first + high).array
            np.testing.assert_array_equal(found["t"], expected["t"] - first)
            for name in "xyp":
                np.testing.assert_array_equal(found[name], expected[name])


class Device:
    """What neuromorphic-drivers gives, as far as it is used, from a recording."""

    def __init__(self, events: Events) -> None:
        self.events, self.closed = events, False

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def name(self) -> Any:
        return SimpleNamespace(value="prophesee_evk4")

    def serial(self) -> str:
        return "00000042"

    def properties(self) -> Any:
        return SimpleNamespace(width=SIZE[0], height=SIZE[1])

    def __iter__(self) -> Any:
        titled = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")])
        for k, part in enumerate(np.array_split(self.events.array, 40)):
            yield None, None  # nothing came within the time-out
            array = np.empty(len(part), titled)
            for name in "txyp":
                array[name] = part[name]
            lost = np.array([3]) if k == 5 else None
            yield (
                None,
                SimpleNamespace(polarity_events=array, polarity_events_overflow_indices=lost),
            )


def test_a_driven_camera_is_read_denoised_and_closed(
    recording: tuple[Path, Events], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, events = recording
    device = Device(events)
    asked: dict[str, Any] = {}

    def opened(**how: Any) -> Device:
        asked.update(how)
        return device

    module = ModuleType("neuromorphic_drivers")
    module.open = opened  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", module)
    camera = open_event_camera("camera:00000042", ReadingOptions())
    assert (camera.size, camera.name, asked["serial"]) == (
        SIZE,
        "prophesee_evk4 00000042",
        "00000042",
    )
    reading = ReadingOptions(denoise=Denoise(refractory_us=3000))
    with source(camera, reading) as stream:
        wait_for_the_first(stream)
        found = stream.interval(-1, 250_000, FRAME)
    assert device.closed
    assert 0 < len(found) < 4000
    assert stream.removed == {"refractory": 4000 - len(found)}
    assert "prophesee_evk4 00000042 lost packets 1 time" in stream.notes()


def test_what_is_needed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", None)
    with pytest.raises(EnvironmentFault, match=r"pip install 'sdcl-neuro\[cameras\]'"):
        DriverCamera()
    monkeypatch.delitem(sys.modules, "neuromorphic_drivers")
    pytest.importorskip("neuromorphic_drivers", reason="neuromorphic-drivers is not installed")
    with pytest.raises(EnvironmentFault, match=r"camera:none: no event camera .*by USB.*udev"):
        DriverCamera("none")
