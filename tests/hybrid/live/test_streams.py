"""Pipes and growing files: what is read in time, what is late, what is refused."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE
from sdcl_neuro.events.alignment import Alignment
from sdcl_neuro.hybrid.live.boxes import StreamedBoxes
from sdcl_neuro.hybrid.live.events import StreamedEvents
from sdcl_neuro.hybrid.live.follow import follow, lines, records
from sdcl_neuro.hybrid.live.report import Seen
from sdcl_neuro.hybrid.live.stream import Stream
from sdcl_neuro.hybrid.live.tracks import Tracks

NOTHING = np.zeros((4, 4, 3), np.uint8)


def random_events(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    events = np.empty(count, EVENT_DTYPE)
    events["t"] = np.sort(rng.integers(0, 100_000, count))
    events["x"], events["y"] = rng.integers(0, 64, count), rng.integers(0, 48, count)
    events["p"] = rng.integers(0, 2, count)
    return events


def as_text(events: np.ndarray, comma: bool) -> bytes:
    split = "," if comma else " "
    return "".join(split.join(map(str, row)) + "\n" for row in events.tolist()).encode()


@pytest.mark.parametrize("kind", ["text", "comma", "records"])
def test_a_pipes_events_are_those_written(tmp_path: Path, kind: str) -> None:
    events = random_events(5_000, 3)
    content = events.tobytes() if kind == "records" else as_text(events, kind == "comma")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        # Odd sizes, so that lines and records are torn between two reads.
        with pipe.open("wb", buffering=0) as stream:
            for start in range(0, len(content), 997):
                stream.write(content[start : start + 997])

    writer = threading.Thread(target=write)
    writer.start()
    read = StreamedEvents(
        str(pipe), (64, 48), kind="records" if kind == "records" else "text",
        patience_s=10, idle_s=1,
    )  # fmt: skip
    with read:
        parts = [read.interval(t - 10_000, t, NOTHING) for t in range(10_000, 100_001, 10_000)]
    writer.join()
    assert np.array_equal(np.concatenate([part.array for part in parts]), events[events["t"] > 0])
    assert read.late == 0


def test_a_growing_file_is_followed_and_ends_when_it_rests(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"one\ntw")

    def grow() -> None:
        time.sleep(0.05)
        with path.open("ab") as stream:
            stream.write(b"o\nthree")

    writer = threading.Thread(target=grow)
    writer.start()
    found = follow(str(path), idle_s=0.5, stop=threading.Event())
    assert [line for some in lines(found) for line in some] == [b"one", b"two", b"three"]
    writer.join()


def test_torn_records_are_put_together_and_a_torn_end_is_left_out() -> None:
    chunks = [b"abcde", b"f", b"", b"ghij"]
    assert b"".join(records(iter(chunks), 3)) == b"abcdefghi"


def test_silence_closes_an_interval_and_what_comes_after_is_late() -> None:
    gate = threading.Event()

    def blocks(stop: threading.Event):
        yield np.array([(1, 0, 0, 0)], EVENT_DTYPE)
        gate.wait(10)
        yield np.array([(2, 0, 0, 0), (30, 0, 0, 0)], EVENT_DTYPE)

    with Stream(blocks, "t", patience_s=0.1) as stream:
        first = stream.until(10)
        gate.set()
        second = stream.until(40)
    assert first is not None
    assert second is not None
    assert first["t"].tolist() == [1]
    assert second["t"].tolist() == [30]
    assert stream.late == 1


def test_a_stream_that_nobody_takes_from_stops_reading() -> None:
    given = 0

    def blocks(stop: threading.Event):
        nonlocal given
        for k in range(100):
            given += 1
            yield np.full(10, k, [("t", "<i8")])

    with Stream(blocks, "t", patience_s=5, most=50) as stream:
        time.sleep(0.2)
        assert given <= 7
        rows = [stream.until(k) for k in range(100)]
    assert sum(len(row) for row in rows if row is not None) == 1000


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"1 2 3 1\n5 x 3 1\n", "line 2: '5 x 3 1' is not four whole numbers"),
        (b"1 2 3\n", "line 1"),
        (b"1 2 3 0.5\n", "line 1"),
        (b"1 64 3 1\n", "x = 64, at most 63"),
        (b"1 4 3 2\n", "p = 2, at most 1"),
        (b"1 -4 3 1\n", "x from -4"),
        (b"1 70000 3 1\n", "x from 70000"),
    ],
)
def test_bad_events_are_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "events.txt"
    path.write_bytes(content)
    read = StreamedEvents(str(path), (64, 48), kind="text", patience_s=5, idle_s=0.05)
    with read, pytest.raises(InputError, match=told):
        read.interval(0, 10, NOTHING)


def test_boxes_come_frame_after_frame(tmp_path: Path) -> None:
    path = tmp_path / "tracks.txt"
    path.write_text("1,7,0,0,5,9,1,-1,-1,-1\n1,2,1.5,0,5,9\n\n3,7,2,0,5,9\n")
    read = StreamedBoxes(str(path), patience_s=5, idle_s=0.05)
    with read:
        assert read.boxes(0) == {7: (0, 0, 5, 9), 2: (1.5, 0, 5, 9)}
        assert read.boxes(1) == {}
        assert read.boxes(2) == {7: (2, 0, 5, 9)}
    path.write_text("1,7,0,0,5,0\n")
    bad = StreamedBoxes(str(path), patience_s=5, idle_s=0.05)
    with bad, pytest.raises(InputError, match="line 1: a box of 5 x 0 pixels"):
        bad.boxes(0)


def test_a_missing_source_is_one_line(tmp_path: Path) -> None:
    missing = StreamedBoxes(str(tmp_path / "none"), patience_s=5, idle_s=1)
    with missing, pytest.raises(InputError, match="cannot be read"):
        missing.boxes(0)


def test_tracks_are_compared_by_their_mean_and_forgotten_in_turn() -> None:
    tracks = Tracks(most=2)

    def seen(track: int) -> Seen:
        return Seen("", track, 1, 2, 0.0, 0.0)

    def vector(*values: float) -> np.ndarray:
        return np.array(values, np.float32)

    assert tracks.compare(seen(1), vector(1, 0)).nearest is None
    other = tracks.compare(seen(2), vector(0, 1))
    assert (other.nearest, other.similarity) == (1, 0.0)
    again = tracks.compare(seen(2), vector(1, 0))  # its mean lies half way
    assert again.similarity == pytest.approx(0.5**0.5)
    third = tracks.compare(seen(3), vector(1, 0))  # forgets track 1
    assert third.nearest == 2
    assert tracks.compare(seen(1), vector(1, 0)).nearest == 3


class Frames:
    """A clock to bring events to."""

    first_us, unix_start_us = 7_000, 1_700_000_000_000_000


@pytest.mark.parametrize(
    ("alignment", "shift_us"),
    [
        (Alignment(), 0),
        (Alignment(offset_us=-5_000), 5_000),
        (Alignment(event_clock="first"), None),
        (Alignment(event_clock="first", offset_us=250), None),
        (Alignment(event_clock="unix"), 1_700_000_000_000_000 - 7_000),
        (Alignment(event_clock="unix", start_us=5 * 10**15), 5 * 10**15 - 7_000),
    ],
)
def test_a_stream_on_another_clock_is_brought_to_the_frames(
    tmp_path: Path, alignment: Alignment, shift_us: int | None
) -> None:
    events = random_events(2_000, 5)
    moved = events.copy()
    if shift_us is None:  # the first event is at the first frame, plus the offset
        shift_us = int(events["t"][0]) - Frames.first_us - alignment.offset_us
    else:
        moved["t"] += shift_us
    path = tmp_path / "events"
    path.write_bytes(moved.tobytes())
    read = StreamedEvents(
        str(path), (64, 48), kind="records", patience_s=5, idle_s=0.05,
        alignment=alignment, frames=Frames(),
    )  # fmt: skip
    with read:
        parts = [read.interval(t - 10_000, t, NOTHING) for t in range(10_000, 120_001, 10_000)]
    got = np.concatenate([part.array for part in parts])
    wanted = moved.copy()
    wanted["t"] -= shift_us
    assert np.array_equal(got, wanted[wanted["t"] > 0])
    assert read.clock.notes == []


def test_another_clock_is_said_at_once_and_refused_after_a_second(tmp_path: Path) -> None:
    events, said = random_events(100, 5), []
    events["t"] += 1_700_000_000_000_000
    path = tmp_path / "events"
    path.write_bytes(events.tobytes())
    read = StreamedEvents(
        str(path), (64, 48), kind="records", patience_s=5, idle_s=0.05, say=said.append
    )
    with read:
        read.interval(-100_000, 0, NOTHING)
        assert "another clock" in said[0]
        assert "--event-clock" in said[0]
        for time_us in range(100_000, 1_000_000, 100_000):
            assert not len(read.interval(time_us - 100_000, time_us, NOTHING))
        assert len(said) == 1
        with pytest.raises(InputError, match=r"1700000000.*another clock.*--event-offset"):
            read.interval(900_000, 1_000_000, NOTHING)


@pytest.mark.parametrize("shift_us", [3_000_000, -2_000_000, None])
def test_a_second_without_events_is_said_and_goes_on(tmp_path: Path, shift_us: int | None) -> None:
    events, said = random_events(0 if shift_us is None else 100, 5), []
    events["t"] += shift_us or 0
    path = tmp_path / "events"
    path.write_bytes(events.tobytes())
    read = StreamedEvents(
        str(path), (64, 48), kind="records", patience_s=0.05, idle_s=0.05, say=said.append
    )
    with read:
        for time_us in range(0, 1_000_000, 100_000):
            read.interval(time_us - 100_000, time_us, NOTHING)
        assert said == []
        read.interval(900_000, 1_000_000, NOTHING)
        assert "no event in the frames' first 1.0 s" in said[0]
        assert ("none has come" in said[0]) == (shift_us is None)
        got = sum(
            len(read.interval(t - 100_000, t, NOTHING))
            for t in range(1_100_000, 4_000_000, 100_000)
        )
    assert got == (100 if shift_us == 3_000_000 else 0)
