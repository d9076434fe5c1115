"""EVT 2, EVT 3 and DAT by hand: wraps, steps back, sparse and dense, whole and in parts."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import concatenate, read_events, read_parts

EVT3 = b"% evt 3.0\n% geometry 640x480\n% end\n"
EVT2 = b"% evt 2.0\n% geometry 640x480\n% end\n"
DAT = b"% Data file containing events.\n% Version 2\n% Height 480\n% Width 640\n"

Event = tuple[int, int, int, int]  # t, x, y, p


def evt3(events: list[Event], *, every_us: int | None = None) -> bytes:
    """TIME_HIGH where it changes, as faery's encoder writes; or every so often, as cameras do."""
    words, high, now = [], None, 0
    for t, x, y, p in events:
        while every_us and now + every_us <= t:
            now += every_us
            words += [0x8000 | now >> 12 & 4095]
            high = now >> 12
        if t >> 12 != high:
            high = t >> 12
            words.append(0x8000 | high & 4095)
        words += [0x6000 | t & 4095, y, 0x2000 | p << 11 | x]
    return EVT3 + struct.pack(f"<{len(words)}H", *words)


def evt2(events: list[Event]) -> bytes:
    words, high = [], None
    for t, x, y, p in events:
        if t >> 6 != high:
            high = t >> 6
            words.append(0x80000000 | high & 0xFFFFFFF)
        words.append(p << 28 | (t & 63) << 22 | x << 11 | y)
    return EVT2 + struct.pack(f"<{len(words)}I", *words)


def dat(events: list[Event], kind: int) -> bytes:
    words = [(t & 0xFFFFFFFF, p << 28 | y << 14 | x) for t, x, y, p in events]
    return DAT + bytes([kind, 8]) + b"".join(struct.pack("<2I", *word) for word in words)


def read(path: Path, content: bytes, **how: object) -> list[Event]:
    """Read whole and in parts of several lengths; they must be the same."""
    path.write_bytes(content)
    whole = read_events(path, **how)  # type: ignore[arg-type]
    for length in (1, 7, 1000) if len(content) < 500 else (61, 1000):
        parts = list(read_parts(path, part_events=length, **how))  # type: ignore[arg-type]
        assert concatenate(parts) == whole
        assert sum(sum(part.mended.values()) for part in parts) == sum(whole.mended.values())
        assert {note for part in parts for note in part.notes} == set(whole.notes)
    return [tuple(map(int, row)) for row in whole.array.tolist()]  # type: ignore[misc]


steps = st.lists(st.sampled_from([0, 1, 30, 4095, 4096, 12_288, 900_000, 9_000_000, 15_000_000]),
                 min_size=1, max_size=40)  # fmt: skip


@settings(deadline=None, derandomize=True, max_examples=25)
@given(steps=steps, start=st.sampled_from([0, 16_777_000, 5]), data=st.data())
def test_times_go_on_over_every_wrap(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], start: int, data: st.DataObject
) -> None:
    """Gaps of up to 15 s without a word between, over many turns of the 24-bit clock."""
    times = (start + np.cumsum(steps)).tolist()
    offset = times[0] >> 24 << 24  # no one can know the turns before the first event
    x = data.draw(st.lists(st.integers(0, 639), min_size=len(times), max_size=len(times)))
    events = [(t, x[i], x[i] * 3 % 480, x[i] & 1) for i, t in enumerate(times)]
    expected = [(t - offset, x, y, p) for t, x, y, p in events]
    folder = tmp_path_factory.mktemp("evt")
    assert read(folder / "a.raw", evt3(events)) == expected
    every = data.draw(st.sampled_from([4096, 100_000]))
    if sum(steps) < 20_000_000:  # from 0 on, as a camera that was just started
        assert read(folder / "b.raw", evt3(events, every_us=every)) == events


def test_evt2_and_dat_wrap(tmp_path: Path) -> None:
    turn = 1 << 34
    events = [(turn - 100 + 60 * k, k, k, k & 1) for k in range(5)]
    events += [(turn + 3_600_000_000, 9, 9, 1), (2 * turn + 5, 8, 8, 0)]
    assert read(tmp_path / "a.raw", evt2(events)) == events
    turn = 1 << 32
    stamps = [turn - 3, turn - 3, turn + 5, turn + 2_000_000_000, 2 * turn + 7]
    stamps.append(3 * turn - 300_000_000)
    events = [(t, k, k, k & 1) for k, t in enumerate(stamps)]
    for kind in (0x00, 0x0C):
        assert read(tmp_path / "a.dat", dat(events, kind)) == events
        assert read_events(tmp_path / "a.dat").notes == ("the 32-bit clock wrapped 2 times",)


def test_steps_back_are_steps_back(tmp_path: Path) -> None:
    """A delayed word: the time steps back by what it says, also across the wrap, and no further."""
    turn = 1 << 24
    for back in (1, 11, 4096, 3 * 4096, 900_000):
        for at in (5_000_000, turn - 100, turn + 100):
            times = [turn - 12_000_000, at, at + 50, at + 50 - back, at + 60]
            events = [(t, k, k, 1) for k, t in enumerate(times)]
            path = tmp_path / "a.raw"
            path.write_bytes(evt3(events))
            with pytest.raises(InputError, match=r"event 3 at .* comes after one at .*--mend sort"):
                read_events(path)
            found = read(path, evt3(events), mend=["sort"])
            assert found == sorted(events)


def test_a_step_back_without_events_is_seen_by_none(tmp_path: Path) -> None:
    """As in a real recording of a GEN 4.1: TIME_LOW 467, then 456 before the first event there."""
    words = [0x8B2D, 0x6000 | 467, 0x8B2D, 0x6000 | 456, 0xC8, 0x2000 | 5, 0x6000 | 472, 0x2000 | 6]
    found = read(tmp_path / "a.raw", EVT3 + struct.pack(f"<{len(words)}H", *words))
    high = 0xB2D << 12
    assert found == [(high + 456, 5, 200, 0), (high + 472, 6, 200, 0)]


def test_vectors_and_early_events(tmp_path: Path) -> None:
    words = [
        7, 0x2000 | 9,                     # an event before any time
        0x8001, 0x6002, 10,                # 4098 us, row 10
        0x3800 | 100, 0x4000 | 0b100000000011, 0x5000 | 0b10000001,  # ON, from column 100
        0x3000 | 3, 0x5001,                # OFF, column 3
        0xA000, 0xE000, 0x7000, 0xF000,    # a trigger and others: no events
    ]  # fmt: skip
    path = tmp_path / "a.raw"
    found = read(path, EVT3 + struct.pack(f"<{len(words)}H", *words))
    expected = [(4098, x, 10, 1) for x in (100, 101, 111, 112, 119)] + [(4098, 3, 10, 0)]
    assert found == expected
    assert read_events(path).notes == ("1 event before the first time word left out",)


@pytest.mark.parametrize("name", ["evt3", "evt2", "dat", "dat-2d"])
def test_what_lies_outside_and_what_is_cut(tmp_path: Path, name: str) -> None:
    events = [(1000, 1, 2, 1), (1010, 700, 4, 0), (1020, 5, 6, 1), (1030, 5, 500, 1)]
    events.append((1040, 0, 0, 0))
    inside = [event for event in events if event[1] < 640 and event[2] < 480]
    content = {
        "evt3": evt3(events),
        "evt2": evt2(events),
        "dat": dat(events, 0x0C),
        "dat-2d": dat(events, 0x00),
    }[name]
    path = tmp_path / "a.raw"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"event 1 at \(x, y\) = \(700, 4\).*--mend drop-outside"):
        read_events(path)
    assert read(path, content, mend=["drop-outside"]) == inside
    assert read_events(path, mend=["drop-outside"]).mended == {"drop-outside": 2}
    with pytest.raises(InputError, match=r"truncated.*--mend drop-tail"):
        read(path, content[:-1])
    cut = read(path, content[:-1], mend=["drop-outside", "drop-tail"])
    assert cut == inside[:-1]
    mended = read_events(path, mend=["drop-outside", "drop-tail"]).mended
    assert mended == {"drop-tail": 1, "drop-outside": 2}


def test_sizes_are_found_in_headers_of_both_forms(tmp_path: Path) -> None:
    body = evt3([(10, 639, 479, 1)])[len(EVT3) :]
    path = tmp_path / "a.raw"
    for header in (b"% evt 3.0\n% geometry 640x480\n", b"% format EVT3;height=480;width=640\n"):
        path.write_bytes(header + body)
        events = read_events(path)
        assert (events.width, events.height) == (640, 480)
