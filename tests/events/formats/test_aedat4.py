"""AEDAT 4: streams by name, frames, killed recordings, compressions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.errors import InputError
from sdcl_neuro.events import concatenate, list_streams, open_frames, read_events, read_parts

LEFT = [(1000 + k, k, 2 * k, k & 1) for k in range(10)]
RIGHT = [(1005 + k, 20 + k, 3, 1 - (k & 1)) for k in range(7)]
CAMERAS = [("EVTS", "events", "L", 64, 48), ("EVTS", "events", "R", 64, 48)]
DAVIS = [("EVTS", "events", "D", 64, 48), ("FRME", "frames", "D", 64, 48)]


def rows(events: Any) -> list[Any]:
    return events.array.tolist()


def test_streams_are_chosen_by_number_name_and_camera(tmp_path: Path, aedat4: Any) -> None:
    path = tmp_path / "a.aedat4"
    packets = [(0, aedat4.vector(LEFT[:6], b"EVTS")), (1, aedat4.vector(RIGHT, b"EVTS")),
               (0, aedat4.vector(LEFT[6:], b"EVTS"))]  # fmt: skip
    aedat4.write_aedat4(path, CAMERAS, packets, closed=True)
    assert [str(one) for one in list_streams(path)] == [
        "0: events of camera L, 64x48",
        "1: events of camera R, 64x48",
    ]
    for name in ("0", "L", "L/events"):
        assert rows(read_events(path, stream=name)) == LEFT
    assert rows(read_events(path, stream="R")) == RIGHT
    parts = list(read_parts(path, stream="L", part_events=6))
    assert [len(part) for part in parts] == [6, 4]
    assert rows(concatenate(parts)) == LEFT
    for name, message in (
        (None, "2 streams of events: stream 0: events of camera L.*--stream"),
        ("events", "2 streams of events"),
        ("X", "no stream 'X' of events; the file has stream 0"),
    ):
        with pytest.raises(InputError, match=message):
            read_events(path, stream=name)


def test_frames_and_events_of_one_camera(tmp_path: Path, aedat4: Any) -> None:
    path = tmp_path / "a.aedat4"
    pictures = [np.full((48, 64), 10 * k, np.uint8) for k in range(3)]
    colour = np.zeros((48, 64, 3), np.uint8)
    colour[..., 0] = 200  # blue, as OpenCV orders it
    packets = [(1, aedat4.frame(1000 + 40_000 * k, one, exposure_us=9000))
               for k, one in enumerate([*pictures, colour])]  # fmt: skip
    packets.insert(1, (0, aedat4.vector(LEFT, b"EVTS")))
    aedat4.write_aedat4(path, DAVIS, packets, closed=True)
    frames = open_frames(path)
    assert frames.size == (64, 48)
    assert frames.times_us.tolist() == [1000, 41_000, 81_000, 121_000]
    for _ in range(2):  # as often as one likes
        seen = list(frames)
        assert [(i, t) for i, t, _ in seen] == list(enumerate(frames.times_us.tolist()))
        assert all((seen[k][2] == 10 * k).all() for k in range(3))
        assert (seen[3][2] == [0, 0, 200]).all()
    for stamp, after in (("start", 0), ("middle", 4500), ("end", 9000)):
        assert open_frames(path, stamp=stamp).times_us[1] == 41_000 + after  # type: ignore[arg-type]
    # A camera's name chooses both; so does the name of its events.
    assert open_frames(path, stream="events").stream.name == "frames"
    assert rows(read_events(path, stream="D")) == LEFT


def test_frames_alone_and_events_alone_are_said(tmp_path: Path, aedat4: Any) -> None:
    path = tmp_path / "a.aedat4"
    aedat4.write_aedat4(path, DAVIS[1:], [(0, aedat4.frame(5, np.zeros((48, 64), np.uint8)))])
    with pytest.raises(InputError, match="no events in the file: it holds stream 0: frames"):
        read_events(path)
    with pytest.raises(InputError, match="does not say when each exposure"):
        open_frames(path, stamp="end")
    aedat4.write_aedat4(path, CAMERAS[:1], [(0, aedat4.vector(LEFT, b"EVTS"))])
    with pytest.raises(InputError, match="no frames in the file"):
        open_frames(path)
    np.save(tmp_path / "a.npy", np.zeros((1, 4)))
    with pytest.raises(InputError, match=r"numpy.*holds no frames"):
        open_frames(tmp_path / "a.npy")


def test_info_lists_everything(
    tmp_path: Path, aedat4: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "a.aedat4", tmp_path / "out.json"
    picture = np.zeros((48, 64), np.uint8)
    packets = [(0, aedat4.vector(LEFT, b"EVTS")), (1, aedat4.frame(1000, picture)),
               (1, aedat4.frame(41_000, picture))]  # fmt: skip
    aedat4.write_aedat4(path, DAVIS, packets)
    assert main(["events", "info", str(path), "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "10 events, 64x48" in said
    assert "2 frames, 64x48, 0.040 s, 25 frames/s" in said
    found = json.loads(out.read_text())
    assert found["frames"] == {
        "count": 2, "width": 64, "height": 48, "first_us": 1000, "last_us": 41_000
    }  # fmt: skip
    assert [one["holds"] for one in found["streams"]] == ["events", "frames"]
    aedat4.write_aedat4(path, CAMERAS, [(0, aedat4.vector(LEFT, b"EVTS")),
                                        (1, aedat4.vector(RIGHT, b"EVTS"))])  # fmt: skip
    assert main(["events", "info", str(path), "--json", str(out)]) == 0
    assert [one["events"] for one in json.loads(out.read_text())["streams"]] == [10, 7]


def test_killed_recordings_are_read_up_to_their_end(tmp_path: Path, aedat4: Any) -> None:
    path = tmp_path / "a.aedat4"
    packets = [(0, aedat4.vector([event], b"EVTS")) for event in LEFT]
    aedat4.write_aedat4(path, CAMERAS[:1], packets)
    whole = path.read_bytes()
    assert rows(read_events(path)) == LEFT
    size = 8 + len(packets[0][1])
    for lost in range(1, 2 * size):
        path.write_bytes(whole[:-lost])
        kept = len(LEFT) - -(-lost // size)
        if lost % size == 0:
            assert rows(read_events(path)) == LEFT[:kept]
            continue
        with pytest.raises(InputError, match=r"was not closed.*truncated.*--mend drop-tail"):
            read_events(path)
        mended = read_events(path, mend=["drop-tail"])
        assert (rows(mended), dict(mended.mended)) == (LEFT[:kept], {"drop-tail": 1})
    path.write_bytes(whole + bytes(4096))  # a disk that was not written to the end
    assert rows(read_events(path, mend=["drop-tail"])) == LEFT
    # A table that is promised and missing: the copy was cut, not the recording.
    aedat4.write_aedat4(path, CAMERAS[:1], packets, closed=True)
    path.write_bytes(path.read_bytes()[: len(whole) - 5])
    with pytest.raises(InputError, match=r"truncated: it has .* bytes and promises"):
        read_events(path)
    assert rows(read_events(path, mend=["drop-tail"])) == LEFT[:-1]


@pytest.mark.parametrize(("compression", "name"), [(1, "lz4"), (2, "lz4"), (3, "zstd")])
def test_compressions(tmp_path: Path, aedat4: Any, compression: int, name: str) -> None:
    module = {"lz4": "lz4.frame", "zstd": "backports.zstd"}[name]
    pack = pytest.importorskip(module, reason=f"{module} is not installed: run make again").compress
    path = tmp_path / "a.aedat4"
    packets = [(0, aedat4.vector(LEFT, b"EVTS"))]
    aedat4.write_aedat4(path, CAMERAS[:1], packets, compression=compression, pack=pack)
    assert rows(read_events(path)) == LEFT
    aedat4.write_aedat4(path, CAMERAS[:1], packets, compression=compression)
    with pytest.raises(InputError, match="a damaged packet at byte"):
        read_events(path)


def test_events_outside_the_sensor_are_mended(tmp_path: Path, aedat4: Any) -> None:
    path = tmp_path / "a.aedat4"
    wild = [(1, -1, 3, 1), (2, 64, 3, 0), (3, 5, 5, 1), (2, 6, 6, 0)]
    aedat4.write_aedat4(path, CAMERAS[:1], [(0, aedat4.vector(wild, b"EVTS"))])
    with pytest.raises(InputError, match=r"event 0 at \(x, y\) = \(-1, 3\)"):
        read_events(path)
    found = read_events(path, mend=["drop-outside", "sort"])
    assert rows(found) == [(2, 6, 6, 0), (3, 5, 5, 1)]
    assert found.mended == {"drop-outside": 2, "sort": 1}
