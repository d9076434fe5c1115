"""A camera that is read again and again keeps nothing of the times before."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from sdcl_neuro.hybrid.live.queue import DropQueue
from sdcl_neuro.hybrid.live.reader import CameraReader, Waiting
from sdcl_neuro.profiling.ledger import Ledger
from sdcl_neuro.reid.pipeline.live_source import LiveSource
from sdcl_neuro.reid.pipeline.stream_opening import open_stream
from sdcl_neuro.reid.serve.cameras import Lookout, WatchedCamera
from sdcl_neuro.reid.serve.settings import CameraSpec

from ..pipeline.conftest import CLIP, Material


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No collection of cycles: what goes, goes because no one holds it."""
    gc.disable()
    yield
    gc.enable()


def nothing(*_: object) -> None:
    """Take what is told, and do nothing."""


def test_a_reader_goes_with_all_that_it_holds(film: Material, uncollected: None) -> None:
    queue: DropQueue[Waiting] = DropQueue(4, "oldest", threading.Event())
    opened = open_stream(LiveSource(str(film.video), str(film.tracks), speed=0), CLIP, nothing)
    reader = CameraReader(
        CLIP,
        frames=opened.frames,
        events=opened.events,
        boxes=opened.boxes,
        queue=queue,
        ledger=Ledger(),
        stop=threading.Event(),
    )
    reader.read()
    assert reader.cut > 0
    held = [weakref.ref(one) for one in (reader, reader.cutter, opened.events, opened.boxes)]
    del reader, opened
    assert [one() for one in held] == [None] * 4


def test_a_looped_recording_keeps_one_reader(
    film: Material, uncollected: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[weakref.ref[CameraReader]] = []
    made = WatchedCamera._opened

    def remembered(camera: WatchedCamera, *sources: object) -> CameraReader:
        reader = made(camera, *sources)
        readers.append(weakref.ref(reader))
        return reader

    monkeypatch.setattr(WatchedCamera, "_opened", remembered)
    source = LiveSource(str(film.video), str(film.tracks), speed=0)
    camera = WatchedCamera(
        CameraSpec("door", source, loop=True),
        CLIP,
        queue=DropQueue(4, "oldest", threading.Event()),
        ledger=Ledger(),
        lookout=Lookout(nothing, nothing, nothing),
    )
    camera.begin()
    deadline = time.monotonic() + 60
    while camera.run < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    camera.stop()
    assert camera.join(30)
    assert camera.reason == ""
    assert len(readers) >= 6
    assert [one() for one in readers[:-1]] == [None] * (len(readers) - 1)
