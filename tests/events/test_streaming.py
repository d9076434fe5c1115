"""Encoding in parts is encoding at once; a file read in parts is the file."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.cli import main
from sdcl_neuro.errors import InputError
from sdcl_neuro.events import (
    EVENT_DTYPE,
    EvenFrames,
    Events,
    StreamEncoder,
    concatenate,
    encode,
    encode_stream,
    read_events,
    read_parts,
    write_events,
)
from sdcl_neuro.network.spike_file import read_spikes, write_spike_blocks

SIZE = (4, 3)
needs_lz4 = pytest.mark.skipif(
    find_spec("lz4") is None, reason="lz4 is not installed: run make again"
)


def make(rows: list[tuple[int, int, int, int]]) -> Events:
    return Events(np.array(sorted(rows), EVENT_DTYPE), *SIZE)


def pieces(events: Events, cuts: list[int]) -> list[Events]:
    edges = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    pairs = itertools.pairwise(edges)
    return [Events(events.array[low:high], *SIZE) for low, high in pairs]


event = st.tuples(st.integers(-50, 200), st.integers(0, 3), st.integers(0, 2), st.integers(0, 1))
recordings = st.lists(event, max_size=60).map(make)
cuts = st.lists(st.integers(0, 60), max_size=5)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(
    events=recordings,
    cut=cuts,
    times=st.sets(st.integers(-20, 180), min_size=1, max_size=6).map(sorted),
    bins=st.integers(1, 4),
    before=st.none() | st.integers(1, 40),
    frames=st.integers(1, 4),
    binary=st.booleans(),
)
def test_blocks_join_to_the_whole(
    events: Events,
    cut: list[int],
    times: list[int],
    bins: int,
    before: int | None,
    frames: int,
    binary: bool,
) -> None:
    how: dict[str, Any] = {
        "frame_times_us": times,
        "bins": bins,
        "start_us": None if before is None else times[0] - before,
        "binary": binary,
    }
    encoder = StreamEncoder(SIZE, **how, frames_per_block=frames)
    blocks = list(encode_stream(pieces(events, cut), encoder))
    assert {len(block) for block in blocks[:-1]} <= {frames * bins}
    np.testing.assert_array_equal(np.concatenate(blocks), encode(events, **how))


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    events=recordings.filter(len),
    cut=cuts,
    fps=st.sampled_from([Fraction(1_000_000), Fraction(30_000, 1), Fraction(10**6, 7)]),
    frames=st.integers(1, 3),
)
def test_even_frames_need_not_know_the_end(
    events: Events, cut: list[int], fps: Fraction, frames: int
) -> None:
    even = EvenFrames(fps).from_first(int(events.array["t"][0]))
    start = even.start()
    times = [even.time(f) for f in range(even.count(int(events.array["t"][-1])))]
    assert times[-1] >= events.array["t"][-1]
    encoder = StreamEncoder(SIZE, frame_times_us=EvenFrames(fps), bins=2, frames_per_block=frames)
    found = np.concatenate(list(encode_stream(pieces(events, cut), encoder)))
    wanted = encode(events, frame_times_us=times, bins=2, start_us=start)
    np.testing.assert_array_equal(found, wanted)


def test_faults_are_named_across_parts() -> None:
    encoder = StreamEncoder(SIZE, frame_times_us=[100, 200], bins=1, start_us=0, binary=False)
    same = make([(50, 1, 1, 1)] * 200)
    list(encoder.add(same))
    with pytest.raises(InputError, match="event 255 is the 256th"):
        list(encoder.add(same))
    encoder = StreamEncoder(SIZE, frame_times_us=[100], bins=1)
    list(encoder.add(make([(50, 0, 0, 0)])))
    with pytest.raises(InputError, match="event 1 at 49 us comes after"):
        list(encoder.add(make([(49, 0, 0, 0)])))
    with pytest.raises(InputError, match="one size"):
        list(encoder.add(Events(make([(60, 0, 0, 0)]).array, 9, 9)))
    with pytest.raises(InputError, match="no events to lay"):
        list(StreamEncoder(SIZE, frame_times_us=EvenFrames(Fraction(9)), bins=1).finish())
    for bad in ({"bins": 0}, {"bins": 1, "frames_per_block": 0}, {"bins": 1 << 40}):
        with pytest.raises(InputError):
            StreamEncoder(SIZE, frame_times_us=[1], **bad)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_and_reused_memory_change_nothing(binary: bool, threads: int) -> None:
    rng = np.random.default_rng(0)
    number = 1 << 20
    array = np.empty(number, EVENT_DTYPE)
    array["t"] = np.sort(rng.integers(0, 10_000, number))
    array["x"], array["y"] = rng.integers(0, 64, number), rng.integers(0, 128, number)
    array["p"] = rng.integers(0, 2, number)
    events = Events(array, 64, 128)
    how: dict[str, Any] = {"frame_times_us": np.arange(1000, 11_000, 1000), "bins": 3}
    once = encode(events, **how, binary=binary, threads=1, start_us=-1)
    out = np.full_like(once, 77)
    again = encode(events, **how, binary=binary, threads=threads, start_us=-1, out=out)
    assert again is out
    np.testing.assert_array_equal(once, again)
    with pytest.raises(InputError, match="out is"):
        encode(events, **how, out=out[::2])


@pytest.mark.parametrize(
    ("name", "sensor"),
    [
        ("expelliarmus_evt3_sample.raw", (1280, 720)),
        ("faery_evt2.raw", (1280, 720)),
        ("faery_dvs.es", None),
        pytest.param("tonic_sample.aedat4", None, marks=needs_lz4),
        ("tonic_sample_ncars.dat", (304, 240)),
        ("tonic_sample_nmnist.bin", None),
    ],
)
def test_parts_of_real_files(shared_data: Path, name: str, sensor: tuple[int, int] | None) -> None:
    path = shared_data / "events" / name
    parts = list(read_parts(path, sensor=sensor, part_events=1000))
    whole = read_events(path, sensor=sensor)
    assert concatenate(parts) == whole
    assert parts[0].source == whole.source
    if not name.endswith(".bin"):  # that kind is read whole
        assert max(map(len, parts)) < 40_000
        assert len(parts) > 1


def test_parts_of_our_own_and_their_faults(tmp_path: Path) -> None:
    events = make([(t, t % 4, t % 3, t % 2) for t in range(1000)])
    write_events(tmp_path / "a.npz", events)
    parts = list(read_parts(tmp_path / "a.npz", part_events=64))
    assert len(parts) == 16
    assert concatenate(parts) == events
    array = events.array
    fields = {name: array[name].copy() for name in "txyp"}
    fields["t"][500:] -= 400
    np.savez(tmp_path / "late.npz", **fields, sensor=np.array(SIZE))
    with pytest.raises(InputError, match="event 500 at 100 us comes after one at 499 us"):
        list(read_parts(tmp_path / "late.npz", part_events=250))
    assert len(list(read_parts(tmp_path / "late.npz", mend=["sort"]))) == 1
    fields["t"], fields["x"][700] = array["t"], 9
    np.savez(tmp_path / "wide.npz", **fields, sensor=np.array(SIZE))
    with pytest.raises(InputError, match=r"event 700 at .* lies outside"):
        list(read_parts(tmp_path / "wide.npz", part_events=250))
    mended = list(read_parts(tmp_path / "wide.npz", mend=["drop-outside"], part_events=250))
    assert sum(part.mended.get("drop-outside", 0) for part in mended) == 1
    raw = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(InputError, match="not a readable"):
        list(read_parts(tmp_path / "cut.npz"))
    with pytest.raises(InputError, match="no such file"):
        list(read_parts(tmp_path / "none.npz"))


def test_h5_and_npz_hold_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = zip(
        np.sort(rng.integers(0, 900_000, 5000)),
        rng.integers(0, 4, 5000),
        rng.integers(0, 3, 5000),
        rng.integers(0, 2, 5000),
        strict=True,
    )
    write_events(tmp_path / "in.npz", make([tuple(map(int, row)) for row in rows]))
    words = ["--fps", "25", "--bins", "4", "--box", "1,0,2,3", "--json", tmp_path / "said.json"]
    said = []
    for ending in ("npz", "h5"):
        out = tmp_path / f"out.{ending}"
        command = ["events", "encode", tmp_path / "in.npz", "--out", out, *words]
        assert main([str(word) for word in command]) == 0
        said.append(json.loads((tmp_path / "said.json").read_text()))
    assert said[0] == said[1]
    spikes = read_spikes(tmp_path / "out.h5")
    np.testing.assert_array_equal(spikes, read_spikes(tmp_path / "out.npz"))
    assert list(spikes.shape) == said[0]["shape"] == [23 * 4, 1, 2, 3, 2]
    assert said[0]["input"]["events"] == 5000


def test_blocks_of_any_length_are_written_in_bounded_memory(tmp_path: Path) -> None:
    block = np.zeros((3, 1, 2, 128, 64), np.uint8)

    def blocks(count: int) -> Any:
        for index in range(count):
            block[:] = index % 2
            yield block.copy()

    peaks = []
    for count in (200, 800):
        tracemalloc.start()
        shape = write_spike_blocks(tmp_path / "s.h5", blocks(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert shape == (3 * count, 1, 2, 128, 64)
    assert peaks[1] < 1.2 * peaks[0] < 12 << 20
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["spikes"][:, 0, 0, 0, 0].tolist() == [i // 3 % 2 for i in range(2400)]
    with pytest.raises(InputError, match="no blocks"):
        write_spike_blocks(tmp_path / "s.h5", blocks(0))
    with pytest.raises(InputError, match="not written as"):
        write_spike_blocks(tmp_path / "s.npz", blocks(1))


def test_times_at_a_whole_rate_are_exact() -> None:
    for fps in (7, Fraction(7)):
        times = EvenFrames(fps, first_us=1)
        for frame in (0, 3, 10**9, 10**14 + 1):
            assert times.time(frame) == round(Fraction((frame + 1) * 1_000_000, 7))
